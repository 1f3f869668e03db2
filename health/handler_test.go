package health_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

// A HEAD over the wire has the headers of a GET, no body, and the connection goes on.
func TestHandlerHeadOverTheWire(t *testing.T) {
	for _, draining := range []bool{false, true} {
		r := newRegistry(t)
		if draining {
			r.Drain()
		}
		conn, err := net.Dial("tcp", serve(t, r.Handler(health.Ready)).Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		in := bufio.NewReader(conn)
		var lengths []int64
		for _, method := range []string{"HEAD", "GET", "HEAD"} {
			_, err := fmt.Fprintf(conn, "%s /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", method)
			require.NoError(t, err)
			resp, err := http.ReadResponse(in, &http.Request{Method: method})
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, method == "GET", len(body) > 0)
			assert.Equal(t, draining, resp.StatusCode == 503)
			lengths = append(lengths, resp.ContentLength)
		}
		assert.Equal(t, lengths[1], lengths[0])
	}
}

func TestHandlerText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mixed(t)
		ready, details := r.Handler(health.Ready, nil), r.Handler(health.Ready, health.Details())
		all := "[+] mysql up\n[-] redis down\n[?] cache pending\n[-] mail down (optional)\n"
		tests := []struct {
			name    string
			handler http.Handler
			target  string
			status  int
			body    string
		}{
			{"live", r.Handler(health.Live), "/readyz", 200, "ok\n"},
			{"live verbose", r.Handler(health.Live), "/readyz?verbose", 200, "[+] loop up\nlive: up\n"},
			{"not verbose", r.Handler(health.Live), "/readyz?verbose=false", 200, "ok\n"},
			{"failing is verbose", ready, "/readyz", 503, all + "ready: down\n"},
			{"several kinds", r.Handler(health.Ready | health.Live), "/readyz", 503,
				all + "[+] loop up\nlive|ready: down\n"},
			{"details", details, "/readyz?verbose", 503,
				"[+] mysql up\n[-] redis down: panic: s3cret <b>\n" +
					"[?] cache pending: bad weather\n[-] mail down (optional): bad weather\nready: down\n"},
			{"exclude some", ready, "/readyz?exclude=redis", 503,
				"[+] mysql up\n[?] cache pending\n[-] mail down (optional)\nready: pending\n"},
			{"exclude all that fail", ready, "/readyz?exclude=redis,cache", 200, "ok\n"},
			{"exclude twice", ready, "/readyz?exclude=redis&exclude=cache&exclude=", 200, "ok\n"},
			{"exclude verbosely", ready, "/readyz?exclude=redis,cache,mail&verbose", 200,
				"[+] mysql up\nready: up\n"},
			{"exclude unknown", ready, "/readyz?exclude=redis,cache,nosuch%0A,loop", 200,
				"warning: exclude: no ready check is named \"nosuch\\n\"\n" +
					"warning: exclude: no ready check is named \"loop\"\nok\n"},
			{"bad query", ready, "/readyz?%zz&exclude=redis&exclude=cache", 200, "ok\n"},
			{"one check", ready, "/readyz/mysql", 200, "[+] mysql up\n"},
			{"one failing check", ready, "/readyz/redis", 503, "[-] redis down\n"},
			{"subpath hides the error too", ready, "/readyz/redis?verbose", 503, "[-] redis down\n"},
			{"one optional check", ready, "/readyz/mail", 503, "[-] mail down (optional)\n"},
			{"check of another kind", ready, "/readyz/loop", 404, "no ready check is named \"loop\"\n"},
			{"unknown check", ready, "/readyz/%3Cb%3E", 404, "no ready check is named \"<b>\"\n"},
		}
		for _, tt := range tests {
			for _, accept := range [][]string{nil, {"*/*"}, {"text/plain, application/json;q=0.5"},
				{"image/png"}, {"rubbish/;;=", "text/html;q=x"}} {
				w := get(tt.handler, tt.target, accept...)
				assert.Equal(t, tt.status, w.Code, tt.name)
				assert.Equal(t, tt.body, w.Body.String(), "%s %v", tt.name, accept)
				assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
				assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
				assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
				assert.Equal(t, "Accept", w.Header().Get("Vary"))
			}
		}
		assert.False(t, closed(r.Ready()), "what one request excludes makes nobody ready")
	})
}

