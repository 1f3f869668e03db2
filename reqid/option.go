package reqid

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// An Option changes how [Middleware] and [Extract] work. A nil Option is skipped.
type Option interface {
	MiddlewareOption
	alsoForExtract()
}

// A MiddlewareOption changes how [Middleware] works. A nil MiddlewareOption is skipped.
type MiddlewareOption interface{ apply(*config) }

// A TransportOption changes how [Transport] works. A nil TransportOption is skipped.
type TransportOption interface{ applyTransport(*transport) }

// A SharedOption is an option of [Middleware] and [Extract], and of [Transport].
type SharedOption interface {
	Option
	TransportOption
}

type config struct {
	header     string // canonical
	maxLen     int
	trust      func(*http.Request) bool     // nil: everybody
	generate   func(context.Context) string // nil: New
	span       func(context.Context) string // nil: none
	logger     *slog.Logger
	chain      bool
	adoptTrace bool
}

func newConfig[O MiddlewareOption](opts []O) config {
	c := config{header: defaultHeader, maxLen: maxIDLength}
	for _, o := range opts {
		if any(o) != nil {
			o.apply(&c)
		}
	}
	return c
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }
func (optionFunc) alsoForExtract()   {}

type headerOption string

func (o headerOption) apply(c *config)             { c.header = string(o) }
func (headerOption) alsoForExtract()               {}
func (o headerOption) applyTransport(t *transport) { t.header = string(o) }

// Header sets the name of the header that the ID comes and goes in, in upper or lower case; the
// default is X-Request-ID. Give it to both [Middleware] and [Transport]. [Extract] asks for it in
// lower case. It panics if name is not a field name (a token of RFC 9110), or already means
// something to HTTP or to this package.
func Header(name string) SharedOption {
	canonical := http.CanonicalHeaderKey(name)
	if !isToken(name) || isReserved(canonical) {
		panic(fmt.Sprintf("reqid: Header(%s): must be a header name without another meaning, "+
			"such as X-Request-ID", quote(name)))
	}
	return headerOption(canonical)
}

func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '!', '#' <= c && c <= '\'', c == '*', c == '+', c == '-', c == '.',
			'^' <= c && c <= '`', c == '|', c == '~':
		default:
			return false
		}
	}
	return s != ""
}

func isReserved(canonical string) bool {
	switch canonical {
	case headerRoot, headerTraceParent, headerTraceState, headerBaggage,
		"Age", "Allow", "Authorization", "Cache-Control", "Connection", "Cookie", "Date", "Etag",
		"Expect", "Expires", "Forwarded", "From", "Host", "Keep-Alive", "Last-Modified", "Link",
		"Location", "Origin", "Pragma", "Range", "Referer", "Retry-After", "Server", "Set-Cookie",
		"Strict-Transport-Security", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
		"Vary", "Via", "Www-Authenticate":
		return true
	}
	for _, family := range []string{"Accept", "Access-Control-", "Content-", "If-", "Proxy-", "Sec-"} {
		if strings.HasPrefix(canonical, family) {
			return true
		}
	}
	return false
}

// MaxLen sets the longest inbound ID that is adopted, in bytes; the default is 128. It panics if n
// is not between 1 and 128. IDs made here and the trace-id of [AdoptTrace] are not affected.
func MaxLen(n int) Option {
	if n < 1 || n > maxIDLength {
		panic(fmt.Sprintf("reqid: MaxLen(%d): must be between 1 and %d", n, maxIDLength))
	}
	return optionFunc(func(c *config) { c.maxLen = n })
}

// Trust says whose headers count: from a request for which it returns false neither ID, trace
// context nor baggage are taken. (Its traceparent, tracestate and baggage headers stay where they
// are, and a reverse proxy passes them on unless they are deleted there.) It is for servers at the
// edge, where strangers must not choose IDs. The default trusts everyone. It panics if peer is nil.
func Trust(peer func(*http.Request) bool) MiddlewareOption {
	if peer == nil {
		panic("reqid: Trust(nil): must be a function")
	}
	return trustOption(peer)
}

type trustOption func(*http.Request) bool

func (o trustOption) apply(c *config) { c.trust = o }

// Generator sets what makes new IDs, with the context of the request; the default is [New]. Many
// goroutines call it at the same time. If it returns something that is not [Valid], New is used for
// that request. It panics if generate is nil.
func Generator(generate func(context.Context) string) Option {
	if generate == nil {
		panic("reqid: Generator(nil): must be a function")
	}
	return optionFunc(func(c *config) { c.generate = generate })
}

// Logger sets the logger that [L] returns within the request; the default is [slog.Default] at the
// time of the call. It panics if logger is nil.
func Logger(logger *slog.Logger) Option {
	if logger == nil {
		panic("reqid: Logger(nil): must be a logger")
	}
	return optionFunc(func(c *config) { c.logger = logger })
}

// Chain mints an ID for every request and keeps the inbound one as its parent, and the ID of the
// first hop as its root: see "Chains" in the package documentation. The response header has the new
// ID.
func Chain() Option { return optionFunc(func(c *config) { c.chain = true }) }

// AdoptTrace takes the trace-id of a valid traceparent for the inbound ID if there is no
// X-Request-ID, or an empty one. It does not see a trace that starts in this process: where a
// tracer stands around Middleware, use [Span].
func AdoptTrace() Option { return optionFunc(func(c *config) { c.adoptTrace = true }) }

// Span is [AdoptTrace] where a tracer has already put a span into the context, so that request ID
// and trace ID are the same at the first hop, too. traceID returns the trace ID of that span, or ""
// or only zeros if there is none; then the traceparent counts. With OpenTelemetry, around which
// otelhttp.NewHandler goes:
//
//	reqid.Span(func(ctx context.Context) string {
//		return trace.SpanContextFromContext(ctx).TraceID().String()
//	})
//
// From a request that is not to be trusted (see [Trust]) it takes no trace ID that the traceparent
// already has. It panics if traceID is nil.
func Span(traceID func(context.Context) string) Option {
	if traceID == nil {
		panic("reqid: Span(nil): must be a function")
	}
	return optionFunc(func(c *config) { c.adoptTrace, c.span = true, traceID })
}
