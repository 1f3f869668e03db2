// Package grpcdrain proves shutdown.AddGRPCServer against the real grpc-go, which the root module does not import.
package grpcdrain

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gracekit/gracekit/shutdown"
)

// A service with a unary and a streaming method, written by hand so that no generated code is needed. Both wait for goOn.
type service struct {
	begun chan struct{} // receives once for each call that has begun
	goOn  chan struct{} // closed when they may end
}

var description = grpc.ServiceDesc{
	ServiceName: "gracekit.test.Slow",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Unary",
		Handler: func(srv any, _ context.Context, _ func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			s := srv.(*service)
			s.begun <- struct{}{}
			<-s.goOn
			return wrapperspb.String("done"), nil
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName:    "Stream",
		ServerStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error {
			s := srv.(*service)
			if err := stream.SendMsg(wrapperspb.String("begun")); err != nil {
				return err
			}
			s.begun <- struct{}{}
			select {
			case <-s.goOn:
			case <-stream.Context().Done():
				return stream.Context().Err()
			}
			return stream.SendMsg(wrapperspb.String("done"))
		},
	}},
}

func serve(t *testing.T, gs *shutdown.GracefulShutdown) (*service, *grpc.ClientConn) {
	t.Helper()
	s := &service{begun: make(chan struct{}), goOn: make(chan struct{})}
	server := grpc.NewServer()
	server.RegisterService(&description, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gs.AddGRPCServer("grpc", server))
	require.NoError(t, gs.Go("serve", func(context.Context) error { return server.Serve(l) }))
	require.NoError(t, gs.Start(t.Context()))

	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return s, conn
}

func unary(ctx context.Context, conn *grpc.ClientConn) error {
	answer := new(wrapperspb.StringValue)
	err := conn.Invoke(ctx, "/gracekit.test.Slow/Unary", new(wrapperspb.StringValue), answer)
	if err == nil && answer.Value != "done" {
		return errors.New("answered " + answer.Value)
	}
	return err
}

func stream(ctx context.Context, conn *grpc.ClientConn) (messages string, err error) {
	st, err := conn.NewStream(ctx, &description.Streams[0], "/gracekit.test.Slow/Stream")
	if err != nil {
		return "", err
	}
	if err := errors.Join(st.SendMsg(new(wrapperspb.StringValue)), st.CloseSend()); err != nil {
		return "", err
	}
	for {
		m := new(wrapperspb.StringValue)
		if err := st.RecvMsg(m); errors.Is(err, io.EOF) {
			return messages, nil
		} else if err != nil {
			return messages, err
		}
		messages += m.Value + " "
	}
}

func TestCallsInFlightAreFinished(t *testing.T) {
	gs := shutdown.New(shutdown.Grace(time.Minute))
	s, conn := serve(t, gs)
	const calls = 20
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() { assert.NoError(t, unary(t.Context(), conn)) })
		wg.Go(func() {
			messages, err := stream(t.Context(), conn)
			assert.NoError(t, err)
			assert.Equal(t, "begun done ", messages)
		})
	}
	for range 2 * calls {
		<-s.begun
	}
	gs.Shutdown(nil)
	// The server refuses new calls while it finishes those in flight.
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			select {
			case <-s.begun: // a call that came before the server had heard of it
			case <-ctx.Done():
			}
		}()
		ended := make(chan error, 1)
		go func() { ended <- unary(ctx, conn) }()
		return status.Code(<-ended) == codes.Unavailable
	}, 10*time.Second, time.Millisecond)
	close(s.goOn)
	wg.Wait()
	assert.NoError(t, gs.Wait(), "Serve returning nil is no error, and not the end of the drain")
}

func TestStreamThatNeverEndsIsCut(t *testing.T) {
	gs := shutdown.New(shutdown.Grace(300 * time.Millisecond))
	s, conn := serve(t, gs)
	closed := false
	require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "db", Func: func(context.Context) error { closed = true; return nil }}))
	ended := make(chan error, 1)
	go func() {
		_, err := stream(t.Context(), conn)
		ended <- err
	}()
	<-s.begun
	gs.Shutdown(nil)
	err := gs.Wait()
	assert.ErrorIs(t, err, shutdown.ErrTimeout)
	assert.True(t, strings.HasPrefix(err.Error(), "grpc (ingress): shutdown: timed out after "), err.Error())
	assert.ErrorContains(t, err, "calls in flight were cut")
	assert.Equal(t, codes.Unavailable, status.Code(<-ended))
	assert.True(t, closed, "later phases run")
}
