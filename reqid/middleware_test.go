package reqid_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

func TestMiddlewareAdoptsAValidID(t *testing.T) {
	for _, id := range []string{"a", "123e4567-e89b-12d3-a456-426614174000",
		strings.Repeat("a", 128)} {
		got, res := serve(t, http.Header{"X-Request-Id": {id}})
		assert.Equal(t, id, got.id)
		assert.Equal(t, []string{id}, res.Header.Values("X-Request-ID"))
		assert.Equal(t, id, got.logged["requestID"])
		assert.Equal(t, metadata{"x-request-id": {id}}, got.sent)
		assert.Equal(t, http.Header{"X-Request-Id": {id}}, got.header)
	}
}

var hostileIDs = []struct {
	name   string
	values []string
}{
	{"empty", []string{""}},
	{"two", []string{"a", "b"}},
	{"two, one of them empty", []string{"a", ""}},
	{"two alike", []string{"a", "a"}},
	{"list", []string{"a,b"}},
	{"129 characters", []string{strings.Repeat("a", 129)}},
	{"900 KB", []string{strings.Repeat("a", 900<<10)}},
	{"CR LF", []string{"a\r\nSet-Cookie: b=c"}},
	{"line feed at the end", []string{"a\n"}},
	{"folded line", []string{"a b"}},
	{"spaces around", []string{" a "}},
	{"full-width digit", []string{"a１"}},
	{"quotes", []string{`"a"`}},
	{"JSON", []string{`","level":"error`}},
	{"U+2028", []string{"a\u2028b"}},
	{"invalid UTF-8", []string{"a\xffb"}},
	{"NUL", []string{"\x00"}},
}

func TestMiddlewareReplacesTheRest(t *testing.T) {
	for _, tt := range hostileIDs {
		t.Run(tt.name, func(t *testing.T) {
			got, res := serve(t, http.Header{"X-Request-Id": tt.values, "Accept": {"*/*"}})
			assert.Regexp(t, hexID, got.id)
			assert.Equal(t, []string{got.id}, res.Header.Values("X-Request-ID"))
			assert.Equal(t, got.id, got.logged["requestID"])
			assert.Equal(t, http.StatusTeapot, res.StatusCode)
			assert.Equal(t, http.Header{"X-Request-Id": {got.id}, "Accept": {"*/*"}}, got.header)
		})
	}
}

func TestMiddlewareMakesAMissingID(t *testing.T) {
	got, res := serve(t, nil)
	assert.Regexp(t, hexID, got.id)
	assert.Equal(t, got.id, res.Header.Get("X-Request-ID"))
	assert.Equal(t, got.id, got.logged["requestID"])
	again, _ := serve(t, nil)
	assert.NotEqual(t, got.id, again.id)
}

// The same over a real connection, where net/http has its say first: whatever it lets through is
// served, and nothing raw is logged.
func TestMiddlewareOverAConnection(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(lockedWriter{new(sync.Mutex), &out}, nil)))
	srv := httptest.NewServer(reqid.Middleware()(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		log.InfoContext(r.Context(), "served")
	})))
	defer srv.Close()
	tests := []struct{ name, lines string }{
		{"none", ""},
		{"empty", "X-Request-ID:\r\n"},
		{"Latin-1", "x-REQUEST-id: evil\xe9\r\n"},
		{"two", "X-Request-ID: evil\r\nx-request-id: evil\r\n"},
		{"folded line", "X-Request-ID: evil\r\n evil\r\n"},
		{"900 KB", "X-Request-ID: evil" + strings.Repeat("a", 900<<10) + "\r\n"},
		{"JSON", "X-Request-ID: evil\",\"level\":\"error\r\n"},
		{"U+2028", "X-Request-ID: evil\u2028\r\n"},
		{"invalid UTF-8", "X-Request-ID: evil\xff\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out.Reset()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n",
				tt.lines)
			require.NoError(t, err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer res.Body.Close()
			assert.Equal(t, http.StatusOK, res.StatusCode)
			require.Len(t, res.Header.Values("X-Request-ID"), 1)
			assert.Regexp(t, hexID, res.Header.Get("X-Request-ID"))
			srv.Client().CloseIdleConnections()
			assert.NotContains(t, out.String(), "evil")
			assert.Contains(t, out.String(), `"requestID":"`+res.Header.Get("X-Request-ID")+`"`)
		})
	}
}

