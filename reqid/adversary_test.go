package reqid_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gracekit/gracekit/reqid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests were written from the contract, by somebody who had not read the code.

const (
	spanExample = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	mintedID    = `^[0-9a-f]{32}$`
)

// sentBy returns the headers that a Transport sends for req.
func sentBy(t *testing.T, req *http.Request, opts ...reqid.TransportOption) http.Header {
	t.Helper()
	var sent http.Header
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		sent = r.Header.Clone()
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	})
	resp, err := reqid.Transport(base, opts...).RoundTrip(req)
	require.NoError(t, err)
	resp.Body.Close()
	return sent
}

// What a hostile client sends never stops the request, is never logged, answered or sent on,
// and its replacement is the same in all four places.
func TestAdversaryInboundHeader(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		values    []string
		untrusted bool
		adopted   bool
	}{
		"valid":             {values: []string{"a-B.9_:/+=@"}, adopted: true},
		"one byte":          {values: []string{"x"}, adopted: true},
		"128 bytes":         {values: []string{strings.Repeat("x", 128)}, adopted: true},
		"none":              {},
		"empty":             {values: []string{""}},
		"duplicate":         {values: []string{"same-value-here", "same-value-here"}},
		"two and one empty": {values: []string{"first-value-here", ""}},
		"joined by a comma": {values: []string{"first-value-here,second"}},
		"129 bytes":         {values: []string{strings.Repeat("x", 129)}},
		"900 KB":            {values: []string{strings.Repeat("x", 900<<10)}},
		"CR LF":             {values: []string{"evil-value\r\nSet-Cookie: a=b"}},
		"LF at the end":     {values: []string{"evil-value\n"}},
		"NUL":               {values: []string{"evil-value\x00"}},
		"quotes":            {values: []string{`evil-"value"`}},
		"JSON":              {values: []string{`evil-value","level":"error`}},
		"U+2028":            {values: []string{"evil-value\u2028"}},
		"invalid UTF-8":     {values: []string{"evil-value\xff"}},
		"full-width digit":  {values: []string{"evil-value１"}},
		"space around":      {values: []string{" evil-value "}},
		"untrusted":         {values: []string{"evil-value"}, untrusted: true},
	} {
		t.Run(name, func(t *testing.T) {
			var logs strings.Builder
			log := slog.New(reqid.LogHandler(slog.NewJSONHandler(&logs, nil)))
			var inContext, read string
			var out http.Header
			h := reqid.Middleware(reqid.Trust(func(*http.Request) bool { return !tt.untrusted }))(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					inContext, read = reqid.FromContext(r.Context()), r.Header.Get("X-Request-ID")
					log.InfoContext(r.Context(), "one")
					log.WithGroup("g").ErrorContext(r.Context(), "two", "k", "v")
					req, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://a.internal/", nil)
					out = sentBy(t, req, reqid.Hosts("a.internal"))
				}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if tt.values != nil {
				r.Header["X-Request-Id"] = tt.values
			}
			before := r.Header.Clone()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)

			assert.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, before, r.Header, "the caller's request was changed")
			if tt.adopted {
				require.Equal(t, tt.values[0], inContext)
			} else {
				require.Regexp(t, mintedID, inContext)
			}
			if len(tt.values) > 0 {
				assert.Equal(t, inContext, read, "what a handler reads")
			}
			assert.Equal(t, []string{inContext}, w.Header().Values("X-Request-ID"))
			assert.Equal(t, []string{inContext}, out.Values("X-Request-ID"))
			lines := strings.Split(strings.TrimSpace(logs.String()), "\n")
			require.Len(t, lines, 2)
			for _, line := range lines {
				assert.Contains(t, line, `"requestID":"`+inContext+`"`)
				assert.NotContains(t, line, "error\"")
			}
			if !tt.adopted {
				for _, raw := range []string{"evil", "value-here", strings.Repeat("x", 20), "Cookie"} {
					assert.NotContains(t, logs.String(), raw)
					assert.NotContains(t, fmt.Sprint(w.Header(), out), raw)
				}
			}
		})
	}
}

