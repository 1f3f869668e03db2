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
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

// seen is what a request looked like from inside.
type seen struct {
	id     string
	header http.Header // of the request
	sent   metadata
	logged map[string]any
}

// serve sends a request with these header values, as they are, through Middleware.
func serve(t testing.TB, header http.Header, opts ...reqid.Option) (seen, *http.Response) {
	t.Helper()
	var (
		got seen
		out bytes.Buffer
	)
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(&out, nil)))
	h := reqid.Middleware(opts...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.id = reqid.FromContext(r.Context())
		got.header = r.Header
		got.sent = inject(r.Context())
		log.InfoContext(r.Context(), "m")
		w.WriteHeader(http.StatusTeapot)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	before := header.Clone()
	if header != nil {
		r.Header = header
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	assert.Equal(t, before, header, "the caller's header map was changed")
	require.NoError(t, json.Unmarshal(out.Bytes(), &got.logged))
	return got, rec.Result()
}

func TestMiddlewareAdoptsAValidID(t *testing.T) {
	for _, id := range []string{"a", "123e4567-e89b-12d3-a456-426614174000", strings.Repeat("a", 128)} {
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
	{"two alike", []string{"a", "a"}},
	{"list", []string{"a,b"}},
	{"129 characters", []string{strings.Repeat("a", 129)}},
	{"900 KB", []string{strings.Repeat("a", 900<<10)}},
	{"CR LF", []string{"a\r\nSet-Cookie: b=c"}},
	{"folded line", []string{"a b"}},
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
			assert.Equal(t, http.Header{"X-Request-Id": {got.id}, "Accept": {"*/*"}}, got.header, "a proxy must not send the raw value on")
		})
	}
}

func TestMiddlewareMakesAMissingID(t *testing.T) {
	got, res := serve(t, nil)
	assert.Regexp(t, hexID, got.id)
	assert.Equal(t, got.id, res.Header.Get("X-Request-ID"))
	assert.Equal(t, got.id, got.logged["requestID"])
	assert.NotContains(t, got.header, "X-Request-Id")
	again, _ := serve(t, nil)
	assert.NotEqual(t, got.id, again.id)
}

