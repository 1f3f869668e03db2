package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gracekit/gracekit/internal/guard"
)

const (
	maxBody   = 4 << 10 // of an answer; an endless one must not hold up the probe
	maxHeader = 64 << 10
)

// HTTP returns a probe that expects a GET of rawURL to be answered with a status of 200 to 299 and
// a body that arrives: up to 4 KiB of it are read. Every attempt opens a new connection, as a kept
// one would say nothing about the listener. With TLS the probe speaks HTTP/2 if the server does;
// without it, see [H2C]. It does not follow redirects, but fails, so that a login page is not taken
// for health. It ignores the proxies of the environment. A TLS certificate must be valid. The
// options allow exceptions.
//
// A wildcard host, as in "http://0.0.0.0:8080/readyz" or "http://:8080/readyz", means this machine:
// 127.0.0.1 is tried, then ::1. "unix:/run/app.sock:/readyz" asks for /readyz at a unix socket, and
// "unix:/run/app.sock" for /. With the option [TLS] it speaks TLS.
//
// The probe has no limit of time but its context, which [Wait] and a [Registry] limit. The errors
// name the URL without user, password and query, and unwrap to the errors of net, crypto/tls and
// crypto/x509. A URL that cannot work makes the probe fail with a [Permanent] error.
func HTTP(rawURL string, opts ...HTTPOption) Probe {
	c := newHTTPConfig(opts)
	if socket, ok := strings.CutPrefix(rawURL, "unix:"); ok {
		return c.unixURL(socket)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return broken(unparsable(rawURL, err))
	}
	shown := displayURL(u)
	ports := map[string]string{"http": "80", "https": "443"}
	a := address{}
	switch {
	case ports[u.Scheme] == "":
		err = errors.New("expected http:// or https://, or unix: and a socket")
	case c.h2c && u.Scheme == "https":
		err = errors.New("H2C is HTTP/2 without TLS: expected http://")
	case u.Port() == "" && u.Host != "":
		a, err = parseTCPAddress(net.JoinHostPort(u.Hostname(), ports[u.Scheme]))
	default:
		a, err = parseTCPAddress(u.Host)
	}
	if err != nil {
		return broken(fmt.Errorf("health: HTTP(%q): %w", shown, err))
	}
	if len(a.candidates) > 1 {
		u.Host = a.candidates[0]
	}
	return c.probe(a, u, shown)
}

// unixURL returns the probe for what follows "unix:" in a URL, in nginx's notation.
func (c *httpConfig) unixURL(rest string) Probe {
	socket, path, _ := strings.Cut(strings.TrimPrefix(rest, "//"), ":/")
	shown, _, _ := strings.Cut("unix:"+socket+":/"+path, "?")
	a, err := parseAddress("unix:" + socket)
	if err == nil {
		err = c.canDial(a)
	}
	u, parseErr := url.ParseRequestURI("/" + path)
	if parseErr != nil {
		err = errors.New("expected unix:, the path of a socket, and :/path")
	}
	if err != nil {
		return broken(fmt.Errorf("health: HTTP(%q): %w", shown, err))
	}
	u.Scheme, u.Host = c.scheme(), "localhost"
	return c.probe(a, u, shown)
}

