package reqid

import (
	"context"
	"fmt"
	"strings"
)

// Names on the wire, in lower case as gRPC metadata, HTTP/2 and the W3C write them.
const (
	carrierID          = "x-request-id"
	carrierRoot        = "x-root-request-id"
	carrierTraceParent = "traceparent"
	carrierTraceState  = "tracestate"
	carrierBaggage     = "baggage"
)

// Inject calls set for each thing a receiver needs to go on with the request of ctx: x-request-id
// and, where they are known, x-root-request-id, traceparent, tracestate and baggage. It calls
// nothing if ctx has no request ID. Each key is set once.
//
//	md := metadata.MD{}
//	reqid.Inject(ctx, func(key, value string) { md.Set(key, value) })
//
// It is for gRPC metadata and message headers; HTTP clients use [Transport], which also minds where
// the request goes.
func Inject(ctx context.Context, set func(key, value string)) {
	s := scopeOf(ctx)
	if s == nil {
		return
	}
	for _, field := range [...]struct{ key, value string }{
		{carrierID, s.id},
		{carrierRoot, s.root},
		{carrierTraceParent, s.traceparent},
		{carrierTraceState, s.tracestate},
		{carrierBaggage, s.baggage},
	} {
		if field.value != "" {
			set(field.key, field.value)
		}
	}
}

// Extract is the counterpart of [Inject]: it returns a context with the request ID that a message
// came with. get returns all values of a key, which is given in lower case, and none for a key that
// the message does not have. The options are those of [Middleware], but for [Trust]: whether to
// trust the sender of a message is for the caller to decide, by what get returns.
//
//	md, _ := metadata.FromIncomingContext(ctx)
//	ctx, err := reqid.Extract(ctx, md.Get)
//
// The context is always usable and always has an ID. If there was none it is a fresh one. If there
// were several, or it was not [Valid], it is a fresh one too, and the error, which Is
// [ErrInvalidID], says so; it is there to be logged or counted, not to refuse the message. Its text
// holds at most the first 40 bytes of what was sent, quoted, in ASCII. A trace context that is not
// valid is dropped without an error, as W3C Trace Context asks. Nothing is taken over from a
// request ID that ctx already has.
func Extract(
	ctx context.Context, get func(key string) []string, opts ...Option,
) (context.Context, error) {
	m := newConfig(opts)
	in := inbound{
		id:          get(strings.ToLower(m.header)),
		root:        get(carrierRoot),
		traceparent: get(carrierTraceParent),
		tracestate:  get(carrierTraceState),
		baggage:     get(carrierBaggage),
	}
	c := &scopeContext{Context: ctx}
	m.begin(ctx, &c.scope, &in)
	c.scope.cloneStrings()
	switch _, ok := single(in.id, m.maxLen); {
	case ok || len(in.id) == 0:
		return c, nil
	case len(in.id) == 1:
		return c, invalidID(in.id[0], m.maxLen)
	default:
		return c, fmt.Errorf("%w: %d values of %s, the first %s: want one",
			ErrInvalidID, len(in.id), strings.ToLower(m.header), quote(in.id[0]))
	}
}
