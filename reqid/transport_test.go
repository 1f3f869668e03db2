package reqid_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/reqid"
)

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// outbound returns the headers with which a request for this URL leaves.
func outbound(t testing.TB, ctx context.Context, target string, header http.Header, opts ...reqid.TransportOption) (sent http.Header) {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	req := (&http.Request{Method: "GET", URL: u, Header: header.Clone()}).WithContext(ctx)
	_, err = reqid.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		sent = r.Header
		return &http.Response{}, nil
	}), opts...).RoundTrip(req)
	require.NoError(t, err)
	assert.Equal(t, header, req.Header, "the caller's request was changed")
	return sent
}

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
		{"kube.internal", "http://\u212aube.internal/", false}, // the Kelvin sign is k in lower case
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
			sent := outbound(t, ctx, u.String(), nil, reqid.Hosts("first.invalid"), nil, reqid.Hosts(tt.pattern))
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

// inbound returns a context as Extract makes it.
func inbound(t testing.TB, in metadata) context.Context {
	t.Helper()
	ctx, err := reqid.Extract(context.Background(), in.get)
	require.NoError(t, err)
	return ctx
}

func TestTransportHeaders(t *testing.T) {
	ctx := inbound(t, metadata{
		"x-request-id": {"abc"}, "x-root-request-id": {"first"},
		"traceparent": {traceParent}, "tracestate": {"a=b"},
	})
	all := http.Header{"X-Request-Id": {"abc"}, "X-Root-Request-Id": {"first"}, "Traceparent": {traceParent}, "Tracestate": {"a=b"}}
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
		{"others", http.Header{"Accept": {"*/*"}}, with(all, "Accept", "*/*"), http.Header{"Accept": {"*/*"}}},
		{"our own, as a proxy copies it", all, all, http.Header{}},
		{"our ID alone", http.Header{"X-Request-Id": {"abc"}}, all, http.Header{}},
		{"our root as ID", http.Header{"X-Request-Id": {"first"}}, with(without(all, "X-Root-Request-Id"), "X-Request-Id", "first"), http.Header{}},
		{"an ID of the caller's", http.Header{"X-Request-Id": {"mine"}}, with(without(all, "X-Root-Request-Id"), "X-Request-Id", "mine"), http.Header{"X-Request-Id": {"mine"}}},
		{"two IDs", http.Header{"X-Request-Id": {"abc", "b"}}, with(without(all, "X-Root-Request-Id"), "X-Request-Id", "abc", "b"), http.Header{"X-Request-Id": {"abc", "b"}}},
		{"an empty ID", http.Header{"X-Request-Id": nil}, with(without(all, "X-Root-Request-Id"), "X-Request-Id"), http.Header{"X-Request-Id": nil}},
		{"a trace of the caller's", http.Header{"Traceparent": {otherTrace}}, with(without(all, "Tracestate"), "Traceparent", otherTrace), http.Header{"Traceparent": {otherTrace}}},
		{"our trace", http.Header{"Traceparent": {traceParent}}, all, http.Header{}},
		{"our ID under a key of another case", http.Header{"x-request-id": {"abc"}}, with(without(all, "X-Request-Id"), "x-request-id", "abc"), http.Header{}},
		{"our trace, another state", http.Header{"Traceparent": {traceParent}, "Tracestate": {"x=y"}}, with(all, "Tracestate", "x=y"), http.Header{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.allowed, outbound(t, ctx, "http://allowed/", tt.header, reqid.Hosts("allowed")), "allowed")
			assert.Equal(t, tt.forbidden, outbound(t, ctx, "http://forbidden/", tt.header, reqid.Hosts("allowed")), "forbidden")
		})
	}
}

func TestTransportHeaderOption(t *testing.T) {
	sent := outbound(t, withID(t, "abc", ""), "http://a/", nil, reqid.Hosts("a"), reqid.Header("x-correlation-id"))
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
	client := &http.Client{Transport: reqid.Transport(nil, reqid.Hosts(ours.Listener.Addr().String()))}
	defer client.CloseIdleConnections()
	tests := []struct {
		name        string
		header      http.Header
		ours, other http.Header
	}{
		{"nothing explicit", http.Header{}, http.Header{"X-Request-Id": {"abc"}, "Traceparent": {traceParent}}, http.Header{}},
		{"explicit ID", http.Header{"X-Request-Id": {"mine"}, "X-Root-Request-Id": {"root"}, "X-Other": {"o"}},
			http.Header{"X-Request-Id": {"mine"}, "X-Root-Request-Id": {"root"}, "X-Other": {"o"}, "Traceparent": {traceParent}}, http.Header{"X-Other": {"o"}}},
		{"explicit ID under a key of another case", http.Header{"x-request-id": {"mine"}},
			http.Header{"X-Request-Id": {"mine"}, "Traceparent": {traceParent}}, http.Header{}},
		{"explicit trace", http.Header{"Traceparent": {"00-" + suiteTrace + "-" + suiteSpan + "-00"}, "Tracestate": {"x=y"}},
			http.Header{"X-Request-Id": {"abc"}, "Traceparent": {"00-" + suiteTrace + "-" + suiteSpan + "-00"}, "Tracestate": {"x=y"}}, http.Header{}},
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