func TestTrust(t *testing.T) {
	trust := reqid.Trust(func(r *http.Request) bool { return r.RemoteAddr == "192.0.2.1:1234" })
	header := func() http.Header {
		return http.Header{"X-Request-Id": {"abc"}, "Traceparent": {traceParent}}
	}
	got, _ := serve(t, header(), trust) // httptest's peer
	assert.Equal(t, metadata{"x-request-id": {"abc"}, "traceparent": {traceParent}}, got.sent)

	nobody := reqid.Trust(func(*http.Request) bool { return false })
	for _, opts := range [][]reqid.MiddlewareOption{{nobody}, {nobody, reqid.AdoptTrace()},
		{nobody, reqid.Chain()}} {
		got, res := serve(t, header(), opts...)
		assert.Regexp(t, hexID, got.id)
		assert.NotEqual(t, specTrace, got.id)
		assert.Equal(t, got.id, res.Header.Get("X-Request-ID"))
		assert.Equal(t, []string{got.id}, got.header["X-Request-Id"])
		assert.NotContains(t, got.sent, "traceparent")
		assert.NotContains(t, got.logged, "parentRequestID")
		assert.Equal(t, http.StatusTeapot, res.StatusCode)
	}
}

func TestMaxLen(t *testing.T) {
	assert.NotPanics(t, func() { reqid.MaxLen(1); reqid.MaxLen(128) })
	got, _ := serve(t, http.Header{"X-Request-Id": {"12345678"}}, reqid.MaxLen(8))
	assert.Equal(t, "12345678", got.id)
	got, _ = serve(t, http.Header{"X-Request-Id": {"123456789"}}, reqid.MaxLen(8))
	assert.Regexp(t, hexID, got.id)
}

func TestHeaderOption(t *testing.T) {
	for _, inbound := range []http.Header{nil, {"X-Correlation-Id": {"abc"}}} {
		var inside []string
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header = inbound.Clone()
		reqid.Middleware(reqid.Header("x-correlation-ID"))(http.HandlerFunc(
			func(_ http.ResponseWriter, r *http.Request) {
				inside = []string{reqid.FromContext(r.Context()), r.Header.Get("X-Correlation-ID")}
			})).ServeHTTP(w, r)
		id := w.Header().Get("X-Correlation-ID")
		assert.True(t, reqid.Valid(id))
		assert.Equal(t, []string{id, id}, inside)
		assert.Equal(t, inbound != nil, id == "abc")
		assert.NotContains(t, w.Header(), "X-Request-Id")
	}
}

func TestGenerator(t *testing.T) {
	returns := func(id string) reqid.Option {
		return reqid.Generator(func(context.Context) string { return id })
	}
	got, _ := serve(t, nil, returns("mine-1"))
	assert.Equal(t, "mine-1", got.id)
	for _, bad := range []string{"", "a b", "a\r\nb", "é", strings.Repeat("x", 129)} {
		got, res := serve(t, nil, returns(bad))
		assert.Regexp(t, hexID, got.id, "%q", bad)
		assert.Equal(t, got.id, res.Header.Get("X-Request-ID"))
	}
	unwanted := reqid.Generator(func(context.Context) string { panic("not needed") })
	got, _ = serve(t, http.Header{"X-Request-Id": {"abc"}}, unwanted)
	assert.Equal(t, "abc", got.id)
}