// The same through a real server, where the header goes over the wire.
func TestAdversaryRealServer(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	s := httptest.NewServer(reqid.Middleware()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- reqid.FromContext(r.Context())
	})))
	defer s.Close()
	for name, header := range map[string]string{
		"900 KB":           "X-Request-ID: " + strings.Repeat("x", 900<<10),
		"odd case":         "x-REQUEST-id: evil\"value",
		"two":              "X-Request-ID: a\r\nx-request-id: b",
		"latin-1":          "X-Request-ID: \xe9",
		"U+2028":           "X-Request-ID: \u2028",
		"empty":            "X-Request-ID:",
		"by Connection":    "Connection: X-Request-ID\r\nX-Request-ID: \x7f?",
		"JSON":             `X-Request-ID: ","level":"error`,
		"traceparent only": "traceparent: " + spanExample,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.Listener.Addr().String())
			require.NoError(t, err)
			defer c.Close()
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", header)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			if name == "by Connection" && resp.StatusCode == http.StatusBadRequest {
				t.Skip("net/http refuses this one before the middleware")
			}
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			id := <-seen
			assert.Regexp(t, mintedID, id)
			assert.Equal(t, []string{id}, resp.Header.Values("X-Request-ID"))
		})
	}
}

// Two middlewares that do not agree about anything give one ID, in the context, the answer and the log.
func TestAdversaryNestedMiddleware(t *testing.T) {
	t.Parallel()
	var ids []string
	leaf := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reqid.SetUser(r.Context(), "ann")
		ids = append(ids, reqid.FromContext(r.Context()))
	})
	between := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ids = append(ids, reqid.FromContext(r.Context()))
			next.ServeHTTP(w, r)
			assert.Equal(t, "ann", reqid.User(r.Context()))
		})
	}
	h := reqid.Middleware()(between(reqid.Middleware(reqid.Chain(), reqid.Header("X-Correlation-ID"))(between(reqid.Middleware()(leaf)))))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-ID", "outer")
	r.Header.Set("X-Correlation-ID", "inner")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	assert.Equal(t, []string{"outer", "outer", "outer"}, ids)
	assert.Equal(t, []string{"outer"}, w.Header().Values("X-Request-ID"))
	assert.Equal(t, []string{"outer"}, w.Header().Values("X-Correlation-ID"))
}

// A generator that fails does not become a hole.
func TestAdversaryGenerator(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "a b", "a\r\nb", "é", strings.Repeat("x", 129)} {
		var id string
		w := httptest.NewRecorder()
		reqid.Middleware(reqid.Generator(func() string { return bad }))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			id = reqid.FromContext(r.Context())
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		assert.Regexp(t, mintedID, id, "%q", bad)
		assert.Equal(t, id, w.Header().Get("X-Request-ID"))
	}
}

