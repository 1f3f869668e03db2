package reqid_test

import (
	"errors"
	"io"
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

func TestHosts(t *testing.T) {
	tests := []struct {
		pattern, url string
		want         bool
	}{
		{"api.internal", "http://api.internal/", true},
		{"api.internal", "https://api.internal:8443/", true},
		{"api.internal", "http://API.Internal/", true},
		{"API.internal.", "http://api.internal/", true},
		{"api.internal", "http://api.internal./", true},
		{"api.internal", "http://api.internal../", false},
		{"api.internal", "http://api.internal.evil.example/", false},
		{"api.internal", "http://evil-api.internal/", false},
		{"api.internal", "http://x.api.internal/", false},
		{"api.internal", "http://api.internal@evil.example/", false},
		{"api.internal", "http://evil.example/api.internal", false},
		{"api.internal", "http://evil.example?api.internal", false},
		{"api.internal", "http:///path", false},
		{"kube.internal", "http://\u212aube.internal/", false},
		// the Kelvin sign is k in lower case
		{"xn--bcher-kva.example", "http://xn--bcher-kva.example/", true},
		{"xn--bcher-kva.example", "http://bücher.example/", false},
		{"under_score", "http://under_score/", true},

		{"api.internal:8443", "https://api.internal:8443/", true},
		{"api.internal:8443", "https://api.internal/", false},
		{"api.internal:443", "https://api.internal/", true},
		{"api.internal:80", "http://api.internal/", true},
		{"api.internal:80", "http://api.internal:/", true},
		{"api.internal:80", "https://api.internal/", false},
		{"api.internal:80", "http+unix://api.internal/", false},
		{"api.internal:80", "http://api.internal:8080/", false},

		{"*.example.com", "http://a.example.com/", true},
		{"*.example.com", "http://a.b.EXAMPLE.com/", true},
		{"*.example.com", "http://example.com/", false},
		{"*.example.com", "http://.example.com/", false},
		{"*.example.com", "http://evilexample.com/", false},
		{"*.example.com", "http://a.example.com.evil.example/", false},
		{"*.example.com", "http://evil.example%00.example.com/", false},
		{"*.example.com:81", "http://a.example.com:81/", true},
		{"*.example.com:81", "http://a.example.com/", false},

		{"127.0.0.1", "http://127.0.0.1:1234/", true},
		{"127.0.0.1", "http://127.0.0.10/", false},
		{"127.0.0.1", "http://127.1/", false},
		{"127.0.0.1", "http://localhost/", false},
		{"localhost", "http://127.0.0.1/", false},
		{"*.0.0.1", "http://127.0.0.1/", false},
		{"::1", "http://[::1]/", true},
		{"[::1]", "http://[::1]:80/", true},
		{"[::1]:80", "http://[0:0:0:0:0:0:0:1]/", true},
		{"[::1]:80", "http://[::1]:81/", false},
		{"fe80::1%eth0", "http://[fe80::1%25eth0]/", true},
		{"fe80::1", "http://[fe80::1%25eth0]/", false},
	}
	ctx := withID(t, "abc", "")
	for _, tt := range tests {
		t.Run(tt.pattern+" and "+tt.url, func(t *testing.T) {
			u, err := url.Parse(tt.url)
			if err != nil {
				assert.False(t, tt.want, err)
				return
			}
			sent := outbound(t, ctx, u.String(), nil, reqid.Hosts("first.invalid"), nil,
				reqid.Hosts(tt.pattern))
			assert.Equal(t, tt.want, sent.Get("X-Request-ID") == "abc")
			assert.Equal(t, tt.want, len(sent) > 0)
		})
	}
}

func TestTransportWithoutHostsSendsNothing(t *testing.T) {
	assert.Empty(t, outbound(t, withID(t, "abc", ""), "http://127.0.0.1/", nil))
	assert.Empty(t, outbound(t, withID(t, "abc", ""), "http://127.0.0.1/", nil, reqid.Hosts()))
}

func TestTransportWithoutAnIDSendsNothing(t *testing.T) {
	assert.Empty(t, outbound(t, t.Context(), "http://a/", nil, reqid.Hosts("a")))
}

func TestTransportHeaders(t *testing.T) {
	ctx := inbound(t, metadata{
		"x-request-id": {"abc"}, "x-root-request-id": {"first"},
		"traceparent": {traceParent}, "tracestate": {"a=b"}, "baggage": {"k=v", "l=w"},
	})
	all := http.Header{
		"X-Request-Id": {"abc"}, "X-Root-Request-Id": {"first"},
		"Traceparent": {traceParent}, "Tracestate": {"a=b"}, "Baggage": {"k=v,l=w"},
	}
	with := func(h http.Header, key string, values ...string) http.Header {
		h = h.Clone()
		h[key] = values
		return h
	}
	without := func(h http.Header, keys ...string) http.Header {
		h = h.Clone()
		for _, key := range keys {
			delete(h, key)
		}
		return h
	}
	otherTrace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	tests := []struct {
		name      string
		header    http.Header
		allowed   http.Header
		forbidden http.Header
	}{
		{"nothing", nil, all, nil},
		{"others", http.Header{"Accept": {"*/*"}}, with(all, "Accept", "*/*"),
			http.Header{"Accept": {"*/*"}}},
		{"our own, as a proxy copies it", all, all, http.Header{}},
		{"our ID alone", http.Header{"X-Request-Id": {"abc"}}, all, http.Header{}},
		{"our root as ID", http.Header{"X-Request-Id": {"first"}},
			with(without(all, "X-Root-Request-Id"), "X-Request-Id", "first"), http.Header{}},
		{"an ID of the caller's", http.Header{"X-Request-Id": {"mine"}},
			with(without(all, "X-Root-Request-Id"), "X-Request-Id", "mine"),
			http.Header{"X-Request-Id": {"mine"}}},
		{"two IDs", http.Header{"X-Request-Id": {"abc", "b"}},
			with(without(all, "X-Root-Request-Id"), "X-Request-Id", "abc", "b"),
			http.Header{"X-Request-Id": {"abc", "b"}}},
		{"an empty ID", http.Header{"X-Request-Id": nil},
			with(without(all, "X-Root-Request-Id"), "X-Request-Id"),
			http.Header{"X-Request-Id": nil}},
		{"a trace of the caller's", http.Header{"Traceparent": {otherTrace}},
			with(without(all, "Tracestate"), "Traceparent", otherTrace),
			http.Header{"Traceparent": {otherTrace}}},
		{"our trace", http.Header{"Traceparent": {traceParent}}, all, http.Header{}},
		{"our ID under a key of another case", http.Header{"x-request-id": {"abc"}},
			with(without(all, "X-Request-Id"), "x-request-id", "abc"), http.Header{}},
		{"our baggage", http.Header{"Baggage": {"k=v,l=w"}}, all, http.Header{}},
		{"our baggage, as it came", http.Header{"Baggage": {"k=v", "l=w"}},
			with(all, "Baggage", "k=v", "l=w"), http.Header{}},
		{"baggage of the caller's", http.Header{"Baggage": {"k=v"}}, with(all, "Baggage", "k=v"),
			http.Header{"Baggage": {"k=v"}}},
		{"a root of the caller's", http.Header{"X-Root-Request-Id": {"theirs"}},
			with(all, "X-Root-Request-Id", "theirs"), http.Header{"X-Root-Request-Id": {"theirs"}}},
		{"our ID in another header", http.Header{"X-Other": {"abc"}}, with(all, "X-Other", "abc"),
			http.Header{"X-Other": {"abc"}}},
		{"our trace, another state", http.Header{"Traceparent": {traceParent},
			"Tracestate": {"x=y"}}, with(all, "Tracestate", "x=y"), http.Header{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.allowed, outbound(t, ctx, "http://allowed/", tt.header,
				reqid.Hosts("allowed")), "allowed")
			assert.Equal(t, tt.forbidden, outbound(t, ctx, "http://forbidden/", tt.header,
				reqid.Hosts("allowed")), "forbidden")
		})
	}
}

