package interceptor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/grpcserver/interceptor"
	"github.com/gracekit/gracekit/reqid"
)

// A service whose handlers are the functions of a test.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	unary  func(context.Context) error
	stream func(grpc.ServerStream) error
}

func (s *service) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	return &grpc_testing.Empty{}, s.unary(ctx)
}

func (s *service) FullDuplexCall(stream grpc_testing.TestService_FullDuplexCallServer) error {
	return s.stream(stream)
}

// A buffer that handlers write to while the test reads it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// serve runs s behind all interceptors and returns a client with the interceptors of clients.
func serve(t *testing.T, s *service, longest time.Duration, opts ...grpc.DialOption) (grpc_testing.TestServiceClient, *grpc.ClientConn, *buffer) {
	t.Helper()
	logged := new(buffer)
	log := slog.New(reqid.LogHandler(slog.NewTextHandler(logged, nil)))
	server := grpc.NewServer(interceptor.ServerOptions(log, longest)...)
	grpc_testing.RegisterTestServiceServer(server, s)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(),
		append(append(interceptor.DialOptions(), opts...), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return grpc_testing.NewTestServiceClient(conn), conn, logged
}

// What an answer has beside its messages.
type answer struct{ header, trailer metadata.MD }

// Each test of the request ID is made with both kinds of calls.
var kinds = map[string]func(context.Context, grpc_testing.TestServiceClient) (answer, error){
	"unary": func(ctx context.Context, client grpc_testing.TestServiceClient) (a answer, err error) {
		_, err = client.EmptyCall(ctx, &grpc_testing.Empty{}, grpc.Header(&a.header), grpc.Trailer(&a.trailer))
		return a, err
	},
	"stream": func(ctx context.Context, client grpc_testing.TestServiceClient) (a answer, err error) {
		stream, err := client.FullDuplexCall(ctx, grpc.Header(&a.header), grpc.Trailer(&a.trailer))
		if err != nil {
			return a, err
		}
		for err == nil {
			_, err = stream.Recv()
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return a, err
	},
}

// both makes one function the handler of both kinds.
func both(handle func(context.Context) error) *service {
	return &service{unary: handle, stream: func(s grpc.ServerStream) error { return handle(s.Context()) }}
}

const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestInboundID(t *testing.T) {
	tests := []struct {
		name    string
		sent    []string // pairs of keys and values
		adopted string   // "" if a fresh one is wanted
	}{
		{"none", nil, ""},
		{"valid", []string{"x-request-id", "from-the-client"}, "from-the-client"},
		{"in upper case", []string{"X-Request-ID", "from-the-client"}, "from-the-client"},
		{"two", []string{"x-request-id", "one", "x-request-id", "two"}, ""},
		{"the same twice", []string{"x-request-id", "one", "x-request-id", "one"}, ""},
		{"empty", []string{"x-request-id", ""}, ""},
		{"odd characters", []string{"x-request-id", `","level":"error`}, ""},
		{"too long", []string{"x-request-id", strings.Repeat("a", 129)}, ""},
	}
	for _, tt := range tests {
		for kind, call := range kinds {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				var inHandler string
				client, _, logged := serve(t, both(func(ctx context.Context) error {
					inHandler = reqid.FromContext(ctx)
					return nil
				}), 0)
				answer, err := call(metadata.AppendToOutgoingContext(t.Context(), tt.sent...), client)
				require.NoError(t, err)
				assert.Equal(t, []string{inHandler}, answer.header.Get(interceptor.Header), "answered")
				assert.Equal(t, inHandler, interceptor.ResponseID(answer.header, answer.trailer))
				if tt.adopted != "" {
					assert.Equal(t, tt.adopted, inHandler)
				} else {
					assert.Regexp(t, `^[0-9a-f]{32}$`, inHandler)
				}
				logs(t, logged, `level=INFO msg="finished call" requestID=`+inHandler+` grpc\.service=grpc\.testing\.TestService .* grpc\.code=OK `)
			})
		}
	}
}

// logs waits for a record, because the client has its answer a little earlier.
func logs(t *testing.T, logged *buffer, pattern string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Regexp(c, pattern, logged.String()) }, 10*time.Second, time.Millisecond)
}