func TestAdoptTrace(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		opts   []reqid.MiddlewareOption
		want   string // "" is a fresh ID
	}{
		{"no ID", http.Header{"Traceparent": {traceParent}},
			[]reqid.MiddlewareOption{reqid.AdoptTrace()}, specTrace},
		{"empty ID", http.Header{"X-Request-Id": {""}, "Traceparent": {traceParent}},
			[]reqid.MiddlewareOption{reqid.AdoptTrace()}, specTrace},
		{"short IDs wanted", http.Header{"Traceparent": {traceParent}},
			[]reqid.MiddlewareOption{reqid.AdoptTrace(), reqid.MaxLen(8)}, specTrace},
		{"unknown flags", http.Header{"Traceparent": {"00-" + specTrace + "-" + specParent +
			"-ff"}}, []reqid.MiddlewareOption{reqid.AdoptTrace()}, specTrace},
		{"an ID wins", http.Header{"X-Request-Id": {"abc"}, "Traceparent": {traceParent}},
			[]reqid.MiddlewareOption{reqid.AdoptTrace()}, "abc"},
		{"a replaced ID is replaced by a fresh one",
			http.Header{"X-Request-Id": {"a b"}, "Traceparent": {traceParent}},
			[]reqid.MiddlewareOption{reqid.AdoptTrace()}, ""},
		{"no trace", nil, []reqid.MiddlewareOption{reqid.AdoptTrace()}, ""},
		{"bad trace", http.Header{"Traceparent": {strings.ToUpper(traceParent)}},
			[]reqid.MiddlewareOption{reqid.AdoptTrace()}, ""},
		{"two traces", http.Header{"Traceparent": {traceParent, traceParent}},
			[]reqid.MiddlewareOption{reqid.AdoptTrace()}, ""},
		{"not asked for", http.Header{"Traceparent": {traceParent}}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, res := serve(t, tt.header, tt.opts...)
			if tt.want == "" {
				assert.Regexp(t, hexID, got.id)
				assert.NotEqual(t, specTrace, got.id)
			} else {
				assert.Equal(t, tt.want, got.id)
			}
			assert.Equal(t, got.id, res.Header.Get("X-Request-ID"))
		})
	}
}

// A tracer around Middleware has begun a trace that no inbound header knows.
func TestSpanMakesBothIDsTheSameAtTheFirstHop(t *testing.T) {
	const own = "0af7651916cd43dd8448eb211c80319c"
	span := func(id string) reqid.Option {
		return reqid.Span(func(context.Context) string { return id })
	}
	nobody := reqid.Trust(func(*http.Request) bool { return false })
	traced := http.Header{"Traceparent": {traceParent}}
	tests := []struct {
		name   string
		header http.Header
		opts   []reqid.MiddlewareOption
		want   string // "" is a fresh ID
	}{
		{"first hop", nil, []reqid.MiddlewareOption{span(own)}, own},
		{"the span counts more", traced, []reqid.MiddlewareOption{span(own)}, own},
		{"no span", traced, []reqid.MiddlewareOption{span("")}, specTrace},
		{"no span, as OpenTelemetry says it", traced,
			[]reqid.MiddlewareOption{span(strings.Repeat("0", 32))}, specTrace},
		{"not valid", nil, []reqid.MiddlewareOption{span("a b")}, ""},
		{"no trace at all", nil, []reqid.MiddlewareOption{span("")}, ""},
		{"an ID wins", http.Header{"X-Request-Id": {"abc"}}, []reqid.MiddlewareOption{span(own)},
			"abc"},
		{"an ID that is not valid", http.Header{"X-Request-Id": {"a b"}},
			[]reqid.MiddlewareOption{span(own)}, ""},
		{"a stranger, a trace of our own", traced, []reqid.MiddlewareOption{span(own), nobody},
			own},
		{"a stranger's trace", traced, []reqid.MiddlewareOption{span(specTrace), nobody}, ""},
		{"a stranger's trace, of which a tracer takes the first",
			http.Header{"Traceparent": {traceParent, "x"}},
			[]reqid.MiddlewareOption{span(specTrace), nobody}, ""},
		{"a stranger's trace of a version to come, far too long",
			http.Header{"Traceparent": {"01" + traceParent[2:] + "-" + strings.Repeat("x", 600)}},
			[]reqid.MiddlewareOption{span(specTrace), nobody}, ""},
		{"a stranger, no span", traced, []reqid.MiddlewareOption{span(""), nobody}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := serve(t, tt.header, tt.opts...)
			if tt.want == "" {
				assert.Regexp(t, hexID, got.id)
				assert.NotContains(t, []string{own, specTrace}, got.id)
			} else {
				assert.Equal(t, tt.want, got.id)
			}
		})
	}
}

func TestGeneratorAndSpanSeeTheRequest(t *testing.T) {
	type key struct{}
	fromContext := func(ctx context.Context) string {
		id, _ := ctx.Value(key{}).(string)
		return id
	}
	for _, opt := range []reqid.Option{reqid.Generator(fromContext), reqid.Span(fromContext)} {
		r := httptest.NewRequest("GET", "/", nil)
		r = r.WithContext(context.WithValue(r.Context(), key{}, "of-this-request"))
		w := httptest.NewRecorder()
		reqid.Middleware(opt)(http.NotFoundHandler()).ServeHTTP(w, r)
		assert.Equal(t, "of-this-request", w.Header().Get("X-Request-ID"))
	}
}

