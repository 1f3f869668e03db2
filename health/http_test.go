package health_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

func TestHTTPStatus(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		opts   []health.HTTPOption
		want   string // "" for success
	}{
		{"ok", 200, "ok", nil, ""},
		{"no content", 204, "", nil, ""},
		{"the last that is ok", 299, "", nil, ""},
		{"the first that is not", 300, "", nil, "got 300 Multiple Choices, expected 200 to 299"},
		{"nil option", 200, "", []health.HTTPOption{nil}, ""},
		{"server error", 500, "", nil, "got 500 Internal Server Error, expected 200 to 299"},
		{"not ready", 503, "mysql down\nmore", nil,
			`got 503 Service Unavailable, expected 200 to 299: "mysql down"`},
		{"not found", 404, "", nil, "got 404 Not Found"},
		{"unknown status", 299 + 160, "", nil, "got 459, expected"},
		{"expected status", 401, "", []health.HTTPOption{health.ExpectStatus(200, 401)}, ""},
		{"unexpected status", 204, "", []health.HTTPOption{health.ExpectStatus(200, 401)},
			"got 204 No Content, expected 200 or 401"},
		{"control characters", 500, "\x1b[2Jgone\r\nmore", nil, `\x1b[2Jgone`},
		{"endless line", 500, strings.Repeat("é", 3000), nil, "é…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, answer(tt.status, tt.body))
			err := health.HTTP(srv.URL+"/readyz", tt.opts...)(t.Context())
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, "GET "+srv.URL+"/readyz: ")
			assert.Less(t, len(err.Error()), 400)
		})
	}
}

func TestHTTPShowsOnlyText(t *testing.T) {
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		answer(500, "<html>")(w, nil)
	}))
	assert.NotContains(t, health.HTTP(srv.URL)(t.Context()).Error(), "<")
}

func TestHTTPRedirect(t *testing.T) {
	elsewhere := serve(t, answer(200, ""))
	srv := serve(t, http.RedirectHandler(elsewhere.URL+"/login?token=s3cret", http.StatusFound))

	err := health.HTTP(srv.URL)(t.Context())
	assert.ErrorContains(t, err, "got 302 Found to "+elsewhere.URL+"/login, expected 200 to 299")
	assert.NoError(t, health.HTTP(srv.URL, health.ExpectStatus(302))(t.Context()))
	assert.ErrorContains(t, health.HTTP(srv.URL, health.Client(&http.Client{}))(t.Context()),
		"got 302", "a client does not change that")

	follow := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	assert.NoError(t, health.HTTP(srv.URL, health.Client(follow))(t.Context()), "unless it says so")
	wildcard := strings.Replace(srv.URL, "127.0.0.1", "0.0.0.0", 1)
	assert.NoError(t, health.HTTP(wildcard, health.Client(follow))(t.Context()),
		"the redirect leads to another port")
}

func TestHTTPBodies(t *testing.T) {
	stall := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string // "" for success
	}{
		{"endless body", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}, ""},
		{"endless body of a failure", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}, "got 500"},
		{"slow body", stall, "got 200, then no complete body: context deadline exceeded"},
		{"slow header", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"context deadline exceeded"},
		{"body cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "short")
		}, "got 200, then no complete body: unexpected EOF"},
		{"connection cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, tt.handler)
			limit := 10 * time.Second
			if strings.HasPrefix(tt.name, "slow") {
				limit = 2 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := health.HTTP(srv.URL)(ctx)
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// net/http goes on with a TLS handshake after the request has ended, for as long as the server is
// silent. Nothing of that is left when an attempt is over.
func TestHTTPLeavesNoConnection(t *testing.T) {
	for name, url := range map[string]string{"TLS": "https://", "plain": "http://"} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, "tcp", "127.0.0.1:0")
			var open, opened atomic.Int32
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					open.Add(1)
					if opened.Add(1) == 3 {
						cancel() // in the middle of an attempt
					}
					go func() {
						_, _ = io.Copy(io.Discard, c)
						_ = c.Close()
						open.Add(-1)
					}()
				}
			}()
			require.Error(t, health.Wait(ctx, health.HTTP(url+l.Addr().String()),
				health.AttemptTimeout(50*time.Millisecond)))
			assert.Eventually(t, func() bool { return open.Load() == 0 },
				10*time.Second, time.Millisecond, "a connection is still open")
		})
	}
}

