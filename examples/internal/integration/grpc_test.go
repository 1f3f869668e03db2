package integration_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gracekit/gracekit/shutdown"
)

func TestGRPC(t *testing.T) {
	run(t,
		framework{"GoGRPC", func(t *testing.T, i *instance) {
			require.NoError(t, i.GoGRPC("api", newGRPCServer(i), i.listen(t)))
		}, grpcLoads},
		framework{"AddGRPCServer", func(t *testing.T, i *instance) {
			srv, l := newGRPCServer(i), i.listen(t)
			require.NoError(t, i.AddGRPCServer("api", srv))
			i.goServe(t, func() error { return srv.Serve(l) })
		}, grpcLoads},
		framework{"ServeHTTP", func(t *testing.T, i *instance) {
			goHTTP(t, i, &http.Server{Handler: newGRPCServer(i), Protocols: h2cOnly()})
		}, grpcLoads},
		framework{"ServeHTTP and AddGRPCServer", func(t *testing.T, i *instance) {
			srv := newGRPCServer(i)
			// Its GracefulStop alone would cut the calls.
			require.NoError(t, i.AddGRPCServer("grpc", srv))
			goHTTP(t, i, &http.Server{Handler: srv, Protocols: h2cOnly()})
		}, grpcLoads},
		framework{"connect", func(t *testing.T, i *instance) {
			protocols := h2cOnly()
			protocols.SetHTTP1(true)
			goHTTP(t, i, &http.Server{Handler: newConnectHandler(i), Protocols: protocols})
		}, []load{
			{2, 1, newConnectHTTP1Client},
			{2, 2, newConnectHTTP2Client()},
			{2, 2, newConnectHTTP2Client(connect.WithGRPC())},
		}},
	)
}

// The service has two methods, written by hand so that no generated code is needed.
var description = grpc.ServiceDesc{
	ServiceName: "gracekit.test.Service",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Unary",
		Handler: func(
			srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
		) (any, error) {
			var question wrapperspb.StringValue
			if err := decode(&question); err != nil {
				return nil, err
			}
			return wrapperspb.String(srv.(*instance).answer(question.Value)), nil
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName:    "Stream",
		ClientStreams: true,
		ServerStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error {
			var question wrapperspb.StringValue
			if err := stream.RecvMsg(&question); err != nil {
				return err
			}
			return stream.SendMsg(wrapperspb.String(srv.(*instance).answer(question.Value)))
		},
	}},
}

const (
	unaryMethod  = "/gracekit.test.Service/Unary"
	streamMethod = "/gracekit.test.Service/Stream"
)

func newGRPCServer(i *instance) *grpc.Server {
	srv := grpc.NewServer()
	srv.RegisterService(&description, i)
	return srv
}

// The loads of gRPC: unary calls and streams on connections that are kept, and connections for each
// call.
var grpcLoads = []load{
	{2, 2, func(tr *trial) client { return newGRPCClient(tr, unary) }},
	{1, 2, func(tr *trial) client { return newGRPCClient(tr, stream) }},
	{2, 1, newShortGRPCClient},
}

func newGRPCClient(
	tr *trial, call func(context.Context, *grpc.ClientConn, string) (string, error),
) client {
	var told atomic.Int64
	conn, err := dialGRPC(tr, &told)
	return client{
		ask: func(ctx context.Context, question string) (string, error) {
			if err != nil {
				return "", err
			}
			return call(ctx, conn, question)
		},
		close: func() { _ = conn.Close() },
		told:  &told,
	}
}

func newShortGRPCClient(tr *trial) client {
	ask := func(ctx context.Context, question string) (string, error) {
		conn, err := dialGRPC(tr, new(atomic.Int64))
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return unary(ctx, conn, question)
	}
	return client{ask: ask, close: func() {}}
}