func TestHandlerBeforeRun(t *testing.T) {
	r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe,
		Period: health.OnDemand})
	w := get(r.Handler(health.Ready), "/readyz")
	assert.Equal(t, 503, w.Code)
	assert.Equal(t, "[?] db pending\nready: pending (the checks have not been started)\n",
		w.Body.String())
}

func TestHandlerDraining(t *testing.T) {
	r := newRegistry(t)
	h := r.Handler(health.Ready)
	assert.Equal(t, 200, get(h, "/readyz").Code)
	shutdown := make(chan struct{})
	r.DrainOn(shutdown)
	close(shutdown)
	w := get(h, "/readyz?exclude=")
	assert.Equal(t, 503, w.Code)
	assert.Equal(t, "ready: draining\n", w.Body.String())
	assert.Equal(t, 200, get(r.Handler(health.Live), "/readyz").Code)
}

func TestHandlerMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mixed(t)
		for _, kind := range []health.Kind{health.Live, health.Ready} {
			for _, accept := range []string{"", "application/json", browserAccept} {
				got, head := get(r.Handler(kind), "/readyz", accept),
					do(r.Handler(kind), http.MethodHead, "/readyz", accept)
				assert.Equal(t, got.Code, head.Code)
				assert.Equal(t, got.Header(), head.Header())
				assert.NotZero(t, got.Body.Len())
				assert.Zero(t, head.Body.Len())
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodOptions, http.MethodDelete} {
			w := do(r.Handler(health.Live), method, "/readyz")
			assert.Equal(t, 405, w.Code)
			assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		}
	})
}

func TestHandlerJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().UTC()
		r := mixed(t)
		for _, accept := range []string{"application/json", "text/html;q=0.8, application/json",
			"application/json;q=0.5", "application/json, text/plain, */*"} {
			w := get(r.Handler(health.Ready, health.Details()), "/readyz?exclude=x,mail", accept)
			assert.Equal(t, 503, w.Code)
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
			var got struct {
				Kind, State     string
				Started         bool
				UnknownExcludes []string
				Checks          []struct {
					Name, State, Error string
					Since, LastRun     time.Time
				}
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			assert.Equal(t, "ready down true",
				got.Kind+" "+got.State+" "+map[bool]string{true: "true"}[got.Started])
			assert.Equal(t, []string{`"x"`}, got.UnknownExcludes)
			require.Len(t, got.Checks, 3)
			assert.Equal(t, "redis down panic: s3cret <b>",
				got.Checks[1].Name+" "+got.Checks[1].State+" "+got.Checks[1].Error)
			assert.Equal(t, begin.Add(time.Millisecond), got.Checks[1].Since, "the second to start")
		}
		w := get(r.Handler(health.Ready), "/readyz", "application/json")
		assert.NotContains(t, w.Body.String(), "s3cret")
		w = get(r.Handler(health.Startup), "/readyz", "application/json")
		assert.Equal(t, `{"kind":"startup","state":"up","started":true,"checks":[]}`+"\n",
			w.Body.String())
	})
}