func TestIDIsAnsweredWithAnError(t *testing.T) {
	tests := []struct {
		name  string
		fails func(context.Context) error
		code  codes.Code
		log   string
	}{
		{"error", func(context.Context) error { return status.Error(codes.NotFound, "no such thing") }, codes.NotFound, `level=INFO msg="finished call" requestID=abc .*grpc\.error=.*no such thing`},
		{"panic", func(context.Context) error { panic("secret") }, codes.Internal, `level=ERROR msg="panic in a handler" requestID=abc panic=secret stack=.*interceptor_test`},
		{"panic, access log", func(context.Context) error { panic("secret") }, codes.Internal, `level=ERROR msg="finished call" requestID=abc .*grpc\.code=Internal`},
		{"deadline", func(context.Context) error { return fmt.Errorf("query: %w", context.DeadlineExceeded) }, codes.DeadlineExceeded, `level=WARN msg="finished call" requestID=abc .*grpc\.code=DeadlineExceeded`},
		{"plain error", func(context.Context) error { return errors.New("bad") }, codes.Unknown, `level=ERROR msg="finished call" requestID=abc .*grpc\.code=Unknown`},
	}
	for _, tt := range tests {
		for kind, call := range kinds {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				client, _, logged := serve(t, both(tt.fails), 0)
				answer, err := call(metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "abc"), client)
				assert.Equal(t, tt.code, status.Code(err))
				assert.NotContains(t, err.Error(), "secret", "a panic may hold anything")
				assert.Empty(t, answer.header, "a header would keep a retryPolicy from trying again")
				assert.Equal(t, []string{"abc"}, answer.trailer.Get(interceptor.Header))
				assert.Equal(t, "abc", interceptor.ResponseID(answer.header, answer.trailer))
				logs(t, logged, tt.log)
			})
		}
	}
}

// The interceptors must not take away what a client's retryPolicy does.
func TestRetryPolicyWorks(t *testing.T) {
	for kind, call := range kinds {
		t.Run(kind, func(t *testing.T) {
			attempts := 0
			client, _, _ := serve(t, both(func(context.Context) error {
				if attempts++; attempts < 3 {
					return status.Error(codes.Unavailable, "not yet")
				}
				return nil
			}), 0, grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3,
				"initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`))
			answer, err := call(metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "abc"), client)
			assert.NoError(t, err)
			assert.Equal(t, 3, attempts)
			assert.Equal(t, []string{"abc"}, answer.header.Get(interceptor.Header))
		})
	}
}

func TestStreamThatFailsInTheMiddle(t *testing.T) {
	sends := map[string]func(grpc.ServerStream) error{
		"message": func(s grpc.ServerStream) error { return s.SendMsg(&grpc_testing.StreamingOutputCallResponse{}) },
		"header":  func(s grpc.ServerStream) error { return s.SendHeader(metadata.Pairs("own", "x")) },
	}
	for what, send := range sends {
		t.Run("after a "+what, func(t *testing.T) {
			client, _, _ := serve(t, &service{stream: func(s grpc.ServerStream) error {
				return errors.Join(s.SetHeader(metadata.Pairs("early", "x")), send(s), status.Error(codes.Aborted, "half-way"))
			}}, 0)
			answer, err := kinds["stream"](metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "abc"), client)
			assert.ErrorContains(t, err, "half-way")
			assert.Equal(t, []string{"abc"}, answer.header.Get(interceptor.Header))
			assert.Equal(t, []string{"x"}, answer.header.Get("early"))
			assert.Empty(t, answer.trailer.Get(interceptor.Header), "once is enough")
		})
	}
}

func TestUnaryHandlerThatSendsItsHeader(t *testing.T) {
	client, _, _ := serve(t, both(func(ctx context.Context) error { return grpc.SendHeader(ctx, metadata.Pairs("own", "x")) }), 0)
	answer, err := kinds["unary"](metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "abc"), client)
	require.NoError(t, err)
	assert.Equal(t, []string{"x"}, answer.header.Get("own"))
	assert.Equal(t, "abc", interceptor.ResponseID(answer.header, answer.trailer))
}

func TestResponseIDOfAServerThatSendsNone(t *testing.T) {
	assert.Empty(t, interceptor.ResponseID(nil, metadata.Pairs("other", "x")))
}

// The ID and the trace come in at one server, which calls another one with the context of its
// handler.
func TestIDGoesAlongToTheNextServer(t *testing.T) {
	for kind, call := range kinds {
		t.Run(kind, func(t *testing.T) {
			var arrived metadata.MD
			next, _, _ := serve(t, both(func(ctx context.Context) error {
				arrived, _ = metadata.FromIncomingContext(ctx)
				return nil
			}), 0)
			first, _, _ := serve(t, both(func(ctx context.Context) error {
				_, err := call(ctx, next)
				return err
			}), 0)
			_, err := call(metadata.AppendToOutgoingContext(t.Context(),
				"x-request-id", "abc", "x-root-request-id", "root", "traceparent", trace, "tracestate", "a=b", "authorization", "secret"), first)
			require.NoError(t, err)
			for key, want := range map[string]string{"x-request-id": "abc", "x-root-request-id": "root", "traceparent": trace, "tracestate": "a=b"} {
				assert.Equal(t, []string{want}, arrived.Get(key), key)
			}
			assert.Empty(t, arrived.Get("authorization"), "nothing else goes along")
		})
	}
}