// What follows on "101 Switching Protocols" is no body. One such answer fails an attempt at once.
func TestHTTPSwitchingProtocols(t *testing.T) {
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
			"Upgrade: x\r\n\r\n")
		_, _ = io.Copy(io.Discard, c) // until the client hangs up
		_ = c.Close()
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := health.HTTP(srv.URL)(ctx)
	assert.ErrorContains(t, err, "got 101 Switching Protocols, expected 200 to 299")
	assert.NoError(t, ctx.Err())
}

// For the race detector: net/http changes the TLS configuration of a Transport.
func TestHTTPIsSafeForConcurrentUse(t *testing.T) {
	srv := httptest.NewUnstartedServer(answer(200, ""))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	probe := health.HTTP(srv.URL, health.TLS(&tls.Config{RootCAs: roots}))
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { assert.NoError(t, probe(t.Context())) })
	}
	all.Wait()
}

func TestHTTPRequest(t *testing.T) {
	got := make(chan *http.Request, 1)
	srv := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	url := strings.Replace(srv.URL, "http://", "http://me:pw@", 1) + "/readyz?deep=1"
	err := health.HTTP(url, health.Header("X-Probe", "a"), health.Header("x-probe", "b"),
		health.Host("api.example.com"))(t.Context())
	require.NoError(t, err)
	r := <-got
	assert.Equal(t, "GET", r.Method)
	assert.Equal(t, "/readyz?deep=1", r.URL.String())
	assert.Equal(t, []string{"a", "b"}, r.Header["X-Probe"])
	assert.Equal(t, "api.example.com", r.Host)
	assert.True(t, r.Close, "no connection is kept")
	user, password, _ := r.BasicAuth()
	assert.Equal(t, "me pw", user+" "+password)
}

func TestHTTPErrorsHideSecrets(t *testing.T) {
	closed := closedAddr(t)
	for _, url := range []string{
		"http://user:s3cret@" + closed + "/readyz?token=s3cret",
		"http://user:s3cret@host:badport/",
		"http://user:s3/cret@host/",
		"http://user:s3cret%zz@host/",
		"http://host:s3cret?token=s3cret",
		"ftp://user:s3cret@host/",
		"user:s3cret@host",
		"http:user:s3cret@host",
		"http://user:s3cret@:0/",
		"//user:s3cret@host/",
	} {
		err := health.HTTP(url)(t.Context())
		require.Error(t, err, url)
		assert.NotContains(t, err.Error(), "s3cret", url)
		assert.NotContains(t, err.Error(), "user:", url)
	}
	assert.ErrorContains(t, health.HTTP("http://user:pw@"+closed+"/readyz?a=b")(t.Context()),
		"GET http://"+closed+"/readyz: ")
}