// The JSON is what encoding/json makes of the members, whatever stands in them.
func TestHandlerJSONIsThatOfEncodingJSON(t *testing.T) {
	type check struct {
		Name           string    `json:"name"`
		State          string    `json:"state"`
		Since          time.Time `json:"since"`
		Optional       bool      `json:"optional,omitempty"`
		RunningSince   time.Time `json:"runningSince,omitzero"`
		LastRun        time.Time `json:"lastRun,omitzero"`
		LastDurationMs float64   `json:"lastDurationMs,omitempty"`
		Error          string    `json:"error,omitempty"`
	}
	synctest.Test(t, func(t *testing.T) {
		checks := []health.Check{{Name: "hangs", Timeout: time.Hour,
			Probe: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}
		for i, text := range []string{"", "plain", `a "quoted" \ path`, "<a href='x'>&</a>", "tab\tbell\a",
			"über 错误", "\xff\xfe", "a\u2028b", "\x7f"} {
			checks = append(checks, health.Check{Name: "check-" + strconv.Itoa(i), Optional: i%2 == 0,
				Period: time.Hour, Probe: func(context.Context) error {
					time.Sleep(time.Duration(i) * 1234 * time.Microsecond)
					if text == "" {
						return nil
					}
					return errors.New(text)
				}})
		}
		r := newRegistry(t, checks...)
		start(t, r)
		time.Sleep(time.Minute)
		w := get(r.Handler(health.Ready, health.Details()), `/readyz?exclude=x,%22<é`, "application/json")
		got := struct {
			Kind            string   `json:"kind"`
			State           string   `json:"state"`
			Started         bool     `json:"started"`
			Checks          []check  `json:"checks"`
			UnknownExcludes []string `json:"unknownExcludes,omitempty"`
		}{}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.Len(t, got.Checks, len(checks))
		assert.Equal(t, `a "quoted" \ path`, got.Checks[3].Error)
		var want bytes.Buffer
		require.NoError(t, json.NewEncoder(&want).Encode(got))
		assert.Equal(t, want.String(), w.Body.String())
	})
}

// How long a run took: milliseconds for programs, three digits or so for people.
func TestHandlerDurations(t *testing.T) {
	for took, want := range map[time.Duration]struct{ json, page string }{
		123_456_789 * time.Nanosecond: {`"lastDurationMs":123.456}`, ">took 123ms<"},
		12_345_678 * time.Microsecond: {`"lastDurationMs":12345.678}`, ">took 12.3s<"},
		123_456 * time.Nanosecond:     {`"lastDurationMs":0.123}`, ">took 123µs<"},
		90_600 * time.Millisecond:     {`"lastDurationMs":90600}`, ">took 1m30.6s<"},
	} {
		t.Run(took.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegistry(t, health.Check{Name: "db", Period: time.Hour, Timeout: time.Hour,
					Probe: func(context.Context) error { time.Sleep(took); return nil }})
				start(t, r)
				<-r.Ready()
				assert.Contains(t, get(r.Handler(health.Ready), "/readyz", "application/json").Body.String(),
					want.json)
				assert.Contains(t, get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String(),
					want.page)
			})
		})
	}
}

// Every way to mount a handler leads to the endpoint and to the single checks.
func TestHandlerMounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe})
		start(t, r)
		synctest.Wait()
		h := r.Handler(health.Ready)
		mux := func(patterns ...string) http.Handler {
			m := http.NewServeMux()
			for _, pattern := range patterns {
				m.Handle(pattern, h)
			}
			return m
		}
		pattern := func(pattern string) http.Handler { // what a router does that is not net/http's
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				req.Pattern = pattern
				h.ServeHTTP(w, req)
			})
		}
		suffix := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if name, ok := strings.CutSuffix(req.URL.Path, ".json"); ok {
				req.Pattern = "/w/{check}.json"
				req.SetPathValue("check", strings.TrimPrefix(name, "/w/"))
			}
			h.ServeHTTP(w, req)
		})
		stripped := http.NewServeMux()
		stripped.Handle("/readyz/", http.StripPrefix("/readyz", h))
		tests := []struct {
			name                   string
			handler                http.Handler
			endpoint, one, unknown string
		}{
			{"two patterns", mux("/readyz", "/readyz/{name}"), "/readyz", "/readyz/db", "/readyz/x"},
			{"with method", mux("GET /readyz", "GET /readyz/{name}"), "/readyz", "/readyz/db", "/readyz/x"},
			{"with host", mux("example.com/a/ready", "example.com/a/ready/"), "/a/ready", "/a/ready/db",
				"/a/ready/x"},
			{"subtree", mux("/a/ready/"), "/a/ready/", "/a/ready/db", "/a/ready/x"},
			{"everything", mux("/"), "/readyz", "/readyz/db", "/readyz/x"},
			{"tenants", mux("/{name}/readyz", "/{name}/readyz/"), "/acme/readyz", "/acme/readyz/db",
				"/acme/readyz/x"},
			{"stripped prefix", stripped, "/readyz/", "/readyz/db", "/readyz/x"},
			{"rest", mux("/w/{rest...}"), "/w/", "/w/db", "/w/x"},
			{"rest below a tenant", mux("/{name}/probe/{rest...}"), "/acme/probe/", "/acme/probe/db",
				"/acme/probe/x"},
			{"subtree with a wildcard", mux("/{name}/probe/"), "/acme/probe/", "/acme/probe/db",
				"/acme/probe/x"},
			{"another wildcard", mux("/w", "/w/{check}"), "/w", "/w/db", "/w/x"},
			{"exact", mux("/w/{$}", "/w/{name}"), "/w/", "/w/db", "/w/x"},
			{"exact, with a slash", mux("/w/{$}", "/w/{check}/{$}"), "/w/", "/w/db/", "/w/x/"},
			{"wildcard with a slash", mux("/w/{$}", "/w/{check}/"), "/w/", "/w/db/", "/w/x/"},
			{"name of an endpoint as a check", mux("/readyz", "/readyz/{name}"), "/readyz", "/readyz/db",
				"/readyz/ready"},
			{"escaped slash", mux("/readyz", "/readyz/{name}"), "/readyz", "/readyz/db", "/readyz/a%2Fdb"},
			{"chi Mount, below", pattern("/readyz/*"), "/readyz/", "/readyz/db", "/readyz/x"},
			{"chi Mount, elsewhere", pattern("/w/*"), "/w/", "/w/db", "/w/x"},
			{"chi, prefix", pattern("/ready*"), "/ready", "/ready/db", "/ready/x"},
			{"chi, suffix", suffix, "/w/ready", "/w/db.json", "/w/x.json"},
			{"router in a subtree", pattern("/api/"), "/api/v1/ready", "/api/v1/ready/db",
				"/api/v1/ready/x"},
			{"gin and echo: /ready", h, "/ready", "/ready/db", "/ready/x"},
			{"gin and echo: /health", h, "/health", "/health/db", "/health/x"},
			{"gin and echo: /-/ready", h, "/-/ready", "/-/ready/db", "/-/ready/x"},
			{"gin and echo: /healthz/ready", h, "/healthz/ready", "/healthz/ready/db", "/healthz/ready/x"},
			{"no router", h, "/readyz", "/db", "/x"},
			{"no router, no path", h, "/", "/readyz/db", "/readyz/x"},
		}
		for _, tt := range tests {
			for target, want := range map[string]string{tt.one: "[+] db up\n", tt.endpoint: "ok\n"} {
				w := httptest.NewRecorder()
				tt.handler.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
				assert.Equal(t, want, w.Body.String(), "%s: %s", tt.name, target)
			}
			w := httptest.NewRecorder()
			tt.handler.ServeHTTP(w, httptest.NewRequest("GET", tt.unknown, nil))
			assert.Equal(t, 404, w.Code, "%s: %s", tt.name, tt.unknown)
		}
	})
}

