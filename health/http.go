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

	"github.com/gracekit/gracekit/internal/oneline"
)

const (
	maxBody   = 4 << 10 // of an answer; an endless one must not hold up the probe
	maxHeader = 64 << 10
)

// HTTP returns a probe that expects a GET of rawURL to be answered with a status of 200 to 299 and a body that
// arrives: up to 4 KiB of it are read. Every attempt opens a new connection, as a kept one would say nothing
// about the listener. Redirects are not followed but fail, so that a login page is not taken for health;
// proxies from the environment are ignored; a TLS certificate must be valid. See the options for the
// exceptions.
//
// A wildcard host, as in "http://0.0.0.0:8080/readyz" or "http://:8080/readyz", means this machine: 127.0.0.1
// is tried, then ::1.
//
// The probe has no limit of time but its context, to which [Wait] and a [Registry] give one. The errors name the URL
// without user, password and query, and unwrap to the errors of net, crypto/tls and crypto/x509. A URL that cannot work
// makes the probe fail with a [Permanent] error.
func HTTP(rawURL string, opts ...HTTPOption) Probe {
	c := newHTTPConfig(opts)
	u, err := url.Parse(rawURL)
	if err != nil {
		return broken(unparsable(rawURL, err))
	}
	shown := displayURL(u)
	if u.Scheme != "http" && u.Scheme != "https" {
		return broken(fmt.Errorf("health: HTTP(%q): expected http:// or https://", shown))
	}
	hostPort := u.Host
	if u.Port() == "" && u.Host != "" {
		defaultPort := map[string]string{"http": "80", "https": "443"}[u.Scheme]
		hostPort = net.JoinHostPort(u.Hostname(), defaultPort)
	}
	a, err := parseTCPAddress(hostPort)
	if err != nil {
		return broken(fmt.Errorf("health: HTTP(%q): %w", shown, err))
	}
	if len(a.candidates) == 1 {
		return c.probe(u, nil)
	}
	u.Host = a.candidates[0]
	return c.probe(u, func(ctx context.Context, network, target string) (net.Conn, error) {
		if target != a.candidates[0] { // a Client that follows redirects went elsewhere
			return new(net.Dialer).DialContext(ctx, network, target)
		}
		return a.dial(ctx)
	})
}

// Listener returns a probe like that of [HTTP] for the server which accepts from l: path, such as "/readyz", is
// asked for at l's own address. So it works for port 0, where only the listener knows the port, for wildcard
// addresses and for unix sockets. If the server speaks TLS, pass [TLS].
//
// The listener itself is not used but for its address. If it is nil or of an unknown network, or path does
// not begin with "/", the probe fails with a [Permanent] error.
func Listener(l net.Listener, path string, opts ...HTTPOption) Probe {
	c := newHTTPConfig(opts)
	if isNil(l) || l.Addr() == nil {
		return broken(errors.New("health: Listener(nil): expected a listener"))
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || !strings.HasPrefix(path, "/") {
		return broken(fmt.Errorf("health: Listener(%v, %q): expected a path that begins with /", l.Addr(), path))
	}
	a, err := listenerAddress(l.Addr())
	if err == nil && a.network == "unix" && c.client.Transport != nil {
		err = errors.New("a Client with its own Transport must dial the unix socket itself: use HTTP")
	}
	if err != nil {
		return broken(fmt.Errorf("health: Listener(%v): %w", l.Addr(), err))
	}
	u.Scheme, u.Host = "http", "localhost"
	if c.tls != nil {
		u.Scheme = "https"
	}
	if a.network == "tcp" {
		u.Host = a.candidates[0]
	}
	return c.probe(u, func(ctx context.Context, _, _ string) (net.Conn, error) { return a.dial(ctx) })
}

func listenerAddress(addr net.Addr) (address, error) {
	switch network := addr.Network(); {
	case network == "unix":
		return address{network: "unix", candidates: []string{addr.String()}}, nil
	case strings.HasPrefix(network, "tcp"):
		return parseTCPAddress(addr.String())
	default:
		return address{}, fmt.Errorf("network %q: expected tcp or unix", network)
	}
}

// probe asks for u over the connections of dial; nil stands for the usual way.
func (c *httpConfig) probe(u *url.URL, dial func(ctx context.Context, network, addr string) (net.Conn, error)) Probe {
	client := c.client
	if client.Transport == nil {
		client.Transport = c.transport(dial)
	}
	if client.CheckRedirect == nil {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	shown := displayURL(u)
	return func(ctx context.Context) error {
		req := (&http.Request{Method: http.MethodGet, URL: u, Host: c.host, Header: c.header.Clone()}).WithContext(ctx)
		resp, err := client.Do(req)
		if err != nil {
			if e, ok := errors.AsType[*url.Error](err); ok {
				err = e.Err // the URL in its text shows the user and the query
			}
			return fmt.Errorf("GET %s: %w", shown, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		if !c.expects(resp.StatusCode) {
			return fmt.Errorf("GET %s: got %s", shown, c.describe(resp, body))
		}
		if err != nil {
			return fmt.Errorf("GET %s: got %d, then no complete body: %w", shown, resp.StatusCode, err)
		}
		return nil
	}
}

func (c *httpConfig) transport(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Transport {
	config := c.tls
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" && c.host != "" {
		config = config.Clone()
		config.ServerName = (&url.URL{Host: c.host}).Hostname()
	}
	return &http.Transport{
		Proxy:                  nil, // not even HTTP_PROXY: a proxy cannot reach this machine's loopback
		DialContext:            dial,
		TLSClientConfig:        config,
		DisableKeepAlives:      true,
		DisableCompression:     true, // what is read is shown in errors
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

// displayURL is u as errors may show it: health endpoints are called with tokens in the query, too.
func displayURL(u *url.URL) string {
	if strings.Contains(u.Opaque, "@") { // user:password@host, without http:// in front
		return "…"
	}
	return (&url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// unparsable describes a text that is no URL. As nobody can tell which part of it is the password, one that may
// have a password or a query is not shown, nor is the error of net/url, which quotes it.
func unparsable(rawURL string, err error) error {
	if strings.ContainsAny(rawURL, "@?") {
		return errors.New("health: HTTP: expected a URL (the text is not shown as it may contain a password)")
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("health: HTTP(%q): expected a URL: %w", rawURL, err)
}

// firstLine is the beginning of text for people to read, at most limit bytes.
func firstLine(text string, limit int) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return oneline.Cut(oneline.Escape(strings.TrimSpace(line)), limit)
}