func dialGRPC(tr *trial, told *atomic.Int64) (*grpc.ClientConn, error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return dialHTTP2(ctx, tr, told)
	}
	return grpc.NewClient("passthrough:///service", grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func unary(ctx context.Context, conn *grpc.ClientConn, question string) (string, error) {
	var answer wrapperspb.StringValue
	err := conn.Invoke(ctx, unaryMethod, wrapperspb.String(question), &answer)
	return answer.Value, err
}

func stream(ctx context.Context, conn *grpc.ClientConn, question string) (string, error) {
	st, err := conn.NewStream(ctx, &description.Streams[0], streamMethod)
	if err != nil {
		return "", err
	}
	var answer wrapperspb.StringValue
	if err := errors.Join(st.SendMsg(wrapperspb.String(question)), st.CloseSend()); err != nil {
		return "", errors.Join(err, st.RecvMsg(&answer)) // which says why
	}
	if err := st.RecvMsg(&answer); err != nil {
		return "", err
	}
	return answer.Value, nil
}

func newConnectHandler(i *instance) http.Handler {
	return connect.NewUnaryHandler(unaryMethod, func(
		_ context.Context, r *connect.Request[wrapperspb.StringValue],
	) (*connect.Response[wrapperspb.StringValue], error) {
		return connect.NewResponse(wrapperspb.String(i.answer(r.Msg.Value))), nil
	})
}

func newConnectHTTP1Client(tr *trial) client {
	var told atomic.Int64
	transport := &http.Transport{DialContext: tr.dial}
	return newConnectClient(&told, transport, &toldOverHTTP1{transport, &told})
}

// toldOverHTTP1 counts the responses that say "Connection: close".
type toldOverHTTP1 struct {
	*http.Transport
	told *atomic.Int64
}

func (rt *toldOverHTTP1) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := rt.Transport.RoundTrip(r)
	if err == nil && resp.Close {
		rt.told.Add(1)
	}
	return resp, err
}

func newConnectHTTP2Client(opts ...connect.ClientOption) func(*trial) client {
	return func(tr *trial) client {
		transport, told := newHTTP2Transport(tr)
		return newConnectClient(told, transport, transport, opts...)
	}
}

func newConnectClient(
	told *atomic.Int64, transport *http.Transport, rt http.RoundTripper, opts ...connect.ClientOption,
) client {
	c := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](
		&http.Client{Transport: rt}, "http://example.com"+unaryMethod, opts...)
	ask := func(ctx context.Context, question string) (string, error) {
		resp, err := c.CallUnary(ctx, connect.NewRequest(wrapperspb.String(question)))
		if err != nil {
			return "", err
		}
		return resp.Msg.Value, nil
	}
	return client{ask, transport.CloseIdleConnections, told}
}

// Stop is called at the end of Grace, and later phases run.
func TestGRPCStreamThatNeverEndsIsCut(t *testing.T) {
	i := &instance{
		GracefulShutdown: shutdown.New(shutdown.Grace(300 * time.Millisecond)),
		asked:            make(chan struct{}, 1), drains: make(chan struct{}),
	}
	defer close(i.drains)
	require.NoError(t, i.GoGRPC("grpc", newGRPCServer(i), i.listen(t)))
	closed := false
	require.NoError(t, i.AddCallback(shutdown.Callback{
		Name: "db", Func: func(context.Context) error { closed = true; return nil },
	}))
	require.NoError(t, i.Start(t.Context()))

	c := newGRPCClient(&trial{old: i}, stream)
	defer c.close()
	ended := make(chan error, 1)
	go func() {
		_, err := c.ask(t.Context(), slow)
		ended <- err
	}()
	<-i.asked
	i.Shutdown(nil)
	err := i.Wait()
	require.ErrorIs(t, err, shutdown.ErrTimeout)
	assert.ErrorContains(t, err, "calls in flight were cut")
	assert.Equal(t, codes.Unavailable, status.Code(<-ended))
	assert.True(t, closed, "later phases run")
}

// GracefulStop would wait for it until grpc's ConnectionTimeout, by default two minutes.
func TestGRPCConnectionThatSaysNothing(t *testing.T) {
	i := &instance{GracefulShutdown: shutdown.New()}
	require.NoError(t, i.GoGRPC("grpc", newGRPCServer(i), i.listen(t)))
	require.NoError(t, i.Start(t.Context()))
	c, err := net.Dial("tcp", i.addr)
	require.NoError(t, err)
	defer c.Close()
	i.Shutdown(nil)
	require.NoError(t, i.Wait(), "%s", i.Report())
}