// Whoever reads the header, inside or outside, before or after, finds the ID that is in the log.
func TestAGeneratedIDStandsOnTheRequest(t *testing.T) {
	for _, opts := range [][]reqid.MiddlewareOption{nil, {reqid.Chain()}} {
		var inside, upstream http.Header
		proxied := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
			r *http.Request) {
			upstream = r.Header
		}))
		defer proxied.Close()
		target, err := url.Parse(proxied.URL)
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(target)
		h := reqid.Middleware(opts...)(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			inside = r.Header.Clone()
			proxy.ServeHTTP(w, r)
		}))
		for _, header := range []http.Header{nil, {}, {"X-Request-Id": {"a b"}}} {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			r.Header = header.Clone()
			h.ServeHTTP(w, r)
			want := w.Header().Values("X-Request-ID")
			require.Len(t, want, 1)
			assert.Equal(t, want, inside["X-Request-Id"])
			assert.Equal(t, want, upstream["X-Request-Id"])
			if header != nil {
				assert.Equal(t, want, r.Header["X-Request-Id"], "an access log around it")
			}
			if opts != nil {
				assert.Equal(t, want, upstream["X-Root-Request-Id"])
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// Without the line that Middleware's doc gives, a ReverseProxy makes them two.
func TestOneIDBehindAReverseProxyWhoseUpstreamHasIDs(t *testing.T) {
	for _, chain := range []reqid.MiddlewareOption{nil, reqid.Chain()} {
		upstream := httptest.NewServer(reqid.Middleware(chain)(http.NotFoundHandler()))
		defer upstream.Close()
		target, err := url.Parse(upstream.URL)
		require.NoError(t, err)
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
		}}
		answer := func() []string {
			w := httptest.NewRecorder()
			reqid.Middleware()(proxy).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			return w.Header().Values("X-Request-ID")
		}
		assert.Len(t, answer(), 2)
		proxy.ModifyResponse = func(r *http.Response) error {
			r.Header.Del("X-Request-ID")
			return nil
		}
		assert.Len(t, answer(), 1)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A service without Chain between two that have it does not cut the chain.
func TestTheRootPassesThroughAServiceWithoutChain(t *testing.T) {
	got, _ := serve(t, http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"first"}})
	assert.Equal(t, metadata{"x-request-id": {"caller"}, "x-root-request-id": {"first"}}, got.sent)
	assert.Equal(t, "first", got.logged["rootRequestID"])
	assert.NotContains(t, got.logged, "parentRequestID")
}

func TestMiddlewareKeepsTheTraceContext(t *testing.T) {
	header := http.Header{
		"X-Request-Id": {"abc"}, "Traceparent": {traceParent},
		"Tracestate": {"a=b", "c=d"}, "Baggage": {"k=v", "l=w"},
	}
	got, _ := serve(t, header)
	assert.Equal(t, metadata{
		"x-request-id": {"abc"}, "traceparent": {traceParent},
		"tracestate": {"a=b,c=d"}, "baggage": {"k=v,l=w"},
	}, got.sent)
	assert.Equal(t, header, got.header)
}