// The same over a real connection, where net/http has its say first: whatever it lets through
// is served, and nothing raw is logged.
func TestMiddlewareOverAConnection(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(reqid.LogHandler(slog.NewJSONHandler(lockedWriter{new(sync.Mutex), &out}, nil)))
	srv := httptest.NewServer(reqid.Middleware()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "served")
	})))
	defer srv.Close()
	tests := []struct{ name, lines string }{
		{"none", ""},
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
			_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", tt.lines)
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
	for _, opts := range [][]reqid.Option{{nobody}, {nobody, reqid.AdoptTrace()}, {nobody, reqid.Chain()}} {
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
	got, res := serve(t, http.Header{"X-Correlation-Id": {"abc"}, "X-Request-Id": {"other"}}, reqid.Header("x-correlation-ID"))
	assert.Equal(t, "abc", got.id)
	assert.Equal(t, "abc", res.Header.Get("X-Correlation-ID"))
	assert.NotContains(t, res.Header, "X-Request-Id")
}

func TestGenerator(t *testing.T) {
	got, _ := serve(t, nil, reqid.Generator(func() string { return "mine-1" }))
	assert.Equal(t, "mine-1", got.id)
	got, _ = serve(t, nil, reqid.Generator(func() string { return "not\nvalid" }))
	assert.Regexp(t, hexID, got.id)
	got, _ = serve(t, http.Header{"X-Request-Id": {"abc"}}, reqid.Generator(func() string { panic("not needed") }))
	assert.Equal(t, "abc", got.id)
}

func TestAdoptTrace(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		opts   []reqid.Option
		want   string // "" is a fresh ID
	}{
		{"no ID", http.Header{"Traceparent": {traceParent}}, []reqid.Option{reqid.AdoptTrace()}, specTrace},
		{"empty ID", http.Header{"X-Request-Id": {""}, "Traceparent": {traceParent}}, []reqid.Option{reqid.AdoptTrace()}, specTrace},
		{"short IDs wanted", http.Header{"Traceparent": {traceParent}}, []reqid.Option{reqid.AdoptTrace(), reqid.MaxLen(8)}, specTrace},
		{"unknown flags", http.Header{"Traceparent": {"00-" + specTrace + "-" + specParent + "-ff"}}, []reqid.Option{reqid.AdoptTrace()}, specTrace},
		{"an ID wins", http.Header{"X-Request-Id": {"abc"}, "Traceparent": {traceParent}}, []reqid.Option{reqid.AdoptTrace()}, "abc"},
		{"a replaced ID is replaced by a fresh one", http.Header{"X-Request-Id": {"a b"}, "Traceparent": {traceParent}}, []reqid.Option{reqid.AdoptTrace()}, ""},
		{"no trace", nil, []reqid.Option{reqid.AdoptTrace()}, ""},
		{"bad trace", http.Header{"Traceparent": {strings.ToUpper(traceParent)}}, []reqid.Option{reqid.AdoptTrace()}, ""},
		{"two traces", http.Header{"Traceparent": {traceParent, traceParent}}, []reqid.Option{reqid.AdoptTrace()}, ""},
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

func TestMiddlewareKeepsTheTraceContext(t *testing.T) {
	header := http.Header{"X-Request-Id": {"abc"}, "Traceparent": {traceParent}, "Tracestate": {"a=b", "c=d"}}
	got, _ := serve(t, header)
	assert.Equal(t, metadata{"x-request-id": {"abc"}, "traceparent": {traceParent}, "tracestate": {"a=b,c=d"}}, got.sent)
	assert.Equal(t, header, got.header)
}

func TestChain(t *testing.T) {
	tests := []struct {
		name         string
		header       http.Header
		opts         []reqid.Option
		parent, root string // root "" is the ID itself
	}{
		{"first hop", nil, nil, "", ""},
		{"second hop", http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"caller"}}, nil, "caller", "caller"},
		{"third hop", http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"first"}}, nil, "caller", "first"},
		{"a caller without Chain", http.Header{"X-Request-Id": {"caller"}}, nil, "caller", "caller"},
		{"root not valid", http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"a b"}}, nil, "caller", "caller"},
		{"two roots", http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": {"a", "b"}}, nil, "caller", "caller"},
		{"root without an ID", http.Header{"X-Root-Request-Id": {"first"}}, nil, "", ""},
		{"ID not valid", http.Header{"X-Request-Id": {"a b"}, "X-Root-Request-Id": {"first"}}, nil, "", ""},
		{"trace-id", http.Header{"Traceparent": {traceParent}}, []reqid.Option{reqid.AdoptTrace()}, specTrace, specTrace},
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
			for key, want := range map[string]string{"X-Request-Id": got.id, "X-Root-Request-Id": root} {
				if _, ok := tt.header[key]; ok {
					assert.Equal(t, []string{want}, got.header[key], "what a proxy sends on")
				}
			}
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
	for _, inner := range [][]reqid.Option{nil, {reqid.Chain()}, {reqid.Trust(func(*http.Request) bool { return false })}, {reqid.Header("X-Correlation-ID")}} {
		var userOutside string
		var outer, id string
		h := reqid.Middleware()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outer = reqid.FromContext(r.Context())
			reqid.Middleware(inner...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				id = reqid.FromContext(r.Context())
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
		reqid.Middleware()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("bug") })).
			ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	})
	assert.Regexp(t, hexID, rec.Header().Get("X-Request-ID"))
}

func TestConcurrentRequestsKeepTheirIDs(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(reqid.LogHandler(textHandler(lockedWriter{new(sync.Mutex), &out})))
	h := reqid.Middleware(reqid.Logger(log))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