func TestClientLeavesAloneWhatTheCallHas(t *testing.T) {
	ours, err := reqid.Extract(t.Context(), metadata.Pairs("x-request-id", "ours", "x-root-request-id", "root", "traceparent", trace, "tracestate", "a=b", "baggage", "k=v").Get)
	require.NoError(t, err)
	other := strings.Replace(trace, "4bf9", "1111", 1)
	tests := []struct {
		name string
		ctx  context.Context
		own  []string
		want map[string][]string
	}{
		{"nothing", ours, nil, map[string][]string{"x-request-id": {"ours"}, "x-root-request-id": {"root"}, "traceparent": {trace}, "tracestate": {"a=b"}, "baggage": {"k=v"}}},
		{"baggage", ours, []string{"baggage", "own=1"}, map[string][]string{"x-request-id": {"ours"}, "baggage": {"own=1"}}},
		{"an ID", ours, []string{"x-request-id", "theirs"}, map[string][]string{"x-request-id": {"theirs"}, "x-root-request-id": nil, "traceparent": {trace}}},
		{"a trace", ours, []string{"traceparent", other}, map[string][]string{"x-request-id": {"ours"}, "traceparent": {other}, "tracestate": nil}},
		{"something else", ours, []string{"user-token", "x"}, map[string][]string{"x-request-id": {"ours"}, "user-token": {"x"}}},
		{"no ID in the context", t.Context(), []string{"user-token", "x"}, map[string][]string{"x-request-id": nil, "user-token": {"x"}}},
	}
	for _, tt := range tests {
		for kind, call := range kinds {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				var arrived metadata.MD
				client, _, _ := serve(t, both(func(ctx context.Context) error {
					arrived, _ = metadata.FromIncomingContext(ctx)
					return nil
				}), 0)
				ctx := metadata.AppendToOutgoingContext(tt.ctx, tt.own...)
				before, _ := metadata.FromOutgoingContext(ctx)
				_, err := call(ctx, client)
				require.NoError(t, err)
				for key, want := range tt.want {
					assert.Equal(t, want, arrived.Get(key), key)
				}
				after, _ := metadata.FromOutgoingContext(ctx)
				assert.Equal(t, before, after, "the caller's metadata is not changed")
			})
		}
	}
}

func TestUserIsInTheAccessLog(t *testing.T) {
	for kind, call := range kinds {
		t.Run(kind, func(t *testing.T) {
			client, _, logged := serve(t, both(func(ctx context.Context) error {
				assert.True(t, reqid.SetUser(ctx, "alice"))
				return nil
			}), 0)
			_, err := call(t.Context(), client)
			require.NoError(t, err)
			logs(t, logged, `msg="finished call" requestID=[0-9a-f]{32} username=alice `)
		})
	}
}

// The server answers another message after the panic: it has not ended.
func TestServerSurvivesAPanic(t *testing.T) {
	panics := true
	client, _, _ := serve(t, both(func(context.Context) error {
		if panics {
			panics = false
			panic(errors.New("nil map"))
		}
		return nil
	}), 0)
	_, err := kinds["unary"](t.Context(), client)
	assert.EqualError(t, err, "rpc error: code = Internal desc = internal error")
	_, err = kinds["stream"](t.Context(), client)
	assert.NoError(t, err)
}

func TestDeadline(t *testing.T) {
	waits := both(func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	t.Run("of the server", func(t *testing.T) {
		client, _, _ := serve(t, waits, 10*time.Millisecond)
		_, err := kinds["unary"](t.Context(), client)
		assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
	})
	t.Run("of the client, which is shorter", func(t *testing.T) {
		var left time.Duration
		client, _, _ := serve(t, both(func(ctx context.Context) error {
			end, ok := ctx.Deadline()
			assert.True(t, ok)
			left = time.Until(end)
			return nil
		}), time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := kinds["unary"](ctx, client)
		require.NoError(t, err)
		assert.LessOrEqual(t, left, time.Minute)
	})
	t.Run("not of streams", func(t *testing.T) {
		client, _, _ := serve(t, both(func(ctx context.Context) error {
			_, bounded := ctx.Deadline()
			assert.False(t, bounded)
			return nil
		}), time.Hour)
		_, err := kinds["stream"](t.Context(), client)
		assert.NoError(t, err)
	})
	t.Run("none", func(t *testing.T) {
		client, _, _ := serve(t, both(func(ctx context.Context) error {
			_, bounded := ctx.Deadline()
			assert.False(t, bounded)
			return nil
		}), 0)
		_, err := kinds["unary"](t.Context(), client)
		assert.NoError(t, err)
	})
}

func TestHealthChecksAreNotLogged(t *testing.T) {
	client, conn, logged := serve(t, both(func(context.Context) error { return nil }), 0)
	var header metadata.MD
	_, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&header))
	require.NoError(t, err)
	assert.Len(t, header.Get(interceptor.Header), 1, "but they have an ID")
	_, err = kinds["unary"](t.Context(), client)
	require.NoError(t, err)
	logs(t, logged, "finished call")
	assert.NotContains(t, logged.String(), "grpc.health.v1")
}
