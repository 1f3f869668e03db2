package reqid

import (
	"fmt"
	"log/slog"
	"net/http"
)

// An Option changes how [Middleware] works. A nil Option is skipped.
type Option interface{ apply(*config) }

// A TransportOption changes how [Transport] works. A nil TransportOption is skipped.
type TransportOption interface{ applyTransport(*transport) }

// A SharedOption is an option of both [Middleware] and [Transport].
type SharedOption interface {
	Option
	TransportOption
}

type config struct {
	header     string // canonical
	maxLen     int
	trust      func(*http.Request) bool
	generate   func() string
	logger     *slog.Logger
	chain      bool
	adoptTrace bool
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type headerOption string

func (o headerOption) apply(c *config)             { c.header = string(o) }
func (o headerOption) applyTransport(t *transport) { t.header = string(o) }

// Header sets the name of the header that the ID comes and goes in, in upper or lower case;
// the default is X-Request-ID. Give it to both [Middleware] and [Transport]. It panics if name is not a field name (a token of RFC 9110), or is one that has a
// meaning of its own to HTTP or to this package.
func Header(name string) SharedOption {
	canonical := http.CanonicalHeaderKey(name)
	if !isToken(name) || isReserved(canonical) {
		panic(fmt.Sprintf("reqid: Header(%s): must be a header name without another meaning, such as X-Request-ID", quote(name)))
	}
	return headerOption(canonical)
}

func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '!', '#' <= c && c <= '\'', c == '*', c == '+', c == '-', c == '.', '^' <= c && c <= '`', c == '|', c == '~':
		default:
			return false
		}
	}
	return s != ""
}

func isReserved(canonical string) bool {
	switch canonical {
	case headerRoot, headerTraceParent, headerTraceState,
		"Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Host", "Keep-Alive",
		"Proxy-Authorization", "Proxy-Connection", "Set-Cookie", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// MaxLen sets the longest inbound ID that is adopted, in bytes; the default is 128. It
// panics if n is not between 1 and 128. IDs made here are not affected.
func MaxLen(n int) Option {
	if n < 1 || n > maxIDLength {
		panic(fmt.Sprintf("reqid: MaxLen(%d): must be between 1 and %d", n, maxIDLength))
	}
	return optionFunc(func(c *config) { c.maxLen = n })
}

// Trust says whose headers count: from a request for which it returns false neither ID
// nor trace context are taken. (Its traceparent header stays where it is, and a reverse
// proxy passes it on unless it is deleted there.) It is for servers at the edge that must not let
// strangers choose IDs. The default trusts everyone. It panics if peer is nil.
func Trust(peer func(*http.Request) bool) Option {
	if peer == nil {
		panic("reqid: Trust(nil): must be a function")
	}
	return optionFunc(func(c *config) { c.trust = peer })
}

// Generator sets what makes new IDs; the default is [New]. It is called by many
// goroutines at once. If it returns something that is not [Valid], New is used for that
// request. It panics if generate is nil.
func Generator(generate func() string) Option {
	if generate == nil {
		panic("reqid: Generator(nil): must be a function")
	}
	return optionFunc(func(c *config) { c.generate = generate })
}

// Logger sets the logger that [L] returns within the request; the default is
// [slog.Default] at the time of the call. It panics if logger is nil.
func Logger(logger *slog.Logger) Option {
	if logger == nil {
		panic("reqid: Logger(nil): must be a logger")
	}
	return optionFunc(func(c *config) { c.logger = logger })
}

// Chain mints an ID for every request and keeps the inbound one as its parent, and the
// ID of the first hop as its root: see "Chains" in the package documentation. The
// response header has the new ID.
func Chain() Option { return optionFunc(func(c *config) { c.chain = true }) }

// AdoptTrace takes the trace-id of a valid traceparent for the inbound ID if there is
// no X-Request-ID, or an empty one.
func AdoptTrace() Option { return optionFunc(func(c *config) { c.adoptTrace = true }) }
