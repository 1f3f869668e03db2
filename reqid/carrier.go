package reqid

import (
	"context"
	"fmt"
)

// Names on the wire, in lower case as gRPC metadata, HTTP/2 and W3C Trace Context write
// them.
const (
	carrierID          = "x-request-id"
	carrierRoot        = "x-root-request-id"
	carrierTraceParent = "traceparent"
	carrierTraceState  = "tracestate"
)

// Inject calls set for each thing a receiver needs to go on with the request of ctx:
// x-request-id and, where they are known, x-root-request-id, traceparent and
// tracestate. It calls nothing if ctx has no request ID. Each key is set once.
//
//	md := metadata.MD{}
//	reqid.Inject(ctx, func(key, value string) { md.Set(key, value) })
//
// It is for gRPC metadata and message headers; HTTP clients use [Transport], which also
// minds where the request goes.
func Inject(ctx context.Context, set func(key, value string)) {
	s := scopeOf(ctx)
	if s == nil {
		return
	}
	set(carrierID, s.id)
	if s.root != "" {
		set(carrierRoot, s.root)
	}
	if s.traceparent != "" {
		set(carrierTraceParent, s.traceparent)
		if s.tracestate != "" {
			set(carrierTraceState, s.tracestate)
		}
	}
}

// Extract is the counterpart of [Inject]: it returns a context with the request ID that
// a message came with. get returns all values of a key, which is given in lower case, and
// none for a key that the message has not.
//
//	md, _ := metadata.FromIncomingContext(ctx)
//	ctx, err := reqid.Extract(ctx, md.Get)
//
// The context is always usable and always has an ID. If there was none it is a fresh
// one. If there were several, or it was not [Valid], it is a fresh one too, and the
// error, which Is [ErrInvalidID], says so; it is there to be logged or counted, not to
// refuse the message. Its text holds at most the first 40 bytes of what was sent, quoted,
// in ASCII. A trace context that is not valid is dropped without an error, as W3C Trace
// Context asks. Nothing is taken over from a request ID that ctx already has.
func Extract(ctx context.Context, get func(key string) []string) (context.Context, error) {
	c := &scopeContext{Context: ctx}
	s := &c.scope
	s.readTrace(get(carrierTraceParent), get(carrierTraceState))
	values := get(carrierID)
	if id, ok := single(values, maxIDLength); ok {
		s.id = id
		s.root, _ = single(get(carrierRoot), maxIDLength)
		return c, nil
	}
	s.id = New()
	switch len(values) {
	case 0:
		return c, nil
	case 1:
		return c, invalidID(values[0])
	default:
		return c, fmt.Errorf("%w: %d values of %s, the first %s: want one", ErrInvalidID, len(values), carrierID, quote(values[0]))
	}
}