func TestHTTPBadURL(t *testing.T) {
	tests := []struct{ name, url, want string }{
		{"empty", "", "expected http:// or https://"},
		{"no scheme", "localhost:8080/readyz",
			`HTTP("localhost:8080/readyz"): expected http:// or https://`},
		{"other scheme", "ftp://localhost/", `HTTP("ftp://localhost/"): expected http`},
		{"no host", "http:///readyz", "missing port"},
		{"port 0", "http://localhost:0/", "use Listener"},
		{"rubbish", "http://a b/",
			`HTTP("http://a b/"): expected a URL: invalid character " " in host name`},
		{"bad host", "http://10.0.0.256/", `host "10.0.0.256"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := health.HTTP(tt.url)(t.Context())
			assert.ErrorContains(t, err, tt.want)
			assert.ErrorIs(t, err, health.ErrPermanent)
		})
	}
}

func TestHTTPNetworkErrors(t *testing.T) {
	err := health.HTTP("http://" + closedAddr(t))(t.Context())
	assert.ErrorIs(t, err, refused())

	// RFC 6761, 6.4: .invalid never resolves; here it is asked for from a resolver that answers
	// nothing, so nobody else is contacted.
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn,
		error) {
		return nil, errBad
	}}
	dialer := &net.Dialer{Resolver: resolver}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
	err = health.HTTP("http://db.invalid/", health.Client(client))(t.Context())
	dnsErr, ok := errors.AsType[*net.DNSError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "db.invalid", dnsErr.Name)
	assert.ErrorContains(t, err, "GET http://db.invalid/: ")
}

func TestHTTPTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(answer(200, ""))
	srv.Config.ErrorLog = discardLog
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())

	err := health.HTTP(srv.URL)(t.Context())
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	assert.True(t, unknown, "%v", err)
	assert.ErrorContains(t, err, "certificate signed by unknown authority")

	assert.NoError(t, health.HTTP(srv.URL, health.TLS(&tls.Config{RootCAs: roots}))(t.Context()))
	assert.NoError(t, health.HTTP(srv.URL, health.Client(srv.Client()))(t.Context()))

	l := srv.Listener
	assert.NoError(t, health.Listener(l, "/", health.TLS(&tls.Config{RootCAs: roots}))(t.Context()))
	assert.NoError(t, health.Listener(l, "/", health.TLS(&tls.Config{RootCAs: roots}),
		health.Host("example.com:443"))(t.Context()),
		"the certificate is for example.com")
	err = health.Listener(l, "/", health.TLS(&tls.Config{RootCAs: roots}),
		health.Host("example.net"))(t.Context())
	assert.ErrorContains(t, err, "not example.net")
	err = health.Listener(l, "/", health.TLS(&tls.Config{RootCAs: roots, ServerName: "example.com"}),
		health.Host("example.net"))(t.Context())
	assert.NoError(t, err, "ServerName of the config wins")

	err = health.Listener(l, "/")(t.Context())
	assert.ErrorContains(t, err, "HTTP request to an HTTPS server",
		"what the server says is passed on")
}

// net/http reads the environment once in a process and exempts "localhost" and loopback addresses
// from proxies, so the test is a process of its own and calls the host "LOCALHOST", which is the
// same to a resolver but not to that exemption.
func TestHTTPIgnoresProxies(t *testing.T) {
	const target = "GRACEKIT_TEST_PROXY_TARGET"
	if url := os.Getenv(target); url != "" {
		_, err := http.Get(url)
		require.Error(t, err, "the proxy of the test is not in force")
		assert.NoError(t, health.HTTP(url)(t.Context()))
		return
	}
	srv := serve(t, answer(200, ""))
	url := strings.Replace(srv.URL, "127.0.0.1", "LOCALHOST", 1)
	if err := health.HTTP(url)(t.Context()); err != nil {
		t.Skipf("localhost is unknown here: %v", err)
	}
	proxy := "http://" + closedAddr(t)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHTTPIgnoresProxies$")
	child.Env = append(os.Environ(), target+"="+url, "HTTP_PROXY="+proxy, "http_proxy="+proxy,
		"NO_PROXY=", "no_proxy=")
	out, err := child.CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

func TestListenerAddresses(t *testing.T) {
	tests := []struct{ name, network, addr string }{
		{"IPv4", "tcp4", "127.0.0.1:0"},
		{"IPv4 wildcard", "tcp4", "0.0.0.0:0"},
		{"all interfaces", "tcp", ":0"},
		{"IPv6", "tcp6", "[::1]:0"},
		{"IPv6-only wildcard", "tcp6", "[::]:0"},
		{"unix socket", "unix", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.network == "unix" {
				if runtime.GOOS == "windows" {
					t.Skip("unix sockets of Windows have other limits")
				}
				tt.addr = socketPath(t)
			}
			l := listen(t, tt.network, tt.addr)
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/readyz?deep", r.URL.String())
			})}
			served := make(chan struct{})
			go func() { defer close(served); _ = srv.Serve(l) }()
			defer func() { srv.Close(); <-served }()

			assert.NoError(t, health.Listener(l, "/readyz?deep")(t.Context()))
			if tt.network != "unix" {
				_, port, _ := net.SplitHostPort(l.Addr().String())
				host, _, _ := net.SplitHostPort(tt.addr)
				assert.NoError(t, health.HTTP("http://"+net.JoinHostPort(host,
					port)+"/readyz?deep")(t.Context()))
				assert.NoError(t, health.Listener(l, "/readyz?deep",
					health.Client(&http.Client{Timeout: time.Minute}))(t.Context()))
			}
		})
	}
}

type fakeListener struct{ addr net.Addr }

func (fakeListener) Accept() (net.Conn, error) { return nil, io.EOF }

func (fakeListener) Close() error { return nil }

func (l fakeListener) Addr() net.Addr { return l.addr }

type fakeAddr struct{ network, addr string }

func (a fakeAddr) Network() string { return a.network }

func (a fakeAddr) String() string { return a.addr }

func TestListenerRefuses(t *testing.T) {
	var typedNil *net.TCPListener
	own := health.Client(&http.Client{Transport: http.DefaultTransport})
	tests := []struct {
		name  string
		probe health.Probe
		want  string
	}{
		{"nil", health.Listener(nil, "/"), "expected a listener"},
		{"typed nil", health.Listener(typedNil, "/"), "expected a listener"},
		{"no address", health.Listener(fakeListener{}, "/"), "expected a listener"},
		{"relative path", health.Listener(fakeListener{fakeAddr{"tcp", ":80"}}, "readyz"),
			`expected a path that begins with /`},
		{"URL", health.Listener(fakeListener{fakeAddr{"tcp", ":80"}}, "http://x/"),
			`expected a path that begins with /`},
		{"other network", health.Listener(fakeListener{fakeAddr{"bufconn", "bufconn"}}, "/"),
			`network "bufconn": expected tcp or unix`},
		{"bad address", health.Listener(fakeListener{fakeAddr{"tcp", "x"}}, "/"), "missing port"},
		{"transport and unix", health.Listener(fakeListener{fakeAddr{"unix", "/s"}}, "/", own),
			"must dial the unix socket itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.probe(t.Context())
			assert.ErrorContains(t, err, tt.want)
			assert.ErrorIs(t, err, health.ErrPermanent)
		})
	}
}

func TestHeaderTakesWhatCanBeSent(t *testing.T) {
	for _, key := range []string{"0", "9", "a", "z", "A", "Z", "!#$%&'*+-.^_`|~"} {
		assert.NotPanics(t, func() { health.Header(key, " ~\té") }, key)
	}
	for _, key := range []string{"a/b", "a:b", "a@b", "a[b", "a{b", "a\x7f", "\u0080", "é"} {
		assert.Panics(t, func() { health.Header(key, "") }, key)
	}
	for _, value := range []string{"\x1f", "\x00", "\x7f"} {
		assert.Panics(t, func() { health.Header("a", value) }, "%q", value)
	}
}

func TestHTTPOptionsPanic(t *testing.T) {
	tests := []struct {
		name string
		fn   func()
		want string
	}{
		{"no status", func() { health.ExpectStatus() },
			"health: ExpectStatus(): expected at least one status"},
		{"status", func() { health.ExpectStatus(200, 20) },
			"health: ExpectStatus(20): expected 200 to 599"},
		{"no header", func() { health.Header("", "") },
			`health: Header("", …): expected the name of a header`},
		{"header", func() { health.Header("a b", "") },
			`health: Header("a b", …): expected the name of a header`},
		{"header value", func() { health.Header("A", "s3cret\n") },
			`health: Header("A", …): the value contains a control character`},
		{"host header", func() { health.Header("host", "a") },
			`health: Header("host", …): use the option Host`},
		{"no host", func() { health.Host("") }, `health: Host(""): expected host or host:port`},
		{"host with path", func() { health.Host("a/b") },
			`health: Host("a/b"): expected host or host:port`},
		{"host beyond ASCII", func() { health.Host("bücher.example") },
			`health: Host("bücher.example"): expected Punycode, such as xn--bcher-kva.example`},
		{"nil client", func() { health.Client(nil) }, "health: Client(nil): expected an *http.Client"},
		{"nil TLS", func() { health.TLS(nil) }, "health: TLS(nil): expected a *tls.Config"},
		{"TLS and transport", func() {
			health.HTTP("https://localhost", health.TLS(&tls.Config{}),
				health.Client(&http.Client{Transport: http.DefaultTransport}))
		}, "health: TLS and Client: the Transport of the client has a TLS configuration of its own"},
		{"H2C and transport", func() {
			health.HTTP("http://localhost", health.H2C(),
				health.Client(&http.Client{Transport: http.DefaultTransport}))
		}, "health: H2C and Client: the Transport of the client chooses its protocols itself"},
		{"H2C and TLS", func() {
			health.HTTP("http://localhost", health.H2C(),
				health.TLS(&tls.Config{}))
		},
			"health: H2C and TLS: H2C is HTTP/2 without TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.PanicsWithValue(t, tt.want, tt.fn) })
	}
}

// Servers that speak nothing but HTTP/2, as those for gRPC do.
func TestHTTP2(t *testing.T) {
	only2 := func(set func(*http.Protocols)) *httptest.Server {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, 2, r.ProtoMajor)
		}))
		srv.Config.ErrorLog = discardLog
		srv.Config.Protocols = new(http.Protocols)
		set(srv.Config.Protocols)
		t.Cleanup(srv.Close)
		return srv
	}
	withTLS := only2(func(p *http.Protocols) { p.SetHTTP2(true) })
	withTLS.EnableHTTP2 = true
	withTLS.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(withTLS.Certificate())
	trust := health.TLS(&tls.Config{RootCAs: roots})
	plain := only2(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	plain.Start()
	old := serve(t, answer(200, ""))
	redirect := serve(t, http.RedirectHandler(withTLS.URL, http.StatusFound))
	follow := health.Client(&http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return nil },
	})

	tests := []struct {
		name  string
		probe health.Probe
		want  string // "" for success
	}{
		{"TLS", health.HTTP(withTLS.URL, trust), ""},
		{"TLS, redirected", health.HTTP(redirect.URL, trust, follow), ""},
		{"TLS, listener", health.Listener(withTLS.Listener, "/", trust), ""},
		{"h2c", health.HTTP(plain.URL, health.H2C()), ""},
		{"h2c, listener", health.Listener(plain.Listener, "/", health.H2C()), ""},
		{"h2c, wildcard", health.HTTP(strings.Replace(plain.URL, "127.0.0.1", "", 1), health.H2C()), ""},
		{"h2c without the option", health.HTTP(plain.URL), "GET " + plain.URL + ": "},
		{"HTTP/1 with the option", health.HTTP(old.URL, health.H2C()), "GET " + old.URL + ": "},
		{"https", health.HTTP("https://localhost", health.H2C()),
			"H2C is HTTP/2 without TLS: expected http://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			for range 2 { // every attempt is a connection
				if err := tt.probe(ctx); tt.want == "" {
					assert.NoError(t, err)
				} else {
					assert.ErrorContains(t, err, tt.want)
				}
			}
		})
	}
}

