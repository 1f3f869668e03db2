package interceptor

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gracekit/gracekit/reqid"
)

// Header is the key of the request ID in the metadata, on the way in and on the way back. Metadata
// keys are in lower case.
const Header = "x-request-id"

// The keys of what goes along with the ID, and with the trace.
const (
	rootHeader        = "x-root-request-id"
	traceParentHeader = "traceparent"
	traceStateHeader  = "tracestate"
	baggageHeader     = "baggage"
)

// RequestIDUnaryServer gives each call a request ID: the one valid ID that came with it or, if
// there was none, or several, or one that is not valid, a fresh one. It is in the context of the
// handler ([reqid.FromContext]) and in the header metadata of the answer.
//
// A call that fails before anything was sent has it in the trailer: see [ResponseID], which finds
// it in both. In the header it would keep clients from trying again, because a call whose header
// has come counts as begun (gRFC A6, "Committed"), and a retryPolicy does nothing for it.
//
// Calls of methods that the server does not have never come to an interceptor.
func RequestIDUnaryServer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx = extract(ctx)
	resp, err := handler(ctx, req)
	if err != nil || grpc.SetHeader(ctx, answer(ctx)) != nil { // or the handler has sent the header itself
		_ = grpc.SetTrailer(ctx, answer(ctx)) // fails only outside of a call
	}
	return resp, err
}

// RequestIDStreamServer is [RequestIDUnaryServer] for streams.
func RequestIDStreamServer(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	s := &answeringStream{ServerStream: stream, ctx: extract(stream.Context())}
	err := handler(srv, s)
	if err != nil {
		s.answer.Do(func() { stream.SetTrailer(answer(s.ctx)) })
	} else {
		s.setHeader()
	}
	return err
}

// An answeringStream adds the request ID to the header when that is about to be sent.
type answeringStream struct {
	grpc.ServerStream
	ctx    context.Context
	answer sync.Once
}

func (s *answeringStream) Context() context.Context { return s.ctx }

func (s *answeringStream) SendHeader(md metadata.MD) error {
	s.setHeader()
	return s.ServerStream.SendHeader(md)
}

func (s *answeringStream) SendMsg(m any) error {
	s.setHeader()
	return s.ServerStream.SendMsg(m)
}

func (s *answeringStream) setHeader() {
	s.answer.Do(func() { _ = s.SetHeader(answer(s.ctx)) }) // fails only if the call is over
}

func extract(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx) // a nil MD has no values
	// The error says that an ID was replaced. It is not logged, so that no client can fill the log.
	ctx, _ = reqid.Extract(ctx, md.Get)
	return ctx
}

func answer(ctx context.Context) metadata.MD {
	return metadata.Pairs(Header, reqid.FromContext(ctx))
}

// ResponseID returns the request ID of an answer, or "" if the server sent none:
//
//	var header, trailer metadata.MD
//	resp, err := client.Visit(ctx, req, grpc.Header(&header), grpc.Trailer(&trailer))
//	log.Info("answered", "requestID", interceptor.ResponseID(header, trailer))
func ResponseID(header, trailer metadata.MD) string {
	for _, md := range []metadata.MD{header, trailer} {
		if values := md.Get(Header); len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// RequestIDUnaryClient sends the request ID of the context, and the trace context that belongs to
// it, with each call. What the outgoing metadata already has is left alone. A context without an ID
// sends none, and the server makes one.
func RequestIDUnaryClient(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(inject(ctx), method, req, reply, conn, opts...)
}

// RequestIDStreamClient is [RequestIDUnaryClient] for streams.
func RequestIDStreamClient(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(inject(ctx), desc, conn, method, opts...)
}

func inject(ctx context.Context) context.Context {
	if reqid.FromContext(ctx) == "" {
		return ctx
	}
	out, _ := metadata.FromOutgoingContext(ctx) // a copy
	if out == nil {
		out = metadata.MD{}
	}
	// A root is that of our own ID, and a state that of our own trace: neither may stand beside
	// somebody else's.
	ownID, ownTrace := len(out[Header]) == 0, len(out[traceParentHeader]) == 0
	ownBaggage := len(out[baggageHeader]) == 0
	reqid.Inject(ctx, func(key, value string) {
		switch key {
		case Header, rootHeader:
			if ownID {
				out.Set(key, value)
			}
		case traceParentHeader, traceStateHeader:
			if ownTrace {
				out.Set(key, value)
			}
		case baggageHeader:
			if ownBaggage {
				out.Set(key, value)
			}
		}
	})
	return metadata.NewOutgoingContext(ctx, out)
}
