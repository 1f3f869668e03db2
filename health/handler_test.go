package health_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

const browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

// get asks h as a client would, through a mux where both patterns of the doc comment are.
func get(h http.Handler, target string, accept ...string) *httptest.ResponseRecorder {
	return do(h, http.MethodGet, target, accept...)
}

func do(h http.Handler, method, target string, accept ...string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	mux.Handle("/readyz", h)
	mux.Handle("/readyz/{name}", h)
	req := httptest.NewRequest(method, target, nil)
	req.Header["Accept"] = accept
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	return w
}

// mixed returns a registry whose checks have one of each state and have all had their first result.
// It has to be called in a synctest bubble.
func mixed(t *testing.T) *health.Registry {
	r := newRegistry(t,
		health.Check{Name: "mysql", Probe: new(switchable).probe},
		health.Check{Name: "redis", Failures: 1, Probe: func(context.Context) error { return &health.PanicError{Value: "s3cret <b>", Stack: []byte("st4ck")} }},
		health.Check{Name: "cache", Probe: func(context.Context) error { return errBad }, Period: time.Hour},
		health.Check{Name: "mail", Probe: func(context.Context) error { return errBad }, Failures: 1, Optional: true},
		health.Check{Name: "loop", Probe: new(switchable).probe, Kind: health.Live},
	)
	start(t, r)
	time.Sleep(time.Second)
	return r
}

func TestHandlerText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mixed(t)
		ready, details := r.Handler(health.Ready, nil), r.Handler(health.Ready, health.Details(true))
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
			{"several kinds", r.Handler(health.Ready | health.Live), "/readyz", 503, all + "[+] loop up\nlive|ready: down\n"},
			{"details", details, "/readyz?verbose", 503, "[+] mysql up\n[-] redis down: panic: s3cret <b>\n" +
				"[?] cache pending: bad weather\n[-] mail down (optional): bad weather\nready: down\n"},
			{"exclude some", ready, "/readyz?exclude=redis", 503, "[+] mysql up\n[?] cache pending\n[-] mail down (optional)\nready: pending\n"},
			{"exclude all that fail", ready, "/readyz?exclude=redis,cache", 200, "ok\n"},
			{"exclude twice", ready, "/readyz?exclude=redis&exclude=cache&exclude=", 200, "ok\n"},
			{"exclude verbosely", ready, "/readyz?exclude=redis,cache,mail&verbose", 200, "[+] mysql up\nready: up\n"},
			{"exclude unknown", ready, "/readyz?exclude=redis,cache,nosuch%0A,loop", 200,
				"warning: exclude: no ready check is named \"nosuch\\n\"\nwarning: exclude: no ready check is named \"loop\"\nok\n"},
			{"bad query", ready, "/readyz?%zz&exclude=redis&exclude=cache", 200, "ok\n"},
			{"one check", ready, "/readyz/mysql", 200, "[+] mysql up\n"},
			{"one failing check", ready, "/readyz/redis", 503, "[-] redis down\n"},
			{"subpath hides the error too", ready, "/readyz/redis?verbose", 503, "[-] redis down\n"},
			{"one optional check", ready, "/readyz/mail", 503, "[-] mail down (optional)\n"},
			{"check of another kind", ready, "/readyz/loop", 404, "no ready check is named \"loop\"\n"},
			{"unknown check", ready, "/readyz/%3Cb%3E", 404, "no ready check is named \"<b>\"\n"},
		}
		for _, tt := range tests {
			for _, accept := range [][]string{nil, {"*/*"}, {"text/plain, application/json;q=0.5"}, {"image/png"}, {"rubbish/;;=", "text/html;q=x"}} {
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
	r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe, Period: health.OnDemand})
	w := get(r.Handler(health.Ready), "/readyz")
	assert.Equal(t, 503, w.Code)
	assert.Equal(t, "[?] db pending\nready: pending (the checks have not been started)\n", w.Body.String())
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
				got, head := get(r.Handler(kind), "/readyz", accept), do(r.Handler(kind), http.MethodHead, "/readyz", accept)
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
		for _, accept := range []string{"application/json", "text/html;q=0.8, application/json", "application/json;q=0.5", "application/json, text/plain, */*"} {
			w := get(r.Handler(health.Ready, health.Details(true)), "/readyz?exclude=x,mail", accept)
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
			assert.Equal(t, "ready down true", got.Kind+" "+got.State+" "+map[bool]string{true: "true"}[got.Started])
			assert.Equal(t, []string{`"x"`}, got.UnknownExcludes)
			require.Len(t, got.Checks, 3)
			assert.Equal(t, "redis down panic: s3cret <b>", got.Checks[1].Name+" "+got.Checks[1].State+" "+got.Checks[1].Error)
			assert.Equal(t, begin, got.Checks[1].Since)
		}
		w := get(r.Handler(health.Ready), "/readyz", "application/json")
		assert.NotContains(t, w.Body.String(), "s3cret")
		w = get(r.Handler(health.Startup), "/readyz", "application/json")
		assert.Equal(t, `{"kind":"startup","state":"up","started":true,"checks":[]}`+"\n", w.Body.String())
	})
}

func TestHandlerPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mixed(t)
		time.Sleep(25 * time.Hour)
		for _, accept := range []string{browserAccept, "text/html"} {
			w := get(r.Handler(health.Ready, health.Details(true)), "/readyz?exclude=%3Cscript%3E", accept)
			assert.Equal(t, 503, w.Code)
			assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
			assert.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-")
			body := w.Body.String()
			for _, want := range []string{
				"<title>ready: down</title>", "<h2>mysql</h2>", "mail <small>optional</small>", ">1d 1h<", "<h1>Down</h1>",
				"panic: s3cret &lt;b&gt;", "Asked to exclude &#34;&lt;script&gt;&#34;", "40 recent runs, 40 failed", `<html lang="en">`,
				"<p>1 of 4 ready checks up, 3 down.</p>",
			} {
				assert.Contains(t, body, want)
			}
			assert.NotContains(t, body, "st4ck")
			assert.NotContains(t, strings.ToLower(body), "<script")
			assert.NotContains(t, strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), "http://", "nothing from elsewhere")
		}
		assert.NotContains(t, get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String(), "s3cret")
		assert.Contains(t, get(r.Handler(health.Live), "/readyz", browserAccept).Body.String(), "<h1>Up</h1>")
		assert.Contains(t, get(r.Handler(health.Startup), "/readyz", browserAccept).Body.String(), "There are no checks here")
		r.Drain()
		assert.Contains(t, get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String(), "<h1>Draining</h1>")
	})
	w := get(newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe}).Handler(health.Ready), "/readyz", browserAccept)
	assert.Contains(t, w.Body.String(), "<h1>Pending</h1><p>The checks have not been started.</p>")
}

func TestHandlerPageAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: func(context.Context) error { time.Sleep(time.Millisecond); return nil }})
		h := r.Handler(health.Ready)
		start(t, r)
		<-r.Ready()
		passed := time.Duration(0)
		for _, tt := range []struct {
			after time.Duration
			want  string
		}{{59 * time.Second, "59s"}, {61 * time.Second, "1m 1s"}, {3*time.Hour + 2*time.Minute, "3h 2m"}, {49 * time.Hour, "2d 1h"}} {
			time.Sleep(tt.after - passed)
			passed = tt.after
			assert.Contains(t, get(h, "/readyz", browserAccept).Body.String(), ">"+tt.want+"</time>")
		}
		assert.Contains(t, get(h, "/readyz", browserAccept).Body.String(), ">took 1ms</span>")
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
				r := newRegistry(t, health.Check{Name: "db", Period: time.Hour, Timeout: time.Hour, Probe: func(context.Context) error { time.Sleep(took); return nil }})
				start(t, r)
				<-r.Ready()
				assert.Contains(t, get(r.Handler(health.Ready), "/readyz", "application/json").Body.String(), want.json)
				assert.Contains(t, get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String(), want.page)
			})
		})
	}
}