func TestAdversaryValid(t *testing.T) {
	t.Parallel()
	want := regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}\z`)
	for b := range 256 {
		for _, id := range []string{string([]byte{byte(b)}), "a" + string([]byte{byte(b)}), string([]byte{byte(b)}) + "a"} {
			assert.Equal(t, want.MatchString(id), reqid.Valid(id), "%q", id)
		}
	}
	for _, n := range []int{0, 1, 127, 128, 129, 1 << 20} {
		id := strings.Repeat("z", n)
		assert.Equal(t, n >= 1 && n <= 128, reqid.Valid(id), "%d bytes", n)
	}
}

// A→B→C is rebuilt from what the hops log, and a client cannot break the chain by forging the root.
func TestAdversaryChain(t *testing.T) {
	t.Parallel()
	hop := func(in http.Header) (out http.Header, line map[string]any) {
		var logs strings.Builder
		log := slog.New(reqid.LogHandler(slog.NewJSONHandler(&logs, nil)))
		reqid.Middleware(reqid.Chain())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			log.InfoContext(r.Context(), "m")
			req, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://a/", nil)
			out = sentBy(t, req, reqid.Hosts("a"))
		})).ServeHTTP(httptest.NewRecorder(), &http.Request{Method: "GET", URL: &url.URL{Path: "/"}, Header: in})
		return out, parse(t, logs.String())
	}
	toB, a := hop(http.Header{})
	toC, b := hop(toB)
	toD, c := hop(toC)
	assert.NotContains(t, a, "parentRequestID")
	assert.Equal(t, a["requestID"], a["rootRequestID"])
	assert.Equal(t, a["requestID"], b["parentRequestID"])
	assert.Equal(t, b["requestID"], c["parentRequestID"])
	assert.Equal(t, a["rootRequestID"], b["rootRequestID"])
	assert.Equal(t, a["rootRequestID"], c["rootRequestID"])
	assert.Len(t, toD, len(toB), "the cost of a hop grows")

	for _, root := range [][]string{{`","level":"error`}, {"a", "b"}, {strings.Repeat("r", 129)}, {""}} {
		out, line := hop(http.Header{"X-Request-Id": {"caller"}, "X-Root-Request-Id": root})
		assert.Equal(t, "caller", line["parentRequestID"], "%q", root)
		assert.Equal(t, "caller", line["rootRequestID"], "%q", root)
		assert.Equal(t, "caller", out.Get("X-Root-Request-ID"), "%q", root)
	}
	// A root without an ID is nobody's.
	_, line := hop(http.Header{"X-Root-Request-Id": {"forged"}})
	assert.Equal(t, line["requestID"], line["rootRequestID"])
}

// What a handler, such as a proxy, reads as root is never what a stranger chose.
func TestAdversaryRootHeader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("r", 129)
	for name, tt := range map[string]struct {
		sent, want []string
		opts       []reqid.Option
	}{
		"passed by":          {sent: []string{"root"}, want: []string{"root"}},
		"untrusted":          {sent: []string{"root"}, opts: []reqid.Option{reqid.Trust(func(*http.Request) bool { return false })}},
		"two":                {sent: []string{"root", "root"}},
		"long":               {sent: []string{long}},
		"quotes":             {sent: []string{`","level":"error`}},
		"none":               {},
		"chain":              {sent: []string{"root"}, want: []string{"root"}, opts: []reqid.Option{reqid.Chain()}},
		"chain, not valid":   {sent: []string{`"`}, want: []string{"caller"}, opts: []reqid.Option{reqid.Chain()}},
		"chain, none":        {opts: []reqid.Option{reqid.Chain()}},
		"longer than MaxLen": {sent: []string{"0123456789"}, opts: []reqid.Option{reqid.MaxLen(9)}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("X-Request-ID", "caller")
			if tt.sent != nil {
				r.Header["X-Root-Request-Id"] = tt.sent
			}
			reqid.Middleware(tt.opts...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = r.Header.Values("X-Root-Request-ID")
			})).ServeHTTP(httptest.NewRecorder(), r)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.sent, r.Header.Values("X-Root-Request-ID"), "the caller's request was changed")
		})
	}
}

