package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gracekit/gracekit/shutdown"
)

// The gRPC service echoes, in one answer or message by message. Its description is written by hand
// and its messages are those of protobuf itself, so that no generated code is needed.
var echoService = grpc.ServiceDesc{
	ServiceName: "gracekit.rollout.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: echoUnary}},
	Streams: []grpc.StreamDesc{{
		StreamName: "Stream", Handler: echoStream, ServerStreams: true, ClientStreams: true,
	}},
}

// streamMessages is how many messages a streaming call sends and gets back, one by one.
const streamMessages = 5

func newGRPCServer(cfg replicaConfig, l net.Listener) server {
	srv := grpc.NewServer()
	srv.RegisterService(&echoService, cfg.Work)
	return server{
		serve: func() error { return srv.Serve(l) },
		//gracevet:ignore gracefulstop the experiment shows what GracefulStop does by itself
		stop:  func(context.Context) error { srv.GracefulStop(); return nil },
		addTo: func(gs *shutdown.GracefulShutdown) error { return gs.GoGRPC("grpc", srv, l) },
	}
}

func newGRPCClient(traffic string, b balancer) (client, error) {
	conn, err := grpc.NewClient("passthrough:///service",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return b.dial(ctx)
		}))
	if err != nil {
		return client{}, err
	}
	invoke := callUnary
	if traffic == trafficStream {
		invoke = callStream
	}
	call := func(ctx context.Context, payload []byte) error { return invoke(ctx, conn, payload) }
	return client{call, func() { _ = conn.Close() }}, nil
}

func echoUnary(
	work any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	m := new(wrapperspb.BytesValue)
	if err := decode(m); err != nil {
		return nil, err
	}
	pretendToWork(work.(time.Duration))
	return m, nil
}

func echoStream(work any, stream grpc.ServerStream) error {
	for {
		m := new(wrapperspb.BytesValue)
		if err := stream.RecvMsg(m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		pretendToWork(work.(time.Duration))
		if err := stream.SendMsg(m); err != nil {
			return err
		}
	}
}

func callUnary(ctx context.Context, conn *grpc.ClientConn, payload []byte) error {
	answer := new(wrapperspb.BytesValue)
	err := conn.Invoke(ctx, "/gracekit.rollout.Echo/Unary", wrapperspb.Bytes(payload), answer)
	if err != nil {
		return err
	}
	return checkAnswer(answer.Value, payload)
}

func callStream(ctx context.Context, conn *grpc.ClientConn, payload []byte) error {
	stream, err := conn.NewStream(ctx, &echoService.Streams[0], "/gracekit.rollout.Echo/Stream")
	if err != nil {
		return err
	}
	for n := range streamMessages {
		err := stream.SendMsg(wrapperspb.Bytes(payload))
		if err != nil && !errors.Is(err, io.EOF) { // after EOF, RecvMsg tells why
			return err
		}
		answer := new(wrapperspb.BytesValue)
		if err := stream.RecvMsg(answer); err != nil {
			return fmt.Errorf("message %d: %w", n+1, err)
		}
		if err := checkAnswer(answer.Value, payload); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if err := stream.RecvMsg(new(wrapperspb.BytesValue)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}
