package reqid

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
)

// Middleware gives every request an ID. The handlers inside find it by [FromContext], in the log
// (see [LogHandler]) and in the request's header, and the client finds it in the response header
// X-Request-ID, whatever the status. It belongs outside of everything that logs.
//
// Exactly one inbound X-Request-ID that is [Valid] is adopted; anything else is replaced by a fresh
// ID. It never refuses a request. By default every peer is trusted to choose an ID, since a valid
// one can do no harm in a log; see [Trust].
//
// The ID stands on the header of the request before the next handler runs, so whatever reads it
// there (a reverse proxy, an access log, another library's middleware) works on the same ID and
// never on a raw value. The same holds for X-Root-Request-ID: it has the root, or is removed. The
// header map itself is changed, not a copy, so an outer handler sees the ID, too.
//
// A Middleware inside another one, such as one around a whole server and one around a route, only
// sets its own headers to the ID of the outer one. An ID that [NewContext] put into, say, the
// server's BaseContext is not taken for one of the request.
//
// The response header is the handler's once it is set: ResponseWriter is not wrapped.
// [http.Header.Set] in a handler replaces the ID. A handler that hijacks the connection, such as
// one for WebSockets, writes the header of its own response and so has to add the ID itself.
//
// An [httputil.ReverseProxy] adds the headers of the upstream's response to those that are already
// there. If the upstream sends an X-Request-ID, too, the client would get two of them. This line in
// the proxy keeps the one of Middleware:
//
//	ModifyResponse: func(r *http.Response) error { r.Header.Del("X-Request-ID"); return nil },
//
// If the upstream sends a 1xx answer first, ReverseProxy removes all headers that were there
// before, this one too, and the client gets no ID.
//
// It costs at most 3 allocations a request, one more with [Chain], and one for each of tracestate
// and baggage that comes in several lines. What Middleware returns panics if it is given a nil
// handler.
//
// [httputil.ReverseProxy]: https://pkg.go.dev/net/http/httputil#ReverseProxy
func Middleware(opts ...MiddlewareOption) func(http.Handler) http.Handler {
	c := newConfig(opts)
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("reqid: Middleware: the handler is nil")
		}
		return &middleware{config: c, next: next}
	}
}

// Keys of the header map, which net/http keeps in canonical form.
const (
	defaultHeader     = "X-Request-Id"
	headerRoot        = "X-Root-Request-Id"
	headerTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"
	headerBaggage     = "Baggage"
)

type middleware struct {
	config
	next http.Handler
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := inbound{id: r.Header[m.header], root: r.Header[headerRoot]}
	s := scopeOf(r.Context())
	var values *[2]string
	if s != nil && s.served {
		values = new([2]string)
	} else {
		c := &requestContext{scopeContext: scopeContext{Context: r.Context()}}
		s, values = &c.scope, &c.header
		s.served = true
		in.untrusted = m.trust != nil && !m.trust(r)
		if in.traceparent = r.Header[headerTraceParent]; in.traceparent != nil {
			in.tracestate = r.Header[headerTraceState] // which says nothing without it
		}
		in.baggage = r.Header[headerBaggage]
		m.begin(r.Context(), s, &in)
		r = r.WithContext(c)
	}
	values[0], values[1] = s.id, s.id
	w.Header()[m.header] = values[0:1:1] // its capacity is 1: Add copies it
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	if !holds(in.id, s.id) {
		r.Header[m.header] = values[1:2:2]
	}
	switch {
	case s.root == "" && in.root != nil:
		delete(r.Header, headerRoot)
	case s.root != "" && !holds(in.root, s.root):
		r.Header[headerRoot] = []string{s.root}
	}
	m.next.ServeHTTP(w, r)
}

// requestContext also has room for the ID as the value of two headers, which saves allocations.
type requestContext struct {
	scopeContext
	header [2]string
}

// inbound has all values of the headers that a request or a message came with.
type inbound struct {
	id, root, traceparent, tracestate, baggage []string

	untrusted bool // none of them counts
}

// begin decides on the ID of a request, and keeps the headers that are to be passed on.
func (c *config) begin(ctx context.Context, s *scope, in *inbound) {
	s.logger = c.logger
	var caller string
	if !in.untrusted {
		caller, _ = single(in.id, c.maxLen)
		s.readTrace(in)
		s.baggage = list(in.baggage, maxBaggage)
	}
	missing := in.untrusted || len(in.id) == 0 || len(in.id) == 1 && in.id[0] == ""
	if missing && c.adoptTrace {
		caller = c.trace(ctx, in)
	}
	if caller != "" {
		if !in.untrusted {
			s.root, _ = single(in.root, c.maxLen)
		}
		if !c.chain {
			s.id = caller
			return
		}
		s.parent = caller
	}
	if c.generate != nil {
		s.id = c.generate(ctx)
	}
	if c.generate == nil || !Valid(s.id) {
		s.id = New()
	}
	if c.chain && s.root == "" {
		s.root = cmp.Or(caller, s.id)
	}
}

// trace returns the trace ID to adopt: that of the span in ctx or else the inbound one. A stranger
// does not choose it, also not by way of a tracer that goes on with the stranger's trace.
func (c *config) trace(ctx context.Context, in *inbound) (id string) {
	if c.span != nil {
		// A tracer may read a traceparent that is refused here, so any that has the ID counts.
		sent := func(traceparent string) bool { return strings.Contains(traceparent, id) }
		if id = c.span(ctx); Valid(id) && !isZero(id) &&
			!(in.untrusted && slices.ContainsFunc(in.traceparent, sent)) {
			return id
		}
	}
	if in.untrusted {
		return ""
	}
	return new(scope).readTrace(in)
}
