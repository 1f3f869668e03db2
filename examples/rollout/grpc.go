package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The gRPC service echoes, in one answer or message by message. Its description is written by hand and its messages are those of
// protobuf itself, so that no generated code is needed.
var echoService = grpc.ServiceDesc{
	ServiceName: "gracekit.rollout.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: echoUnary}},
	Streams:     []grpc.StreamDesc{{StreamName: "Stream", Handler: echoStream, ServerStreams: true, ClientStreams: true}},
}

// streamMessages is how many messages a streaming call sends and gets back, one by one.
const streamMessages = 5

func newGRPCServer(work time.Duration) *grpc.Server {
	srv := grpc.NewServer()
	srv.RegisterService(&echoService, work)
	return srv
}

func echoUnary(work any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
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
	if err := conn.Invoke(ctx, "/gracekit.rollout.Echo/Unary", wrapperspb.Bytes(payload), answer); err != nil {
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
		if err := stream.SendMsg(wrapperspb.Bytes(payload)); err != nil && !errors.Is(err, io.EOF) { // after EOF, RecvMsg tells why
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
