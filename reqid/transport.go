package reqid

import (
	"net/http"
	"strings"
)

// Transport returns a RoundTripper that sends the request ID of a request's context in
// X-Request-ID, the root, where it is known, in X-Root-Request-ID, and the trace context and
// baggage that came with the inbound request. base does the work; nil means
// [http.DefaultTransport].
//
//	client := &http.Client{Transport: reqid.Transport(nil, reqid.Hosts("api.internal"))}
//	req, err := http.NewRequestWithContext(ctx, …)
//
// Only the hosts given by [Hosts] get anything; without that option nobody does. The host is
// checked again on every hop of a redirect.
//
// To an allowed host it adds what is missing. A header that the request already has is left alone,
// even if it is empty, and so is the tracestate of a traceparent that is not ours; the root is sent
// only beside our own ID.
//
// From a request to any other host it removes these five headers where they hold a value of the
// context, as the copy of a reverse proxy does. On a redirect it removes all of them: net/http
// copies the headers of the first request to every hop, also those that the caller meant for the
// first host only. An X-Request-ID that the caller chose for a host that is not ours is sent there.
//
// A transport that records spans, such as that of OpenTelemetry, belongs inside, as base: it then
// replaces the traceparent by that of its own span, and decides itself which hosts get it. Outside,
// its traceparent does not survive a redirect to a host that is not ours.
//
// The caller's request is never changed. CloseIdleConnections of an [http.Client] reaches base.
func Transport(base http.RoundTripper, opts ...TransportOption) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &transport{base: base, header: defaultHeader}
	for _, o := range opts {
		if o != nil {
			o.applyTransport(t)
		}
	}
	return t
}

type transport struct {
	base   http.RoundTripper
	header string // canonical
	hosts  []hostPattern
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	edits := t.edits(req)
	if len(edits) == 0 {
		return t.base.RoundTrip(req) // which closes the body, also on error
	}
	clone := req.WithContext(req.Context())
	clone.Header = req.Header.Clone()
	if clone.Header == nil {
		clone.Header = make(http.Header)
	}
	for _, e := range edits {
		if e.value == "" {
			delete(clone.Header, e.key)
		} else {
			clone.Header[e.key] = []string{e.value}
		}
	}
	return t.base.RoundTrip(clone)
}

// An edit sets a header, or removes it if the value is empty.
type edit struct{ key, value string }

func (t *transport) edits(req *http.Request) []edit {
	s := scopeOf(req.Context())
	switch allowed := req.URL != nil && allows(t.hosts, req.URL); {
	case !allowed:
		return t.removals(req, s)
	case s != nil:
		return t.additions(req.Header, s)
	}
	return nil
}

func (t *transport) additions(h http.Header, s *scope) (edits []edit) {
	// add reports whether the request then has our value.
	add := func(key, value string) bool {
		for name, values := range h {
			if strings.EqualFold(name, key) {
				return holds(values, value)
			}
		}
		if value != "" {
			edits = append(edits, edit{key, value})
		}
		return value != ""
	}
	if add(t.header, s.id) {
		add(headerRoot, s.root)
	}
	if add(headerTraceParent, s.traceparent) {
		add(headerTraceState, s.tracestate)
	}
	add(headerBaggage, s.baggage)
	return edits
}

func (t *transport) removals(req *http.Request, s *scope) (edits []edit) {
	if s == nil {
		s = new(scope)
	}
	redirected := req.Response != nil
	traced := false
	for name, values := range req.Header { // a key that was written directly may be in any case
		var ours bool
		switch {
		case strings.EqualFold(name, t.header):
			ours = holds(values, s.id) || holds(values, s.parent) || holds(values, s.root)
		case strings.EqualFold(name, headerRoot):
			ours = holds(values, s.root)
		case strings.EqualFold(name, headerTraceParent):
			ours = holds(values, s.traceparent)
			traced = traced || ours
		case strings.EqualFold(name, headerTraceState):
		case strings.EqualFold(name, headerBaggage):
			ours = holds(values, s.baggage)
		default:
			continue
		}
		if ours || redirected {
			edits = append(edits, edit{key: name})
		}
	}
	if traced {
		edits = append(edits, edit{key: headerTraceState}) // it means nothing alone
	}
	return edits
}

// holds reports whether a header has this value, which is not empty, in one line or in several.
func holds(values []string, value string) bool {
	return value != "" && strings.Join(values, ",") == value
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