func TestChain(t *testing.T) {
	tests := []struct {
		name         string
		header       http.Header
		opts         []reqid.MiddlewareOption
		parent, root string // root "" is the ID itself
	}{
		{"first hop", nil, nil, "", ""},
		{"second hop", http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"caller"}},
			nil, "caller", "caller"},
		{"third hop", http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"first"}}, nil,
			"caller", "first"},
		{"a caller without Chain", http.Header{"X-Request-Id": {"caller"}}, nil, "caller",
			"caller"},
		{"root not valid", http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"a b"}},
			nil, "caller", "caller"},
		{"two roots", http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"a", "b"}}, nil,
			"caller", "caller"},
		{"root without an ID", http.Header{"X-Root-Request-Id": {"first"}}, nil, "", ""},
		{"ID not valid", http.Header{"X-Request-Id": {"a b"}, "X-Root-Request-Id": {"first"}}, nil,
			"", ""},
		{"trace-id", http.Header{"Traceparent": {traceParent}},
			[]reqid.MiddlewareOption{reqid.AdoptTrace()}, specTrace, specTrace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, res := serve(t, tt.header, append(tt.opts, reqid.Chain())...)
			assert.Regexp(t, hexID, got.id)
			assert.NotEqual(t, tt.parent, got.id)
			root := tt.root
			if root == "" {
				root = got.id
			}
			assert.Equal(t, got.id, got.logged["requestID"])
			assert.Equal(t, root, got.logged["rootRequestID"])
			if tt.parent == "" {
				assert.NotContains(t, got.logged, "parentRequestID")
			} else {
				assert.Equal(t, tt.parent, got.logged["parentRequestID"])
			}
			assert.Equal(t, got.id, res.Header.Get("X-Request-ID"))
			assert.Equal(t, []string{got.id}, got.sent["x-request-id"])
			assert.Equal(t, []string{root}, got.sent["x-root-request-id"])
			assert.Equal(t, []string{root}, got.header["X-Root-Request-Id"],
				"what a proxy sends on")
		})
	}
}

// A→B→C over real connections: the tree is in the logs.
func TestChainOverThreeServices(t *testing.T) {
	type line struct{ Service, RequestID, ParentRequestID, RootRequestID string }
	var (
		mu    sync.Mutex
		lines []line
	)
	service := func(name, next string) *httptest.Server {
		var out bytes.Buffer
		log := slog.New(reqid.LogHandler(slog.NewJSONHandler(&out, nil))).With("service", name)
		client := &http.Client{Transport: reqid.Transport(nil, reqid.Hosts("127.0.0.1"))}
		srv := httptest.NewServer(reqid.Middleware(reqid.Chain())(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if next != "" {
				req, err := http.NewRequestWithContext(r.Context(), "GET", next, nil)
				if assert.NoError(t, err) {
					res, err := client.Do(req)
					if assert.NoError(t, err) {
						res.Body.Close()
					}
				}
			}
			log.InfoContext(r.Context(), "m")
			var l line
			assert.NoError(t, json.Unmarshal(out.Bytes(), &l))
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, l)
		})))
		t.Cleanup(srv.Close)
		t.Cleanup(client.CloseIdleConnections)
		return srv
	}
	c := service("C", "")
	b := service("B", c.URL)
	a := service("A", b.URL)
	res, err := http.Get(a.URL)
	require.NoError(t, err)
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()

	mu.Lock()
	defer mu.Unlock()
	require.Len(t, lines, 3)
	inC, inB, inA := lines[0], lines[1], lines[2]
	assert.Equal(t, res.Header.Get("X-Request-ID"), inA.RequestID)
	assert.Equal(t, line{"A", inA.RequestID, "", inA.RequestID}, inA)
	assert.Equal(t, line{"B", inB.RequestID, inA.RequestID, inA.RequestID}, inB)
	assert.Equal(t, line{"C", inC.RequestID, inB.RequestID, inA.RequestID}, inC)
}

func TestNestedMiddlewareKeepsIDAndUser(t *testing.T) {
	nobody := reqid.Trust(func(*http.Request) bool { return false })
	for _, inner := range []reqid.MiddlewareOption{nil, reqid.Chain(), nobody,
		reqid.Header("X-Correlation-ID")} {
		var userOutside string
		var outer, id string
		h := reqid.Middleware()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outer = reqid.FromContext(r.Context())
			reqid.Middleware(inner)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id = reqid.FromContext(r.Context())
				for key := range w.Header() {
					assert.Equal(t, []string{id}, r.Header[key])
				}
				reqid.SetUser(r.Context(), "alice")
			})).ServeHTTP(w, r)
			userOutside = reqid.User(r.Context())
		}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		assert.Equal(t, outer, id)
		assert.Equal(t, "alice", userOutside)
		assert.Equal(t, []string{id}, rec.Header().Values("X-Request-ID"))
		if correlation := rec.Header().Values("X-Correlation-ID"); len(correlation) > 0 {
			assert.Equal(t, []string{id}, correlation)
		}
	}
}