func TestTransportHeaderOption(t *testing.T) {
	sent := outbound(t, withID(t, "abc", ""), "http://a/", nil, reqid.Hosts("a"),
		reqid.Header("x-correlation-id"))
	assert.Equal(t, http.Header{"X-Correlation-Id": {"abc"}}, sent)
}

func TestTransportOnRedirects(t *testing.T) {
	type hop struct {
		host   string
		header http.Header
	}
	var hops []hop
	record := func(next func() string) *httptest.Server {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := r.Header.Clone()
			h.Del("User-Agent")
			h.Del("Accept-Encoding")
			h.Del("Referer")
			hops = append(hops, hop{r.Host, h})
			if r.URL.Path == "/end" {
				return
			}
			http.Redirect(w, r, next(), http.StatusTemporaryRedirect)
		}))
		t.Cleanup(srv.Close)
		return srv
	}
	var ours, theirs *httptest.Server
	ours = record(func() string { return theirs.URL })
	theirs = record(func() string { return ours.URL + "/end" })

	ctx := inbound(t, metadata{"x-request-id": {"abc"}, "traceparent": {traceParent}})
	client := &http.Client{Transport: reqid.Transport(nil,
		reqid.Hosts(ours.Listener.Addr().String()))}
	defer client.CloseIdleConnections()
	tests := []struct {
		name        string
		header      http.Header
		ours, other http.Header
	}{
		{"nothing explicit", http.Header{},
			http.Header{"X-Request-Id": {"abc"}, "Traceparent": {traceParent}}, http.Header{}},
		{"explicit ID", http.Header{"X-Request-Id": {"mine"}, "X-Root-Request-Id": {"root"},
			"X-Other": {"o"}},
			http.Header{"X-Request-Id": {"mine"}, "X-Root-Request-Id": {"root"}, "X-Other": {"o"},
				"Traceparent": {traceParent}}, http.Header{"X-Other": {"o"}}},
		{"explicit baggage", http.Header{"Baggage": {"k=v"}},
			http.Header{"X-Request-Id": {"abc"}, "Traceparent": {traceParent}, "Baggage": {"k=v"}},
			http.Header{}},
		{"explicit ID under a key of another case", http.Header{"x-request-id": {"mine"}},
			http.Header{"X-Request-Id": {"mine"}, "Traceparent": {traceParent}}, http.Header{}},
		{"explicit trace", http.Header{"Traceparent": {"00-" + suiteTrace + "-" + suiteSpan +
			"-00"}, "Tracestate": {"x=y"}},
			http.Header{"X-Request-Id": {"abc"},
				"Traceparent": {"00-" + suiteTrace + "-" + suiteSpan + "-00"},
				"Tracestate":  {"x=y"}}, http.Header{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hops = nil
			req, err := http.NewRequestWithContext(ctx, "GET", ours.URL, nil)
			require.NoError(t, err)
			req.Header = tt.header.Clone()
			res, err := client.Do(req)
			require.NoError(t, err)
			res.Body.Close()
			assert.Equal(t, []hop{
				{ours.Listener.Addr().String(), tt.ours},
				{theirs.Listener.Addr().String(), tt.other},
				{ours.Listener.Addr().String(), tt.ours},
			}, hops)
			assert.Equal(t, tt.header, req.Header)
		})
	}
	t.Run("without an ID in the context", func(t *testing.T) {
		hops = nil
		req, err := http.NewRequest("GET", ours.URL, nil)
		require.NoError(t, err)
		req.Header.Set("X-Request-ID", "mine")
		res, err := client.Do(req)
		require.NoError(t, err)
		res.Body.Close()
		require.Len(t, hops, 3)
		assert.Equal(t, http.Header{}, hops[1].header)
		assert.Equal(t, http.Header{"X-Request-Id": {"mine"}}, hops[2].header)
	})
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestTransportLeavesTheBodyToItsBase(t *testing.T) {
	errBase := errors.New("no route")
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		return nil, errBase
	})
	for _, host := range []string{"allowed", "forbidden"} {
		body := &closeCounter{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(withID(t, "abc", ""), "POST", "http://"+host, body)
		require.NoError(t, err)
		res, err := reqid.Transport(base, reqid.Hosts("allowed")).RoundTrip(req)
		assert.ErrorIs(t, err, errBase)
		assert.Nil(t, res)
		assert.Equal(t, 1, body.closed)
	}
}

