package reqid

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// scope is what is known of one request, job or message. Everything but user and bound is written
// before the scope is published.
type scope struct {
	id     string
	parent string // ID of the caller, only under Chain
	root   string // ID of the first hop, only under Chain or if the caller sent it

	traceparent string // as it came in, or empty; it parses and may be sent on
	tracestate  string
	baggage     string

	logger *slog.Logger // of L, nil: slog.Default
	served bool         // made by Middleware, for one request
	user   atomic.Pointer[user]
	bound  atomic.Pointer[boundLogger]
}

// scopeContext holds the scope itself instead of pointing to it through context.WithValue: one
// allocation instead of two, on every request.
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

// String keeps fmt, and with it tests and debuggers that print contexts, from reading the scope by
// reflection while another goroutine writes to it.
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

// FromContext returns the request ID of ctx, or "" if it has none. A *gin.Context has one only with
// the engine's ContextWithFallback; see "Frameworks" in the package documentation.
func FromContext(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		return s.id
	}
	return ""
}

// NewContext returns a context with the given request ID, for whatever does not begin in an HTTP
// request: jobs, commands, tests.
//
//	ctx, err := reqid.NewContext(ctx, reqid.New())
//
// The new context starts with the user of ctx, but a later [SetUser] in one of them is not seen in
// the other. The trace context, baggage and logger of ctx are kept, a parent and root ID are not.
//
// If id is not [Valid] it returns ctx as it is and an error that Is [ErrInvalidID].
func NewContext(ctx context.Context, id string) (context.Context, error) {
	if !Valid(id) {
		return ctx, invalidID(id, maxIDLength)
	}
	c := &scopeContext{Context: ctx}
	if s := scopeOf(ctx); s != nil {
		c.scope.inherit(s)
	}
	c.scope.id = id
	return c, nil
}

// Detach returns a context for work that a request starts and does not wait for. It has the
// request's ID, parent and root, user, trace context, baggage and logger, and nothing else: no
// cancellation, no deadline, and none of the other values. [context.WithoutCancel], in contrast,
// would keep all of them alive and reachable: a transaction that is already closed, the
// http.Server, a span that has ended.
//
// The user is the one of now; what [SetUser] sets later in one of them the other does not see.
// Without a request ID in ctx it returns [context.Background].
func Detach(ctx context.Context) context.Context {
	s := scopeOf(ctx)
	if s == nil {
		return context.Background()
	}
	c := &scopeContext{Context: context.Background()}
	c.scope.inherit(s)
	c.scope.id, c.scope.parent, c.scope.root = s.id, s.parent, s.root
	c.scope.cloneStrings()
	return c
}

// cloneStrings is for servers such as fasthttp, which reuse the memory of their strings after a
// request.
func (s *scope) cloneStrings() {
	for _, text := range []*string{&s.id, &s.parent, &s.root, &s.traceparent, &s.tracestate, &s.baggage} {
		*text = strings.Clone(*text)
	}
}

func (s *scope) inherit(from *scope) {
	s.traceparent, s.tracestate, s.baggage = from.traceparent, from.tracestate, from.baggage
	s.logger = from.logger
	s.user.Store(from.user.Load())
}
