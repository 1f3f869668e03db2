package reqid

import (
	"maps"
	"net/http"
)

// Middleware gives every request an ID, which the handlers inside find by [FromContext]
// and in the log (see [LogHandler]), and the client in the response header
// X-Request-ID, whatever the status. It belongs outside of everything that logs.
//
// Exactly one inbound X-Request-ID that is [Valid] is adopted; anything else is
// replaced by a fresh ID. It never refuses a request. By default every peer is trusted
// to choose an ID, since a valid one can do no harm in a log; see [Trust].
//
// The request that the next handler gets carries the same ID: where an inbound value
// was replaced, its header is replaced too (in a copy of the header map), so that a
// proxy or a handler that reads the header itself never works on the raw value. Where
// there was none, none is added. An X-Root-Request-ID that does not count is replaced
// under [Chain], and removed otherwise.
//
// A Middleware inside another one, such as one around a whole server and one around a
// route, does nothing but set its own response header to the ID of the outer one. An ID
// that was put by [NewContext] into, say, the server's BaseContext, is not taken for
// one of the request.
//
// The response header is set before the next handler runs and is the handler's from
// then on: ResponseWriter is not wrapped. A reverse proxy that adds the headers of an
// upstream which also sends X-Request-ID would answer with two of them; delete the
// upstream's in its ModifyResponse (see the example). [http.Header.Set] in a handler
// replaces the ID.
//
// It costs at most 4 allocations a request. What Middleware returns panics if it is given a
// nil handler.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	c := config{
		header:   defaultHeader,
		maxLen:   maxIDLength,
		trust:    func(*http.Request) bool { return true },
		generate: New,
	}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
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
)

type middleware struct {
	config
	next http.Handler
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s := scopeOf(r.Context()); s != nil && s.served {
		w.Header()[m.header] = []string{s.id}
		m.next.ServeHTTP(w, r)
		return
	}
	trusted := m.trust(r)
	c := &scopeContext{Context: r.Context()}
	s := &c.scope
	m.begin(s, r.Header, trusted)
	s.header[0] = s.id
	w.Header()[m.header] = s.header[:] // its capacity is 1: Add copies it
	r = r.WithContext(c)
	m.replaceHeaders(r, s, trusted)
	m.next.ServeHTTP(w, r)
}

// begin decides on the ID of a request.
func (m *middleware) begin(s *scope, h http.Header, trusted bool) {
	s.served = true
	s.logger = m.logger
	var inbound string
	if trusted {
		values := h[m.header]
		inbound, _ = single(values, m.maxLen)
		traceID := s.readTrace(h[headerTraceParent], h[headerTraceState])
		missing := len(values) == 0 || len(values) == 1 && values[0] == ""
		if m.adoptTrace && missing {
			inbound = traceID
		}
	}
	if inbound != "" && !m.chain {
		s.id = inbound
		return
	}
	s.id = m.generate()
	if !Valid(s.id) { // a Generator of the user's
		s.id = New()
	}
	if !m.chain {
		return
	}
	s.parent = inbound
	if inbound == "" {
		s.root = s.id
		return
	}
	var ok bool
	if s.root, ok = single(h[headerRoot], m.maxLen); !ok {
		s.root = inbound
	}
}

// replaceHeaders makes the ID headers of r, if it has any, say what s says. r is
// already a copy, but its header map is not.
func (m *middleware) replaceHeaders(r *http.Request, s *scope, trusted bool) {
	root := s.root
	if !m.chain && trusted { // it is not ours, but a proxy may pass it on
		root, _ = single(r.Header[headerRoot], m.maxLen)
	}
	staleID := differs(r.Header[m.header], s.id)
	staleRoot := differs(r.Header[headerRoot], root)
	if !staleID && !staleRoot {
		return
	}
	r.Header = maps.Clone(r.Header)
	if staleID {
		r.Header[m.header] = []string{s.id}
	}
	switch {
	case staleRoot && root == "":
		delete(r.Header, headerRoot)
	case staleRoot:
		r.Header[headerRoot] = []string{root}
	}
}

// differs reports whether there are values and they are not only this one.
func differs(values []string, only string) bool {
	return len(values) > 1 || len(values) == 1 && values[0] != only
}
