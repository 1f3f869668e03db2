package reqid

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// scope is what is known of one request, job or message. Everything but user
// and the two caches is written before the scope is published.
type scope struct {
	id     string
	parent string // ID of the caller, only under Chain
	root   string // ID of the first hop, only under Chain

	traceparent string // as it came in, or empty; it parses and may be sent on
	tracestate  string

	logger  *slog.Logger // of L, nil: slog.Default
	served  bool         // made by Middleware, for one request
	user    atomic.Pointer[user]
	derived handlerCache
	bound   atomic.Pointer[boundLogger]

	header [1]string // the value of the response header; here it costs no allocation
}

// scopeContext holds the scope itself instead of pointing to it through
// context.WithValue: one allocation instead of two, on every request.
type scopeContext struct {
	context.Context
	scope scope
}

type scopeKey struct{}

func (c *scopeContext) Value(key any) any {
	if _, ok := key.(scopeKey); ok {
		return &c.scope
	}
	return c.Context.Value(key)
}

// String keeps fmt, and with it tests and debuggers that print contexts, from
// reading the scope by reflection while another goroutine writes to it.
func (c *scopeContext) String() string {
	return fmt.Sprintf("%v.WithRequestID(%s)", c.Context, c.scope.id)
}

func (c *scopeContext) GoString() string { return c.String() }

func scopeOf(ctx context.Context) *scope {
	if ctx == nil { // some callers hand nil to a logger
		return nil
	}
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

// FromContext returns the request ID of ctx, or "" if it has none.
func FromContext(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		return s.id
	}
	return ""
}

// NewContext returns a context with the given request ID, for whatever begins
// somewhere else than in an HTTP request: jobs, commands, tests.
//
//	ctx, err := reqid.NewContext(ctx, reqid.New())
//
// The new context has a user of its own: at first that of ctx, but what [SetUser]
// sets later in one of them the other does not see. The trace context and the
// logger of ctx are kept, a parent and root ID are not.
//
// If id is not [Valid] it returns ctx as it is and an error that Is [ErrInvalidID].
func NewContext(ctx context.Context, id string) (context.Context, error) {
	if !Valid(id) {
		return ctx, invalidID(id)
	}
	c := &scopeContext{Context: ctx}
	if s := scopeOf(ctx); s != nil {
		c.scope.inherit(s)
	}
	c.scope.id = id
	return c, nil
}

// Detach returns a context for work that a request starts and does not wait
// for. It has the request's ID, parent and root, user, trace context and logger,
// and nothing else: no cancellation, no deadline, and none of the other
// values. That is the difference from context.WithoutCancel, which would keep all
// of them alive and reachable: a transaction that is already closed,
// the http.Server, a span that has ended.
//
// The user is that of this moment; [SetUser] in the one context is not seen in the other.
// Without a request ID in ctx it returns context.Background.
func Detach(ctx context.Context) context.Context {
	s := scopeOf(ctx)
	if s == nil {
		return context.Background()
	}
	c := &scopeContext{Context: context.Background()}
	c.scope.inherit(s)
	c.scope.id, c.scope.parent, c.scope.root = s.id, s.parent, s.root
	return c
}

func (s *scope) inherit(from *scope) {
	s.traceparent, s.tracestate = from.traceparent, from.tracestate
	s.logger = from.logger
	s.user.Store(from.user.Load())
}

// user is a user's name and the form of it that goes into the logs.
type user struct{ name, logged string }

// SetUser records who makes the request, to be called once that is known. There
// is one user a request, not one a context: code that runs around the
// authentication and holds only an outer context, such as an access log that is
// written after the handler has returned, sees the user too. "" means nobody.
//
// [User] returns name as it is. In the logs control characters, line
// separators, marks of text direction and invalid UTF-8 are replaced by U+FFFD, and
// what is longer than 128 bytes is cut there and ends in an ellipsis.
//
// It returns false, and does nothing, if ctx has no request ID.
func SetUser(ctx context.Context, name string) bool {
	s := scopeOf(ctx)
	if s == nil {
		return false
	}
	if name == "" {
		s.user.Store(nil)
	} else {
		s.user.Store(&user{name: name, logged: printable(name)})
	}
	return true
}

// User returns the name last given to [SetUser] for the request of ctx, or "".
// It is meant for logs; who may do what is for the authentication to say.
func User(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		if u := s.user.Load(); u != nil {
			return u.name
		}
	}
	return ""
}

// maxUserLength is how much of a user's name the logs get, in bytes.
const maxUserLength = 128

func printable(name string) string {
	// What is replaced only grows, so there is no need to clean all of a huge name.
	long := len(name) > maxUserLength
	name = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return utf8.RuneError
		}
		return r // also RuneError, which stands for invalid UTF-8
	}, name[:cut(name)])
	if !long && len(name) <= maxUserLength {
		return name
	}
	return name[:cut(name)] + "…"
}

// cut returns where s ends if it may have maxUserLength bytes and no character is
// to be split.
func cut(s string) int {
	if len(s) <= maxUserLength {
		return len(s)
	}
	n := maxUserLength
	for n > maxUserLength-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// Trace returns the trace context that the request of ctx came with, and whether
// there was one.
func Trace(ctx context.Context) (TraceParent, bool) {
	s := scopeOf(ctx)
	if s == nil || s.traceparent == "" {
		return TraceParent{}, false
	}
	t, err := ParseTraceParent(s.traceparent)
	return t, err == nil
}