// http.StripPrefix leaves a path that may look like the pattern that it was removed from.
func TestCheckNamedLikeItsMount(t *testing.T) {
	r := newRegistry(t, health.Check{Name: "live", Probe: func(context.Context) error { return errBad }})
	start(t, r)
	mux := http.NewServeMux()
	mux.Handle("/live/", http.StripPrefix("/live", r.Handler(health.Ready)))
	body := func(target string) string {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		return w.Body.String()
	}
	assert.Contains(t, body("/live/"), "\nready: ")
	assert.Contains(t, body("/live/live"), "] live ")
	assert.NotContains(t, body("/live/live"), "\nready: ")
}

// A check that does not exist for this request is not up.
func TestSingleCheckThatIsGone(t *testing.T) {
	asked, calls := make(chan struct{}), 0
	r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe},
		health.Check{Name: "slow", Period: health.OnDemand, Timeout: time.Minute,
			Probe: func(ctx context.Context) error {
				if calls++; calls == 2 {
					close(asked)
					<-ctx.Done()
				}
				return ctx.Err()
			}})
	start(t, r)
	<-r.Ready()
	h := r.Handler(health.Ready)
	for _, accept := range []string{"", "application/json", "text/html"} {
		w := get(h, "/readyz/db?exclude=db", accept)
		assert.Equal(t, 404, w.Code, accept)
		assert.Equal(t, "no ready check is named \"db\"\n", w.Body.String(), accept)
	}
	go func() { <-asked; r.Remove("slow") }()
	assert.Equal(t, 404, get(h, "/readyz/slow").Code, "it was removed while it ran")
}

// gin's NoRoute has set another status, and wrappers record only what they are told.
func TestStatusIsAlwaysWritten(t *testing.T) {
	r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe})
	start(t, r)
	<-r.Ready()
	for _, method := range []string{"GET", "HEAD"} {
		for _, target := range []string{"/readyz", "/readyz?verbose", "/readyz/db"} {
			w := &statusWriter{ResponseRecorder: httptest.NewRecorder()}
			r.Handler(health.Ready).ServeHTTP(w, httptest.NewRequest(method, target, nil))
			assert.Equal(t, 200, w.status, "%s %s", method, target)
		}
	}
}

