package health

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// An HTTPOption changes how the probes of [HTTP] and [Listener] work. A nil HTTPOption is skipped.
type HTTPOption interface{ apply(*httpConfig) }

type httpConfig struct {
	client http.Client
	tls    *tls.Config
	header http.Header
	host   string
	h2c    bool
	status []int // empty: 200 to 299
}

type httpOptionFunc func(*httpConfig)

func (f httpOptionFunc) apply(c *httpConfig) { f(c) }

// ExpectStatus replaces the statuses of a healthy answer, 200 to 299. It panics if there are none,
// or one is not between 200 and 599.
func ExpectStatus(codes ...int) HTTPOption {
	if len(codes) == 0 {
		panic("health: ExpectStatus(): expected at least one status")
	}
	for _, code := range codes {
		if code < 200 || code > 599 {
			panic(fmt.Sprintf("health: ExpectStatus(%d): expected 200 to 599", code))
		}
	}
	codes = slices.Clone(codes)
	return httpOptionFunc(func(c *httpConfig) { c.status = codes })
}

// Header adds a header to the request; several of them add up. For the header Host there is [Host].
// It panics if key is not a header's name, or value cannot be sent.
func Header(key, value string) HTTPOption {
	if !isToken(key) {
		panic(fmt.Sprintf("health: Header(%q, …): expected the name of a header", key))
	}
	if http.CanonicalHeaderKey(key) == "Host" {
		panic(fmt.Sprintf("health: Header(%q, …): use the option Host", key))
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r != '\t' && (r < ' ' || r == 0x7f) }) {
		// The value may be a secret.
		panic(fmt.Sprintf("health: Header(%q, …): the value contains a control character", key))
	}
	return httpOptionFunc(func(c *httpConfig) { c.header.Add(key, value) })
}

// Host sets the host that the server is asked for, where that differs from its address: the header
// Host and, for TLS, the name that is sent and that the certificate must be valid for, unless [TLS]
// gives a ServerName. A name beyond ASCII is written in Punycode. It panics if name is empty or not
// a host.
func Host(name string) HTTPOption {
	u, err := url.Parse("http://" + name + "/")
	if err != nil || name == "" || u.Host != name {
		panic(fmt.Sprintf("health: Host(%q): expected host or host:port", name))
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r > 0x7f }) {
		panic(fmt.Sprintf("health: Host(%q): expected Punycode, such as xn--bcher-kva.example", name))
	}
	return httpOptionFunc(func(c *httpConfig) { c.host = name })
}

// TLS sets how TLS is spoken: a private certificate authority as RootCAs, a client certificate, a
// ServerName. For a [Listener] and a unix socket it also says that TLS is spoken at all. The config
// is cloned. It panics if config is nil, and the probe's constructor panics if there is also [H2C],
// or a [Client] with a Transport, which has a TLS configuration of its own.
func TLS(config *tls.Config) HTTPOption {
	if config == nil {
		panic("health: TLS(nil): expected a *tls.Config")
	}
	config = config.Clone()
	return httpOptionFunc(func(c *httpConfig) { c.tls = config })
}

// H2C makes the probe speak HTTP/2 without TLS, with prior knowledge, and nothing else: for servers
// that expect it, such as those for gRPC. The probe's constructor panics if there is also [TLS], or
// a [Client] with a Transport, which chooses its protocols itself.
func H2C() HTTPOption { return httpOptionFunc(func(c *httpConfig) { c.h2c = true }) }

// Client makes the requests with a copy of client. Its Transport, if set, is used as it is:
// proxies, kept connections, protocols and TLS are then up to it. Its CheckRedirect, if set, may
// allow redirects. Its Timeout holds, too. It panics if client is nil.
func Client(client *http.Client) HTTPOption {
	if client == nil {
		panic("health: Client(nil): expected an *http.Client")
	}
	return httpOptionFunc(func(c *httpConfig) { c.client = *client })
}

func newHTTPConfig(opts []HTTPOption) *httpConfig {
	c := &httpConfig{header: http.Header{}}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(c)
		}
	}
	switch own := c.client.Transport != nil; {
	case c.tls != nil && own:
		panic("health: TLS and Client: the Transport of the client has a TLS configuration of its own")
	case c.h2c && own:
		panic("health: H2C and Client: the Transport of the client chooses its protocols itself")
	case c.h2c && c.tls != nil:
		panic("health: H2C and TLS: H2C is HTTP/2 without TLS")
	}
	return c
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool { return s != "" && consistsOf(s, "!#$%&'*+-.^_`|~") }