func TestAdversaryTransportOddRequests(t *testing.T) {
	t.Parallel()
	ctx, err := reqid.NewContext(t.Context(), "mine")
	require.NoError(t, err)
	parsed := func(s string) *url.URL { u, err := url.Parse(s); require.NoError(t, err); return u }

	t.Run("nil header", func(t *testing.T) {
		req := (&http.Request{Method: "GET", URL: parsed("http://a/")}).WithContext(ctx)
		assert.Equal(t, "mine", sentBy(t, req, reqid.Hosts("a")).Get("X-Request-ID"))
		assert.Nil(t, req.Header)
	})
	t.Run("nil header, not allowed", func(t *testing.T) {
		req := (&http.Request{Method: "GET", URL: parsed("http://b/")}).WithContext(ctx)
		assert.Empty(t, sentBy(t, req, reqid.Hosts("a")))
	})
	t.Run("nil URL", func(t *testing.T) {
		req := (&http.Request{Method: "GET", Host: "a"}).WithContext(ctx)
		assert.NotPanics(t, func() { assert.Empty(t, sentBy(t, req, reqid.Hosts("a"))) })
	})
	t.Run("Host header does not allow", func(t *testing.T) {
		req := (&http.Request{Method: "GET", URL: parsed("http://evil/"), Host: "a"}).WithContext(ctx)
		assert.Empty(t, sentBy(t, req, reqid.Hosts("a")))
	})
	for _, u := range []string{
		"http://a.internal.evil.com/", "http://evil.com/a.internal", "http://a.internal@evil.com/", "http://evila.internal/",
		"http://a.internal..evil/", "http://evil.com#a.internal", "http://xa.internal:80/", "http://.internal/", "http://b.a.internal/",
	} {
		t.Run(u, func(t *testing.T) {
			req := (&http.Request{Method: "GET", URL: parsed(u)}).WithContext(ctx)
			assert.Empty(t, sentBy(t, req, reqid.Hosts("a.internal", "*.svc.local")))
		})
	}
	for _, u := range []string{"http://A.Internal/", "http://a.internal./", "https://user:pw@a.internal:99/x", "http://b.svc.local", "http://c.b.svc.local:1"} {
		t.Run(u, func(t *testing.T) {
			req := (&http.Request{Method: "GET", URL: parsed(u)}).WithContext(ctx)
			assert.Equal(t, "mine", sentBy(t, req, reqid.Hosts("a.internal", "*.svc.local")).Get("X-Request-ID"))
		})
	}
	for _, u := range []string{"http://é/", "http://a_b!/", "http:///path", "http://10.1.2.4/", "http://10.1.2.3./", "http://[::ffff:10.1.2.3]/"} {
		t.Run(u+" beside an address", func(t *testing.T) {
			req := (&http.Request{Method: "GET", URL: parsed(u)}).WithContext(ctx)
			assert.Empty(t, sentBy(t, req, reqid.Hosts("10.1.2.3")))
		})
	}
	t.Run("no context of ours", func(t *testing.T) {
		req, _ := http.NewRequest(http.MethodGet, "http://a/", nil)
		assert.Empty(t, sentBy(t, req, reqid.Hosts("a")))
	})
}

