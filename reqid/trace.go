package reqid

import (
	"context"
	"strings"
)

// Trace returns the trace context that the request of ctx came with from a trusted peer, and
// whether there was one.
func Trace(ctx context.Context) (TraceParent, bool) {
	s := scopeOf(ctx)
	if s == nil || s.traceparent == "" {
		return TraceParent{}, false
	}
	t, err := ParseTraceParent(s.traceparent)
	return t, err == nil
}

// Trace context beyond these sizes, in bytes, is not passed on: a receiver is told to
// disallow only prohibitively large headers, and to expect tracestate up to 512.
const (
	maxTraceParent = 512
	maxTraceState  = 4096
)

// readTrace takes over what a peer sent as traceparent and tracestate, and returns its
// trace-id. Without a usable traceparent there is no tracestate either.
func (s *scope) readTrace(traceparent, tracestate []string) (traceID string) {
	if len(traceparent) != 1 || !sendable(traceparent[0], maxTraceParent) {
		return ""
	}
	t, problem := parseTraceParent(traceparent[0])
	if problem != "" {
		return ""
	}
	s.traceparent = traceparent[0]
	// Several header lines are one list (RFC 9110, 5.3).
	if state := strings.Join(tracestate, ","); sendable(state, maxTraceState) {
		s.tracestate = state
	}
	return t.traceID
}

// sendable reports whether s can stand in a header as it is. net/http would refuse the
// whole request otherwise.
func sendable(s string, longest int) bool {
	if len(s) > longest {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < ' ' || '~' < c) && c != '\t' {
			return false
		}
	}
	return true
}