// The bars of the page: the newest result on the right, as high as it took long, and a failure is told from a success.
func TestHandlerPageBars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		r := newRegistry(t, health.Check{Name: "db", Period: time.Minute, Timeout: 30 * time.Second, Failures: 9, Probe: func(context.Context) error {
			runs++
			time.Sleep(time.Duration(runs) * 4 * time.Second)
			if runs == 2 {
				return errBad
			}
			return nil
		}})
		start(t, r)
		bars := func() (all [][]string) {
			body := get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String()
			return regexp.MustCompile(`<rect class="(\w+)" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/?>(?:<title>[^,<]*, (\w+)</title>)?`).FindAllStringSubmatch(body, -1)
		}
		time.Sleep(time.Second)
		for i, bar := range bars() {
			assert.Equal(t, []string{"none", strconv.Itoa(6 * i), "30", "4", "2", ""}, bar[1:], "nothing has run")
		}
		time.Sleep(2*time.Minute + 30*time.Second)
		got := bars()
		require.Len(t, got, 40)
		assert.Equal(t, []string{"none", "216", "30", "4", "2", ""}, got[36][1:])
		assert.Equal(t, []string{"ok", "222", "18", "4", "14", "4s"}, got[37][1:], "6 of 32, and a third of the other 26")
		assert.Equal(t, []string{"failed", "228", "9", "4", "23", "8s"}, got[38][1:])
		assert.Equal(t, []string{"ok", "234", "0", "4", "32", "12s"}, got[39][1:], "the longest")
	})
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
		stripped := http.NewServeMux()
		stripped.Handle("/readyz/", http.StripPrefix("/readyz", h))
		tests := []struct {
			name                   string
			handler                http.Handler
			endpoint, one, unknown string
		}{
			{"two patterns", mux("/readyz", "/readyz/{name}"), "/readyz", "/readyz/db", "/readyz/x"},
			{"with method", mux("GET /readyz", "GET /readyz/{name}"), "/readyz", "/readyz/db", "/readyz/x"},
			{"with host", mux("example.com/a/ready", "example.com/a/ready/"), "/a/ready", "/a/ready/db", "/a/ready/x"},
			{"subtree", mux("/a/ready/"), "/a/ready/", "/a/ready/db", "/a/ready/x"},
			{"everything", mux("/"), "/readyz", "/readyz/db", "/readyz/x"},
			{"tenants", mux("/{name}/readyz", "/{name}/readyz/"), "/acme/readyz", "/acme/readyz/db", "/acme/readyz/x"},
			{"stripped prefix", stripped, "/readyz/", "/readyz/db", "/readyz/x"},
			{"no router", h, "/readyz", "/db", "/x"},
			{"no router, no path", h, "/", "/readyz/db", "/readyz/x"},
		}
		for _, tt := range tests {
			for target, want := range map[string]string{tt.endpoint: "ok\n", tt.one: "[+] db up\n"} {
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

func TestOnDemandRunsWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Probe: s.probe, Period: health.OnDemand, Failures: 1},
			health.Check{Name: "other", Probe: new(switchable).probe})
		start(t, r)
		<-r.Ready()
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, s.calls.Load(), "not without a request")

		h := r.Handler(health.Ready)
		s.down.Store(true)
		assert.Equal(t, 503, get(h, "/readyz").Code)
		s.down.Store(false)
		assert.Equal(t, 200, get(h, "/readyz/db").Code)
		require.EqualValues(t, 3, s.calls.Load())

		get(h, "/readyz?exclude=db")
		get(h, "/readyz/other")
		r.Report(health.Ready)
		assert.EqualValues(t, 3, s.calls.Load(), "not when nobody wants to know")
	})
}

func TestOnDemandComesUpByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: upAfter(time.Second), Period: health.OnDemand})
		begin := time.Now()
		start(t, r)
		<-r.Ready()
		assert.LessOrEqual(t, time.Since(begin), 1100*time.Millisecond)
	})
}

func TestOnDemandStartupCheckIsDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Probe: s.probe, Period: health.OnDemand, Kind: health.Startup})
		start(t, r)
		synctest.Wait()
		for range 3 {
			assert.Equal(t, 200, get(r.Handler(health.Startup), "/readyz").Code)
		}
		assert.EqualValues(t, 1, s.calls.Load())
	})
}

func TestConcurrentRequestsShareOneRun(t *testing.T) {
	for _, demandedFirst := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int32
			r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand, Probe: func(context.Context) error {
				calls.Add(1)
				time.Sleep(200 * time.Millisecond)
				return nil
			}})
			start(t, r)
			synctest.Wait()
			runs := int32(1) // a run may be under way already
			if demandedFirst {
				<-r.Ready()
				time.Sleep(time.Second)
				runs = 2
			}
			h := r.Handler(health.Ready)
			begin := time.Now()
			var wg sync.WaitGroup
			for i := range 1000 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 100 * time.Microsecond)
					assert.Equal(t, 200, get(h, "/readyz").Code)
				})
			}
			wg.Wait()
			assert.Equal(t, 200*time.Millisecond, time.Since(begin))
			time.Sleep(time.Minute)
			assert.Equal(t, runs, calls.Load())
		})
	}
}