// None of the three IDs of a chain leaves for a host that is not ours, even if a handler
// copied it into X-Request-ID.
func TestAdversaryTransportKeepsTheChainIn(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-ID", "parent")
	r.Header.Set("X-Root-Request-ID", "root")
	reqid.Middleware(reqid.Chain())(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for id, want := range map[string][]string{"parent": nil, "root": nil, reqid.FromContext(r.Context()): nil, "theirs": {"theirs"}} {
			req, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://other/", nil)
			req.Header.Set("X-Request-ID", id)
			assert.Equal(t, want, sentBy(t, req, reqid.Hosts("a")).Values("X-Request-ID"), id)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// What is none of our business goes to other hosts as it is.
func TestAdversaryTransportLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	in := map[string][]string{"x-request-id": {"mine"}, "x-root-request-id": {"root"}, "traceparent": {spanExample}, "tracestate": {"ours=1"}}
	ctx, err := reqid.Extract(t.Context(), func(k string) []string { return in[k] })
	require.NoError(t, err)
	other := spanExample[:36] + "1111111111111111-00"
	for name, tt := range map[string]struct{ header, want http.Header }{
		"their trace":             {http.Header{"Traceparent": {other}, "Tracestate": {"theirs=1"}}, http.Header{"Traceparent": {other}, "Tracestate": {"theirs=1"}}},
		"our trace, their state":  {http.Header{"Traceparent": {spanExample}, "Tracestate": {"theirs=1"}}, http.Header{}},
		"our root in odd case":    {http.Header{"x-ROOT-request-id": {"root"}}, http.Header{}},
		"our trace in odd case":   {http.Header{"traceParent": {spanExample}}, http.Header{}},
		"our ID in odd case":      {http.Header{"x-request-ID": {"mine"}}, http.Header{}},
		"their root":              {http.Header{"X-Root-Request-Id": {"theirs"}}, http.Header{"X-Root-Request-Id": {"theirs"}}},
		"another header, our ID":  {http.Header{"X-Other": {"mine"}}, http.Header{"X-Other": {"mine"}}},
		"an empty ID of a caller": {http.Header{"X-Request-Id": {""}}, http.Header{"X-Request-Id": {""}}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ctx := range []context.Context{ctx, context.Background()} {
				want := tt.want
				if ctx == context.Background() {
					want = tt.header // nothing to recognise it by
				}
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://other/", nil)
				req.Header = tt.header.Clone()
				assert.Equal(t, want, sentBy(t, req, reqid.Hosts("a")))
			}
		})
	}
}

// One request, sent by many goroutines at once, is never written to.
func TestAdversaryTransportSharedRequest(t *testing.T) {
	t.Parallel()
	ctx, err := reqid.NewContext(t.Context(), "mine")
	require.NoError(t, err)
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/", nil)
	req.Header.Set("Accept", "x")
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("X-Base", "writes") // a base may do what it likes to what it is given
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{"Got": r.Header["X-Request-Id"]}}, nil
	})
	rt := reqid.Transport(base, reqid.Hosts("a"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				resp, err := rt.RoundTrip(req)
				if assert.NoError(t, err) {
					assert.Equal(t, []string{"mine"}, resp.Header["Got"])
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, http.Header{"Accept": {"x"}}, req.Header)
}

// allowed → other → allowed: the hop in the middle gets nothing.
func TestAdversaryRedirects(t *testing.T) {
	t.Parallel()
	type hop struct {
		host string
		h    http.Header
	}
	var hops []hop
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		hops = append(hops, hop{r.URL.Host, r.Header.Clone()})
		next := map[string]string{"a:1": "http://b:2/", "b:2": "http://a:3/"}[r.URL.Host]
		resp := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: r}
		if next != "" {
			resp.StatusCode, resp.Header = http.StatusTemporaryRedirect, http.Header{"Location": {next}}
		}
		return resp, nil
	})
	client := &http.Client{Transport: reqid.Transport(base, reqid.Hosts("a"))}
	ctx, err := reqid.Extract(t.Context(), func(k string) []string {
		return map[string][]string{"x-request-id": {"mine"}, "x-root-request-id": {"root"}, "traceparent": {spanExample}, "tracestate": {"v=1"}}[k]
	})
	require.NoError(t, err)
	for _, own := range []bool{false, true} {
		hops = nil
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://a:1/", strings.NewReader("body"))
		want := "mine"
		if own {
			want = "chosen-by-caller"
			req.Header.Set("X-Request-ID", want)
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.Len(t, hops, 3)
		assert.Equal(t, want, hops[0].h.Get("X-Request-ID"))
		assert.Equal(t, spanExample, hops[0].h.Get("traceparent"))
		for _, k := range []string{"X-Request-Id", "X-Root-Request-Id", "Traceparent", "Tracestate"} {
			assert.NotContains(t, hops[1].h, k)
		}
		assert.NotEmpty(t, hops[2].h.Get("X-Request-ID"))
	}
}