type statusWriter struct {
	*httptest.ResponseRecorder
	status int
}

func (w *statusWriter) WriteHeader(status int) { w.status = status }

// Once it was up, a check no longer counts for startup, and no request for that waits for it.
func TestStartupDoesNotWaitForACheckThatHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := false
		r := newRegistry(t, health.Check{Name: "db", Kind: health.Startup | health.Ready,
			Period: health.OnDemand, Probe: func(ctx context.Context) error {
				if hangs {
					<-ctx.Done()
				}
				return ctx.Err()
			}})
		start(t, r)
		<-r.Ready()
		hangs = true
		begin := time.Now()
		assert.Equal(t, 200, get(r.Handler(health.Startup), "/readyz").Code)
		assert.Zero(t, time.Since(begin))
		get(r.Handler(health.Startup|health.Ready), "/readyz")
		assert.NotZero(t, time.Since(begin), "for ready it is asked")
	})
}

func TestCachedAnswerAllocatesLittle(t *testing.T) {
	r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe})
	start(t, r)
	<-r.Ready()
	h, w, req := r.Handler(health.Ready), nullWriter{http.Header{}},
		httptest.NewRequest("GET", "/readyz", nil)
	assert.Zero(t, testing.AllocsPerRun(100, func() { h.ServeHTTP(w, req) }))
}

// FuzzHandler checks that no request can make the handler panic, answer with a status it does not
// have, or put markup into the page.
func FuzzHandler(f *testing.F) {
	f.Add("GET", "/readyz", "verbose&exclude=db,x", browserAccept)
	f.Add("HEAD", "/readyz/db", "exclude=%3Cscript%3E", "application/json;q=0.5, text/html;q=1e9")
	f.Add("POST", "//", "verbose=0", "text/html;q=NaN,*/*")
	f.Add("GET", "/a/../db", ";;%", ", ,text/plain; charset")
	r, err := health.New(health.Check{Name: "db",
		Probe: func(context.Context) error { return errBad }})
	require.NoError(f, err)
	h := r.Handler(health.Ready, health.Details())
	// How many endpoints there are to link to depends on the path.
	nav := regexp.MustCompile(`<nav>(?:<b>[^<>]*</b>\n|<a href="[^<>"]*">[^<>]*</a>\n)*</nav>`)
	tags := func(body string) int { return strings.Count(nav.ReplaceAllString(body, ""), "<") }
	pages := []int{
		tags(get(h, "/readyz", "text/html").Body.String()),
		tags(get(h, "/readyz?exclude=db", "text/html").Body.String()),
		tags(get(h, "/readyz/db", "text/html").Body.String()),
	}
	note := regexp.MustCompile(`(?m)^<p class="note">Asked to exclude &#34;[^<>"]*, ` +
		`but no check here has that name\.</p>$`)
	f.Fuzz(func(t *testing.T, method, path, query, accept string) {
		req := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query},
			Header: http.Header{"Accept": {accept}}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if !slices.Contains([]int{200, 404, 405, 503}, w.Code) {
			t.Errorf("got status %d", w.Code)
		}
		if w.Header().Get("Content-Type") == "application/json" && method == "GET" &&
			!json.Valid(w.Body.Bytes()) {
			t.Errorf("got %s, want JSON", w.Body)
		}
		if w.Header().Get("Content-Type") == "text/html; charset=utf-8" && method == "GET" {
			if got := tags(note.ReplaceAllString(w.Body.String(), "")); !slices.Contains(pages, got) {
				t.Errorf("got a page of %d tags, want one of %v:\n%s", got, pages, w.Body)
			}
		}
	})
}

// A URL can have very many names, and the endpoint is public.
func TestHandlerReportsFewUnknownNames(t *testing.T) {
	r := newRegistry(t)
	target := "/readyz?exclude=" + strings.Repeat("x,", 100_000)
	for _, accept := range []string{"text/plain", "application/json", "text/html"} {
		body := get(r.Handler(health.Ready), target, accept).Body.String()
		assert.Less(t, strings.Count(body, `x`), 300, accept)
		assert.Equal(t, accept != "text/plain", strings.Count(body, "warning") == 0)
	}
}

func TestServicePanics(t *testing.T) {
	assert.PanicsWithValue(t, `health: Service("", "v1"): expected a name`,
		func() { health.Service("", "v1") })
}