func TestTransportWithARequestThatIsNotOne(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	_, err := reqid.Transport(nil, reqid.Hosts("a")).RoundTrip(&http.Request{Body: body})
	assert.ErrorContains(t, err, "nil Request.URL")
	assert.Equal(t, 1, body.closed)
}

type idleCloser struct {
	roundTripFunc
	closed *int
}

func (c idleCloser) CloseIdleConnections() { *c.closed++ }

func TestTransportClosesIdleConnections(t *testing.T) {
	var closed int
	(&http.Client{Transport: reqid.Transport(idleCloser{closed: &closed})}).CloseIdleConnections()
	assert.Equal(t, 1, closed)
	(&http.Client{Transport: reqid.Transport(roundTripFunc(nil))}).CloseIdleConnections()
}

// What a client sent raw does not pass through a reverse proxy, with or without Transport.
func TestReverseProxySendsTheIDThatCounts(t *testing.T) {
	var got []string
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Values("X-Request-ID")
	}))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	for _, opts := range [][]reqid.TransportOption{nil, {reqid.Hosts("127.0.0.1")}} {
		proxy := &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport: reqid.Transport(nil, opts...),
		}
		for _, option := range []reqid.Option{nil, reqid.Chain()} {
			h := reqid.Middleware(option)(proxy)
			for _, inbound := range []string{"client", "not valid"} {
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("X-Request-ID", inbound)
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if opts == nil {
					assert.Empty(t, got)
				} else {
					assert.Equal(t, rec.Header().Values("X-Request-ID"), got)
				}
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestTransportWithOddRequests(t *testing.T) {
	ctx := withID(t, "mine", "")
	target := func(s string) *url.URL { u, err := url.Parse(s); require.NoError(t, err); return u }
	tests := []struct {
		name string
		req  *http.Request
		want string
	}{
		{"no header", &http.Request{URL: target("http://a/")}, "mine"},
		{"no header, not allowed", &http.Request{URL: target("http://b/")}, ""},
		{"no URL", &http.Request{Host: "a"}, ""},
		{"the Host header does not allow", &http.Request{URL: target("http://b/"), Host: "a"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
				assert.Equal(t, tt.want, r.Header.Get("X-Request-ID"))
				return nil, nil
			})
			_, err := reqid.Transport(base, reqid.Hosts("a")).RoundTrip(tt.req.WithContext(ctx))
			assert.NoError(t, err)
			assert.Nil(t, tt.req.Header)
		})
	}
}

// None of the three IDs of a chain leaves for a host that is not ours, even if a handler copied it
// into X-Request-ID.
func TestTransportKeepsTheChainIn(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-ID", "parent")
	r.Header.Set("X-Root-Request-ID", "root")
	reqid.Middleware(reqid.Chain())(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for id, want := range map[string]http.Header{
			"parent": {}, "root": {}, reqid.FromContext(r.Context()): {},
			"theirs": {"X-Request-Id": {"theirs"}},
		} {
			header := http.Header{"X-Request-Id": {id}}
			assert.Equal(t, want, outbound(t, r.Context(), "http://b/", header, reqid.Hosts("a")),
				id)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// One request, sent by many goroutines at once, is never written to.
func TestTransportNeverWritesToTheRequest(t *testing.T) {
	ctx, err := reqid.NewContext(t.Context(), "mine")
	require.NoError(t, err)
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/", nil)
	req.Header.Set("Accept", "x")
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("X-Base", "writes") // a base may do what it likes to what it is given
		return &http.Response{StatusCode: 200, Body: http.NoBody,
			Header: http.Header{"Got": r.Header["X-Request-Id"]}}, nil
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