// What came in by a message may hold what HTTP refuses: it must not make every outbound call fail,
// nor grow until the next hop refuses it.
func TestAdversaryTraceContextIsPassable(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Got", strings.Join(r.Header.Values("traceparent"), "|"))
		w.Header().Set("State", r.Header.Get("tracestate"))
	}))
	defer s.Close()
	client := &http.Client{Transport: reqid.Transport(s.Client().Transport, reqid.Hosts("127.0.0.1"))}
	for name, tt := range map[string]struct {
		parent, state   []string
		want, wantState string
	}{
		"plain":             {parent: []string{spanExample}, state: []string{"a=b"}, want: spanExample, wantState: "a=b"},
		"flags above 3":     {parent: []string{spanExample[:53] + "ff"}, want: spanExample[:53] + "ff"},
		"higher version":    {parent: []string{"cc" + spanExample[2:] + "-what"}, want: "cc" + spanExample[2:] + "-what"},
		"tab in state":      {parent: []string{spanExample}, state: []string{"a=b,\tc=d"}, want: spanExample, wantState: "a=b,\tc=d"},
		"two states":        {parent: []string{spanExample}, state: []string{"a=b", "c=d"}, want: spanExample, wantState: "a=b,c=d"},
		"CR LF in state":    {parent: []string{spanExample}, state: []string{"a=b\r\nX-Evil: 1"}, want: spanExample},
		"NUL in state":      {parent: []string{spanExample}, state: []string{"a=\x00"}, want: spanExample},
		"900 KB of state":   {parent: []string{spanExample}, state: []string{strings.Repeat("a=b,", 225<<10)}, want: spanExample},
		"5 MB of state":     {parent: []string{spanExample}, state: []string{strings.Repeat("a=b,", 5<<18)}, want: spanExample},
		"CR LF in future":   {parent: []string{"cc" + spanExample[2:] + "-a\r\nX-Evil: 1"}},
		"5 MB of future":    {parent: []string{"cc" + spanExample[2:] + "-" + strings.Repeat("a", 5<<20)}},
		"two parents":       {parent: []string{spanExample, spanExample}},
		"zero trace":        {parent: []string{"00-" + strings.Repeat("0", 32) + spanExample[35:]}, state: []string{"a=b"}},
		"state, no parent":  {state: []string{"a=b"}},
		"upper-case parent": {parent: []string{strings.ToUpper(spanExample)}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, err := reqid.Extract(t.Context(), func(k string) []string {
				return map[string][]string{"traceparent": tt.parent, "tracestate": tt.state}[k]
			})
			require.NoError(t, err)
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
			resp, err := client.Do(req)
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			assert.Equal(t, tt.want, resp.Header.Get("Got"))
			assert.Equal(t, tt.wantState, resp.Header.Get("State"))
		})
	}
}

// The error of Extract is there to be logged: it must not carry the attack into the log.
func TestAdversaryExtractError(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"huge": {strings.Repeat("x", 900<<10)}, "two": {"a", "b"}, "many": make([]string, 10000), "CR LF": {"a\r\nb"},
		"U+2028": {"\u2028"}, "invalid UTF-8": {"\xff\xfe"}, "two huge": {strings.Repeat("é", 1<<20), strings.Repeat("é", 1<<20)}, "empty": {""},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, err := reqid.Extract(t.Context(), func(k string) []string {
				if k == "x-request-id" {
					return values
				}
				return nil
			})
			assert.Regexp(t, mintedID, reqid.FromContext(ctx))
			require.ErrorIs(t, err, reqid.ErrInvalidID)
			assert.Less(t, len(err.Error()), 300)
			assert.Regexp(t, `^[ -~]*$`, err.Error())
		})
	}
}

// Detach must not keep the request alive, and must outlive it.
func TestAdversaryDetachKeepsNothing(t *testing.T) {
	t.Parallel()
	type key struct{}
	collected := make(chan struct{})
	var detached context.Context
	func() {
		big := new([1 << 20]byte)
		runtime.AddCleanup(big, func(c chan struct{}) { close(c) }, collected)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, big))
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
		reqid.Middleware()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			reqid.SetUser(r.Context(), "ann")
			detached = reqid.Detach(r.Context())
			reqid.SetUser(r.Context(), "bob")
		})).ServeHTTP(httptest.NewRecorder(), r)
		cancel()
	}()
	assert.NoError(t, detached.Err())
	assert.Nil(t, detached.Value(key{}))
	_, has := detached.Deadline()
	assert.False(t, has)
	assert.Equal(t, "ann", reqid.User(detached))
	for range 100 {
		runtime.GC()
		runtime.Gosched()
		select {
		case <-collected:
			runtime.KeepAlive(detached)
			return
		default:
		}
	}
	t.Error("the request's values are still reachable from the detached context")
}