func TestHTTPUnixURL(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("unix sockets of Windows have other limits")
	}
	paths := make(chan string, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.String()
		if r.URL.Path == "/down" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	srv := httptest.NewUnstartedServer(handler)
	socket := socketPath(t)
	require.NoError(t, srv.Listener.Close())
	srv.Listener = listen(t, "unix", socket)
	srv.Start()
	t.Cleanup(srv.Close)
	for url, want := range map[string]string{
		"unix:" + socket:                    "/",
		"unix://" + socket:                  "/",
		"unix:" + socket + ":/":             "/",
		"unix:" + socket + ":/readyz":       "/readyz",
		"unix:" + socket + ":/readyz?a=%20": "/readyz?a=%20",
	} {
		assert.NoError(t, health.HTTP(url)(t.Context()), url)
		assert.Equal(t, want, <-paths, url)
	}
	err := health.HTTP("unix:" + socket + ":/down?token=s3cret")(t.Context())
	<-paths
	assert.ErrorContains(t, err, "GET unix:"+socket+":/down: got 503")
	assert.NotContains(t, err.Error(), "s3cret")
	err = health.HTTP("unix:" + socket + "-gone:/readyz")(t.Context())
	assert.ErrorIs(t, err, syscall.ENOENT)
	assert.NotErrorIs(t, err, health.ErrPermanent)

	for url, want := range map[string]string{
		"unix:":                       `expected a path after "unix:"`,
		"unix:/s:/%zz?token=s3cret#x": "expected unix:, the path of a socket, and :/path",
	} {
		err := health.HTTP(url)(t.Context())
		assert.ErrorContains(t, err, want, url)
		assert.ErrorIs(t, err, health.ErrPermanent)
		assert.NotContains(t, err.Error(), "s3cret")
	}
	own := health.Client(&http.Client{Transport: http.DefaultTransport})
	assert.ErrorContains(t, health.HTTP("unix:/s", own)(t.Context()),
		"must dial the unix socket itself")
}

func TestHTTPUnixURLWithTLS(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("unix sockets of Windows have other limits")
	}
	srv := httptest.NewUnstartedServer(answer(200, ""))
	socket := socketPath(t)
	require.NoError(t, srv.Listener.Close())
	srv.Listener = listen(t, "unix", socket)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	trust := health.TLS(&tls.Config{RootCAs: roots, ServerName: "example.com"})
	assert.NoError(t, health.HTTP("unix:"+socket+":/readyz", trust)(t.Context()))
}

// A listener may be of any type: one whose methods do harm makes a probe that fails.
func TestListenerWhoseMethodsDoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		for name, do := range map[string]func(){
			"panics": func() { panic(errBad) }, "exits": runtime.Goexit, "hangs": func() { <-release },
		} {
			err := health.Listener(hostileListener{do: do}, "/readyz")(t.Context())
			assert.ErrorIs(t, err, health.ErrPermanent, name)
			assert.ErrorContains(t, err, "health: Listener: its address is unknown: ", name)
			assert.Equal(t, name == "panics", errors.Is(err, errBad))
		}
	})
}

type hostileListener struct {
	net.Listener
	do func()
}

func (l hostileListener) Addr() net.Addr { l.do(); return nil }