// Listener returns a probe like that of [HTTP] for the server which accepts from l: it asks l's own
// address for path, such as "/readyz". So it works for port 0, where only the listener knows the
// port, for wildcard addresses and for unix sockets. If the server speaks TLS, pass [TLS].
//
// Only the address of l is used. If l is nil or of an unknown network, or path does not begin with
// "/", the probe fails with a [Permanent] error.
func Listener(l net.Listener, path string, opts ...HTTPOption) Probe {
	c := newHTTPConfig(opts)
	if isNil(l) {
		return broken(errNoListener)
	}
	network, addr := "", ""
	var a address
	// The listener may be of any type, and all its methods are user code.
	err := guard.Within(guard.Moment, "health/listener", func() error {
		known := l.Addr()
		if known == nil {
			return errNoListener
		}
		network, addr = known.Network(), known.String()
		return nil
	})
	if err != nil {
		return broken(fmt.Errorf("health: Listener: its address is unknown: %w", probeError(err)))
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || !strings.HasPrefix(path, "/") {
		err = fmt.Errorf("%q: expected a path that begins with /", path)
	} else if a, err = listenerAddress(network, addr); err == nil {
		err = c.canDial(a)
	}
	if err != nil {
		return broken(fmt.Errorf("health: Listener(%s): %w", addr, err))
	}
	u.Scheme, u.Host = c.scheme(), "localhost"
	if a.network == "tcp" {
		u.Host = a.candidates[0]
	}
	return c.probe(a, u, displayURL(u))
}

var errNoListener = errors.New("health: Listener(nil): expected a listener")

func listenerAddress(network, addr string) (address, error) {
	switch {
	case network == "unix":
		return address{network: "unix", candidates: []string{addr}}, nil
	case strings.HasPrefix(network, "tcp"):
		return parseTCPAddress(addr)
	default:
		return address{}, fmt.Errorf("network %q: expected tcp or unix", network)
	}
}

// canDial returns an error if the Transport of a Client would not dial a.
func (c *httpConfig) canDial(a address) error {
	if a.network == "unix" && c.client.Transport != nil {
		return errors.New("a Client with its own Transport must dial the unix socket itself: " +
			"use HTTP with an http:// URL")
	}
	return nil
}

// scheme is that of an address which does not say whether the server speaks TLS.
func (c *httpConfig) scheme() string {
	if c.tls != nil {
		return "https"
	}
	return "http"
}

// probe asks for u at a.
func (c *httpConfig) probe(a address, u *url.URL, shown string) Probe {
	return func(ctx context.Context) error {
		open, closeAll := context.WithCancel(context.WithoutCancel(ctx))
		defer closeAll()
		client := c.client
		if client.Transport == nil {
			overTLS := u.Scheme == "https" || client.CheckRedirect != nil // it may lead to https
			client.Transport = c.transport(ctx, open, a, overTLS && !c.h2c)
		}
		if client.CheckRedirect == nil {
			client.CheckRedirect = func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			}
		}
		req := &http.Request{Method: http.MethodGet, URL: u, Host: c.host, Header: c.header.Clone()}
		resp, err := client.Do(req.WithContext(ctx))
		if err != nil {
			if e, ok := errors.AsType[*url.Error](err); ok {
				err = e.Err // the URL in its text shows the user and the query
			}
			return fmt.Errorf("GET %s: %w", shown, err)
		}
		defer resp.Body.Close()
		var body []byte
		if resp.StatusCode != http.StatusSwitchingProtocols { // the rest is not HTTP, and has no end
			body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
		}
		if !c.expects(resp.StatusCode) {
			return fmt.Errorf("GET %s: got %s", shown, c.describe(resp, body))
		}
		if err != nil {
			return fmt.Errorf("GET %s: got %d, then no complete body: %w", shown, resp.StatusCode, err)
		}
		return nil
	}
}

// transport returns one for a single attempt. net/http dials and shakes hands without the context
// of the request, and would go on after it. So it dials with ctx here, and its connections are
// closed when open ends.
func (c *httpConfig) transport(ctx, open context.Context, a address, http2 bool) *http.Transport {
	config := c.tls.Clone() // net/http changes that of a Transport
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" && c.host != "" {
		config.ServerName = (&url.URL{Host: c.host}).Hostname()
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!c.h2c)
	protocols.SetHTTP2(http2) // this takes net/http a while
	protocols.SetUnencryptedHTTP2(c.h2c)
	return &http.Transport{
		Proxy: nil, // not even HTTP_PROXY: a proxy cannot reach this machine's loopback
		DialContext: func(_ context.Context, network, target string) (net.Conn, error) {
			dial := a.dial
			if a.network == "tcp" && target != a.candidates[0] { // a Client has followed a redirect
				dial = func(ctx context.Context) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, target)
				}
			}
			conn, err := dial(ctx)
			if err == nil {
				context.AfterFunc(open, func() { _ = conn.Close() })
			}
			return conn, err
		},
		TLSClientConfig:        config,
		Protocols:              protocols,
		DisableKeepAlives:      true,
		DisableCompression:     true, // errors show what was read
		MaxResponseHeaderBytes: maxHeader,
	}
}

func (c *httpConfig) expects(status int) bool {
	if len(c.status) == 0 {
		return 200 <= status && status <= 299
	}
	return slices.Contains(c.status, status)
}

// describe says what was wrong with the status of an answer, and what the server had to say to it.
func (c *httpConfig) describe(resp *http.Response, body []byte) string {
	var b strings.Builder
	b.WriteString(statusText(resp.StatusCode))
	if location, err := resp.Location(); err == nil {
		fmt.Fprintf(&b, " to %s", displayURL(location))
	}
	b.WriteString(", expected ")
	if len(c.status) == 0 {
		b.WriteString("200 to 299")
	}
	for i, code := range c.status {
		if i > 0 {
			b.WriteString(" or ")
		}
		b.WriteString(strconv.Itoa(code))
	}
	contentType := resp.Header.Get("Content-Type")
	if contentType == "" || strings.HasPrefix(contentType, "text/plain") {
		if line := firstLine(string(body), 160); line != "" {
			fmt.Fprintf(&b, ": %q", line)
		}
	}
	return b.String()
}

func statusText(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}

// displayURL is u as errors may show it: the query of a health endpoint may have a token, too.
func displayURL(u *url.URL) string {
	if strings.Contains(u.Opaque, "@") { // user:password@host, without http:// in front
		return "…"
	}
	return (&url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path,
		RawPath: u.RawPath}).String()
}

// unparsable describes a text that is not a URL. A part of it may be a password or a query, and
// there is no telling which; then neither the text is shown nor the error of net/url, which quotes
// it.
func unparsable(rawURL string, err error) error {
	if strings.ContainsAny(rawURL, "@?") {
		return errors.New("health: HTTP: expected a URL " +
			"(the text is not shown as it may contain a password)")
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("health: HTTP(%q): expected a URL: %w", rawURL, err)
}