// The ordinary parts of the API hold against odd use too.
func TestAdversaryOddUse(t *testing.T) {
	t.Parallel()
	assert.False(t, reqid.SetUser(context.Background(), "ann"))
	assert.Empty(t, reqid.User(context.Background()))
	assert.Empty(t, reqid.FromContext(context.Background()))
	assert.Equal(t, context.Background(), reqid.Detach(context.Background()))
	reqid.Inject(context.Background(), func(k, v string) { t.Errorf("set(%q, %q)", k, v) })
	assert.NotNil(t, reqid.L(context.Background()))

	ctx, err := reqid.NewContext(t.Context(), "bad id")
	require.ErrorIs(t, err, reqid.ErrInvalidID)
	assert.Equal(t, t.Context(), ctx)

	ctx, err = reqid.NewContext(t.Context(), "good")
	require.NoError(t, err)
	assert.True(t, reqid.SetUser(ctx, "ann"))
	inner, err := reqid.NewContext(ctx, "other")
	require.NoError(t, err)
	assert.Equal(t, "ann", reqid.User(inner))
	reqid.SetUser(inner, "bob")
	assert.Equal(t, "ann", reqid.User(ctx))

	for name, f := range map[string]func(){
		"Trust":      func() { reqid.Trust(nil) },
		"MaxLen 0":   func() { reqid.MaxLen(0) },
		"MaxLen 129": func() { reqid.MaxLen(129) },
		"Generator":  func() { reqid.Generator(nil) },
		"Logger":     func() { reqid.Logger(nil) },
		"LogHandler": func() { reqid.LogHandler(nil) },
		"same keys": func() {
			reqid.LogHandler(slog.NewTextHandler(io.Discard, nil), reqid.Rename(reqid.ParentKey, "id"), reqid.Rename(reqid.RequestIDKey, "id"))
		},
		"Rename":     func() { reqid.Rename("nonsense", "x") },
		"Header":     func() { reqid.Header("a b") },
		"Header CR":  func() { reqid.Header("a\r\nb") },
		"no Header":  func() { reqid.Header("") },
		"root":       func() { reqid.Header("x-root-request-id") },
		"trace":      func() { reqid.Header("TRACEPARENT") },
		"Hosts *":    func() { reqid.Hosts("*") },
		"Hosts":      func() { reqid.Hosts("") },
		"Hosts URL":  func() { reqid.Hosts("http://a") },
		"Hosts *.*":  func() { reqid.Hosts("*.*.a") },
		"Hosts port": func() { reqid.Hosts("a:99999") },
		"Hosts long": func() { reqid.Hosts(strings.Repeat("a.", 126) + "aa") }, // 254 bytes
	} {
		assert.Panics(t, f, name)
	}
	assert.NotPanics(t, func() {
		reqid.Middleware(nil, reqid.MaxLen(1))
		reqid.Transport(nil, nil, reqid.Hosts(strings.Repeat("a.", 127))) // 253 bytes and the dot of the root
		reqid.LogHandler(slog.NewTextHandler(io.Discard, nil), nil, reqid.Rename(reqid.ParentKey, ""), reqid.Rename(reqid.RootKey, ""))
	})
	assert.Equal(t, "", (reqid.TraceParent{}).String())
	assert.True(t, maps.Equal(map[reqid.TraceParent]int{{}: 1}, map[reqid.TraceParent]int{{}: 1}))
}
