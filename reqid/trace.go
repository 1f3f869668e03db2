package reqid

import (
	"context"
	"strings"
)

// Trace returns the trace context that the request of ctx came with from a trusted peer, and
// whether there was one. [TraceState] has the rest of it.
func Trace(ctx context.Context) (TraceParent, bool) {
	s := scopeOf(ctx)
	if s == nil || s.traceparent == "" {
		return TraceParent{}, false
	}
	t, err := ParseTraceParent(s.traceparent)
	return t, err == nil
}

// TraceState returns the tracestate that belongs to [Trace], several headers joined by commas, or
// "". It is the text that [Transport] and [Inject] send on; nothing in it has been checked but that
// it fits into a header.
func TraceState(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		return s.tracestate
	}
	return ""
}

// Longer ones, in bytes, are not passed on. The W3C asks to pass on at least 512 bytes of
// tracestate and 8,192 of baggage.
const (
	maxTraceParent = 512
	maxTraceState  = 4096
	maxBaggage     = 8192
)

// readTrace takes over what a peer sent as traceparent and tracestate, and returns its trace-id.
// Without a usable traceparent there is no tracestate either.
func (s *scope) readTrace(in *inbound) (traceID string) {
	if len(in.traceparent) != 1 || !sendable(in.traceparent[0], maxTraceParent) {
		return ""
	}
	t, problem := parseTraceParent(in.traceparent[0])
	if problem != "" {
		return ""
	}
	s.traceparent = in.traceparent[0]
	s.tracestate = list(in.tracestate, maxTraceState)
	return t.traceID
}

// list returns several header lines as the one list that they are (RFC 9110, 5.3), or "" if that
// cannot be sent on.
func list(values []string, longest int) string {
	// A tab may stand between items, but gRPC does not send it.
	if s := strings.ReplaceAll(strings.Join(values, ","), "\t", " "); sendable(s, longest) {
		return s
	}
	return ""
}

// sendable reports whether s can stand in a header as it is. net/http and gRPC would refuse the
// whole request otherwise.
func sendable(s string, longest int) bool {
	if len(s) > longest {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || '~' < c {
			return false
		}
	}
	return true
}