// An ID in the context of the server itself must not become that of all requests.
func TestBaseContextIsNotTheRequest(t *testing.T) {
	boot := withID(t, "boot", "root")
	var ids []string
	srv := httptest.NewUnstartedServer(reqid.Middleware()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ids = append(ids, reqid.FromContext(r.Context()), reqid.User(r.Context()))
	})))
	srv.Config.BaseContext = func(net.Listener) context.Context { return boot }
	srv.Start()
	defer srv.Close()
	for range 2 {
		res, err := srv.Client().Get(srv.URL)
		require.NoError(t, err)
		res.Body.Close()
	}
	require.Len(t, ids, 4)
	assert.Regexp(t, hexID, ids[0])
	assert.Empty(t, ids[1])
	assert.NotEqual(t, ids[0], ids[2])
}

// Handlers find every optional interface of the server's own ResponseWriter.
func TestMiddlewareDoesNotWrapTheResponseWriter(t *testing.T) {
	rec := httptest.NewRecorder()
	reqid.Middleware()(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		assert.Same(t, rec, w)
		w.Header().Add("X-Request-ID", "added")
	})).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	assert.Len(t, rec.Header().Values("X-Request-ID"), 2)
}

func TestTheHeaderIsThereWhenTheHandlerPanics(t *testing.T) {
	rec := httptest.NewRecorder()
	assert.PanicsWithValue(t, "bug", func() {
		reqid.Middleware()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic("bug")
		})).
			ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	})
	assert.Regexp(t, hexID, rec.Header().Get("X-Request-ID"))
}

func TestConcurrentRequestsKeepTheirIDs(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(reqid.LogHandler(textHandler(lockedWriter{new(sync.Mutex), &out})))
	h := reqid.Middleware(reqid.Logger(log))(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		id := r.Header.Get("X-Request-ID")
		reqid.SetUser(r.Context(), "user-of-"+id)
		log.InfoContext(r.Context(), "m", "want", id)
		reqid.L(r.Context()).WithGroup("g").Info("m", "want", id)
		log.InfoContext(r.Context(), "m", "want", id)
		_, _ = io.WriteString(w, reqid.FromContext(r.Context()))
	}))
	const requests = 200
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			id := fmt.Sprintf("id-%d", i)
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("X-Request-ID", id)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			assert.Equal(t, id, rec.Body.String())
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	assert.Len(t, lines, 3*requests)
	for _, line := range lines {
		var id, user, want string
		line = strings.Replace(line, " g.want=", " want=", 1)
		_, err := fmt.Sscanf(line, "msg=m requestID=%s username=%s want=%s", &id, &user, &want)
		require.NoError(t, err, line)
		assert.Equal(t, want, id)
		assert.Equal(t, "user-of-"+want, user)
	}
}

// What a handler, such as a proxy, reads as root is the root, and never what a stranger chose.
func TestTheRootOnTheRequest(t *testing.T) {
	long := strings.Repeat("r", 129)
	for name, tt := range map[string]struct {
		sent, want []string
		opts       []reqid.MiddlewareOption
	}{
		"passed by": {sent: []string{"root"}, want: []string{"root"}},
		"untrusted": {sent: []string{"root"},
			opts: []reqid.MiddlewareOption{reqid.Trust(func(*http.Request) bool { return false })}},
		"two":    {sent: []string{"root", "root"}},
		"long":   {sent: []string{long}},
		"quotes": {sent: []string{`","level":"error`}},
		"none":   {},
		"chain": {sent: []string{"root"}, want: []string{"root"},
			opts: []reqid.MiddlewareOption{reqid.Chain()}},
		"chain, not valid": {sent: []string{`"`}, want: []string{"caller"},
			opts: []reqid.MiddlewareOption{reqid.Chain()}},
		"chain, none": {want: []string{"caller"},
			opts: []reqid.MiddlewareOption{reqid.Chain()}},
		"longer than MaxLen": {sent: []string{"0123456789"},
			opts: []reqid.MiddlewareOption{reqid.MaxLen(9)}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("X-Request-ID", "caller")
			if tt.sent != nil {
				r.Header["X-Root-Request-Id"] = tt.sent
			}
			reqid.Middleware(tt.opts...)(http.HandlerFunc(func(_ http.ResponseWriter,
				r *http.Request) {
				got = r.Header.Values("X-Root-Request-ID")
			})).ServeHTTP(httptest.NewRecorder(), r)
			assert.Equal(t, tt.want, got)
		})
	}
}