// A client that hangs up is answered at once, and neither cancels the check nor makes it fail.
func TestClientThatHangsUpProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand, Failures: 1, Probe: func(ctx context.Context) error {
			time.Sleep(200 * time.Millisecond)
			if err := ctx.Err(); err != nil {
				return err
			}
			return s.probe(ctx)
		}})
		start(t, r)
		<-r.Ready()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begin := time.Now()
		w := httptest.NewRecorder()
		r.Handler(health.Ready).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil))
		assert.Equal(t, 50*time.Millisecond, time.Since(begin))
		assert.Equal(t, 503, w.Code, "never a 200 for what was not seen")
		time.Sleep(time.Second)
		report := r.Report(health.Ready)
		assert.True(t, report.OK())
		assert.NoError(t, report.Checks[0].Last().Err)
		assert.EqualValues(t, 2, s.calls.Load())
	})
}

func TestOnDemandHangingProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		hang := make(chan struct{})
		r := newRegistry(t, health.Check{Name: "nfs", Period: health.OnDemand, Probe: func(context.Context) error {
			if calls.Add(1) == 2 {
				<-hang
			}
			return nil
		}})
		start(t, r)
		<-r.Ready()
		h := r.Handler(health.Ready)
		for i, want := range []int{200, 200, 503, 503} {
			assert.Equal(t, want, get(h, "/readyz").Code, "request %d", i)
		}
		assert.EqualValues(t, 2, calls.Load())
		close(hang)
		synctest.Wait()
		assert.Equal(t, 200, get(h, "/readyz").Code)
	})
}

func TestOnDemandAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand, Probe: new(switchable).probe, Kind: health.Live})
		stop := start(t, r)
		synctest.Wait()
		stop()
		assert.Equal(t, 200, get(r.Handler(health.Live), "/readyz").Code)
	})
}

func TestCachedAnswerAllocatesLittle(t *testing.T) {
	r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe})
	start(t, r)
	<-r.Ready()
	h, w, req := r.Handler(health.Ready), nullWriter{http.Header{}}, httptest.NewRequest("GET", "/readyz", nil)
	assert.Zero(t, testing.AllocsPerRun(100, func() { h.ServeHTTP(w, req) }))
}

// nullWriter is a ResponseWriter that costs nothing, so that only the handler is measured.
type nullWriter struct{ header http.Header }

func (w nullWriter) Header() http.Header         { return w.header }
func (w nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w nullWriter) WriteHeader(int)             {}

// FuzzHandler checks that no request can make the handler panic, answer with a status it does not have, or put
// markup into the page.
func FuzzHandler(f *testing.F) {
	f.Add("GET", "/readyz", "verbose&exclude=db,x", browserAccept)
	f.Add("HEAD", "/readyz/db", "exclude=%3Cscript%3E", "application/json;q=0.5, text/html;q=1e9")
	f.Add("POST", "//", "verbose=0", "text/html;q=NaN,*/*")
	f.Add("GET", "/a/../db", ";;%", ", ,text/plain; charset")
	r, err := health.New(health.Check{Name: "db", Probe: func(context.Context) error { return errBad }})
	require.NoError(f, err)
	h := r.Handler(health.Ready, health.Details(true))
	tags := func(body string) int { return strings.Count(body, "<") }
	pages := []int{
		tags(get(h, "/readyz", "text/html").Body.String()), tags(get(h, "/readyz?exclude=db", "text/html").Body.String()),
	}
	note := regexp.MustCompile(`(?m)^<p class="note">Asked to exclude &#34;[^<>"]*, but no check here has that name\.</p>$`)
	f.Fuzz(func(t *testing.T, method, path, query, accept string) {
		req := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Accept": {accept}}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if !slices.Contains([]int{200, 404, 405, 503}, w.Code) {
			t.Errorf("got status %d", w.Code)
		}
		if w.Header().Get("Content-Type") == "text/html; charset=utf-8" && method == "GET" {
			if got := tags(note.ReplaceAllString(w.Body.String(), "")); !slices.Contains(pages, got) {
				t.Errorf("got a page of %d tags, want one of %v:\n%s", got, pages, w.Body)
			}
		}
	})
}
