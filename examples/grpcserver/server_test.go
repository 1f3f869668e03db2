//go:build unix

package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/grpcserver/client"
	"github.com/gracekit/gracekit/examples/grpcserver/demo"
	"github.com/gracekit/gracekit/examples/grpcserver/interceptor"
)

// The health service tells of the stop while the listener is still open, and liveness does not.
func TestHealthDuringTheDelay(t *testing.T) {
	t.Parallel()
	s := start(t, "-delay", "40s", "-grace", "50s")
	ctx := inTime(t)
	plain, err := client.DialPlain(s.addr)
	require.NoError(t, err)
	defer plain.Close()
	watch, err := grpc_health_v1.NewHealthClient(plain).Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: "gracekit.grpcserver.v1.Demo"})
	require.NoError(t, err)
	state, err := watch.Recv()
	require.NoError(t, err)
	require.Equal(t, serving, state.GetStatus())
	for _, service := range []string{"", "livez", "gracekit.grpcserver.v1.Demo"} {
		_, stderr, status := output(t, "-healthcheck", "-addr", s.addr, "-service", service)
		assert.Equal(t, 0, status, "%q: %s", service, stderr)
	}

	s.Signal(syscall.SIGTERM)
	state, err = watch.Recv()
	require.NoError(t, err)
	assert.Equal(t, notServing, state.GetStatus())

	conn, err := client.DialPlain(s.addr) // a new connection, of a client that has not noticed
	require.NoError(t, err)
	defer conn.Close()
	_, err = demo.NewDemoClient(conn).Visit(ctx, &demo.VisitRequest{})
	assert.NoError(t, err)
	for service, want := range map[string]string{
		"":                            `grpcserver: service "" is NOT_SERVING, want SERVING` + "\n",
		"gracekit.grpcserver.v1.Demo": `grpcserver: service "gracekit.grpcserver.v1.Demo" is NOT_SERVING, want SERVING` + "\n",
		"livez":                       "",
	} {
		_, stderr, status := output(t, "-healthcheck", "-addr", s.addr, "-service", service)
		assert.Equal(t, want, stderr)
		assert.Equal(t, want != "", status == 1, "exit status %d of %q", status, service)
	}
	s.Signal(syscall.SIGTERM)
	assert.Equal(t, 1, s.Wait(), "the second one forces")
	_, stderr, status := output(t, "-healthcheck", "-addr", s.addr)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "connection refused")
}

func TestMaintenance(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "maintenance")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	s := start(t, "-maintenance-file", file, "-check-every", "5ms") // it comes up, but is not ready
	conn := dial(t, []*process{s})
	ctx := inTime(t)
	plain, err := client.DialPlain(s.addr) // the other one has no use for a server that does not serve
	require.NoError(t, err)
	defer plain.Close()
	health := grpc_health_v1.NewHealthClient(plain)
	watch, err := health.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	next := func() grpc_health_v1.HealthCheckResponse_ServingStatus {
		resp, err := watch.Recv()
		require.NoError(t, err)
		return resp.GetStatus()
	}
	assert.Equal(t, notServing, next())
	require.NoError(t, os.Remove(file))
	assert.Equal(t, serving, next())
	_, err = demo.NewDemoClient(conn).Visit(ctx, &demo.VisitRequest{})
	assert.NoError(t, err)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.Equal(t, notServing, next())
	live, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: livez})
	require.NoError(t, err)
	assert.Equal(t, serving, live.GetStatus())

	// A client that checks health itself soon sends no call to such a server: it waits for one that
	// serves.
	require.Eventually(t, func() bool {
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, err := demo.NewDemoClient(conn).Visit(short, &demo.VisitRequest{})
		return status.Code(err) == codes.DeadlineExceeded
	}, 20*time.Second, time.Millisecond)
	s.Signal(syscall.SIGTERM)
	assert.Equal(t, 0, s.Wait(), "exit status")
	assert.Contains(t, s.Stderr.String(), "health changed\" check=maintenance from=up to=down error=\""+file+" exists\"")
}

// One ID in the answer, in the answers of both servers, and in the logs of both.
func TestRequestIDGoesThroughTwoServers(t *testing.T) {
	t.Parallel()
	b := start(t, "-name", "b")
	a := start(t, "-name", "a", "-next", b.addr)
	demoClient := demo.NewDemoClient(dial(t, []*process{a}))
	tests := []struct {
		name string
		sent []string
		want string // "" is a fresh one
	}{
		{"valid", []string{"from-the-client"}, "from-the-client"},
		{"none", nil, ""},
		{"not valid", []string{"level=ERROR msg"}, ""},
		{"two", []string{"one", "two"}, ""},
	}
	ids := make(map[string]string)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := inTime(t)
			for _, id := range tt.sent {
				ctx = metadata.AppendToOutgoingContext(ctx, interceptor.Header, id)
			}
			var header metadata.MD
			resp, err := demoClient.Visit(ctx, &demo.VisitRequest{}, grpc.Header(&header))
			require.NoError(t, err)
			id := interceptor.ResponseID(header, nil)
			if tt.want != "" {
				assert.Equal(t, tt.want, id)
			} else {
				assert.Regexp(t, `^[0-9a-f]{32}$`, id)
			}
			require.Len(t, resp.GetHops(), 2)
			for n, name := range []string{"a", "b"} {
				assert.Equal(t, name, resp.GetHops()[n].GetServer())
				assert.Equal(t, id, resp.GetHops()[n].GetRequestId())
			}
			ids[tt.name] = id
		})
	}
	for _, s := range []*process{a, b} {
		s.Signal(syscall.SIGTERM)
		assert.Equal(t, 0, s.Wait(), "exit status")
		for name, id := range ids {
			assert.Regexp(t, `msg="finished call" requestID=`+id+` .*grpc\.method=Visit .*grpc\.code=OK `, s.Stderr.String(), name)
		}
		assert.NotContains(t, s.Stderr.String(), "level=ERROR")
	}
}

// What the server behind has refused has been tried again already: a client that tried that again
// would make 16 calls of one.
func TestFailureOfTheServerBehindIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	behind := new(refusing)
	a := start(t, "-name", "a", "-next", serveDemo(t, behind))
	_, err := demo.NewDemoClient(dial(t, []*process{a})).Visit(inTime(t), &demo.VisitRequest{})
	assert.Equal(t, codes.Internal, status.Code(err))
	assert.Equal(t, "the server behind has failed", status.Convert(err).Message())
	assert.EqualValues(t, 4, behind.calls.Load())
	a.Signal(syscall.SIGTERM)
	assert.Equal(t, 0, a.Wait(), "exit status")
	assert.Regexp(t, `level=ERROR msg="the server behind has failed" requestID=[0-9a-f]{32} error=.*not today`, a.Stderr.String())
}

// A refusing server is of no use to anybody.
type refusing struct {
	demo.UnimplementedDemoServer
	calls atomic.Int32
}

func (r *refusing) Visit(context.Context, *demo.VisitRequest) (*demo.VisitResponse, error) {
	r.calls.Add(1)
	return nil, status.Error(codes.Unavailable, "not today")
}

func TestServerBehindIsGone(t *testing.T) {
	t.Parallel()
	a := start(t, "-name", "a", "-next", "127.0.0.1:1", "-longest-call", "200ms") // nobody listens on port 1
	_, err := demo.NewDemoClient(dial(t, []*process{a})).Visit(inTime(t), &demo.VisitRequest{})
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err), "it waits for the server behind as long as it may: %v", err)
}

func TestLongestCall(t *testing.T) {
	t.Parallel()
	s := start(t, "-longest-call", "50ms")
	_, err := demo.NewDemoClient(dial(t, []*process{s})).Visit(inTime(t), &demo.VisitRequest{WorkMillis: 2000})
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err), "the client itself would wait ten seconds: %v", err)
}

// A connection comes to its age again and again: no call fails, and a stream that outlives it goes
// on.
func TestMaxConnectionAge(t *testing.T) {
	t.Parallel()
	s := start(t, "-max-connection-age", "1s", "-max-connection-age-grace", "500ms")
	ctx := inTime(t)
	demoClient := demo.NewDemoClient(dial(t, []*process{s}))
	calling, stop := context.WithCancel(ctx)
	defer stop()
	visits := make(chan client.Visits, 1)
	go func() { visits <- client.VisitMany(calling, demoClient, -1, 4, 5*time.Millisecond) }()
	resumed := 0
	err := client.Counter{Client: demoClient, Pause: time.Millisecond,
		Each: func(*demo.CountResponse) {},
		Resumed: func(_ int64, err error) {
			assert.Equal(t, codes.Unavailable, status.Code(err))
			if resumed++; resumed == 2 {
				stop()
			}
		},
	}.Run(calling)
	assert.Equal(t, codes.Canceled, status.Code(err), "no number was lost, or came twice: %v", err)
	result := <-visits
	assert.Empty(t, result.Failed)
	s.Signal(syscall.SIGTERM)
	assert.Equal(t, 0, s.Wait(), "exit status")
	connections := make(map[string]bool)
	for _, m := range regexp.MustCompile(`grpc\.method=Visit peer\.address=(\S+)`).FindAllStringSubmatch(s.Stderr.String(), -1) {
		connections[m[1]] = true
	}
	assert.GreaterOrEqual(t, len(connections), 2)
}

// serveDemo returns the address of a server of this process.
func serveDemo(t *testing.T, service demo.DemoServer) (addr string) {
	t.Helper()
	server := grpc.NewServer()
	demo.RegisterDemoServer(server, service)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// What grpc's own client cannot be made to do: ping several times in a moment.
func TestPings(t *testing.T) {
	t.Parallel()
	const pings = 5
	tests := []struct {
		name string
		args []string
		acks int // -1: sent away
	}{
		{"too many", nil, -1},
		{"allowed, without a call", []string{"-min-ping", "1ns"}, pings},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.args...)
			conn, err := net.Dial("tcp", s.addr)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(50*time.Second)))
			_, err = conn.Write([]byte(http2.ClientPreface))
			require.NoError(t, err)
			framer := http2.NewFramer(conn, conn)
			require.NoError(t, framer.WriteSettings())
			for range pings {
				require.NoError(t, framer.WritePing(false, [8]byte{1}))
			}
			for acks := 0; acks != tt.acks; {
				frame, err := framer.ReadFrame()
				require.NoError(t, err)
				switch frame := frame.(type) {
				case *http2.PingFrame:
					if frame.IsAck() {
						acks++
					}
				case *http2.GoAwayFrame:
					assert.Equal(t, http2.ErrCodeEnhanceYourCalm, frame.ErrCode)
					assert.Equal(t, "too_many_pings", string(frame.DebugData()))
					require.Negative(t, tt.acks, "sent away")
					return
				}
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := start(t)
	demoClient := demo.NewDemoClient(dial(t, []*process{s}))
	ctx := inTime(t)
	count := func(req *demo.CountRequest) error {
		stream, err := demoClient.Count(ctx, req)
		require.NoError(t, err)
		_, err = stream.Recv()
		return err
	}
	visit := func(req *demo.VisitRequest) error { _, err := demoClient.Visit(ctx, req); return err }
	sum := func(reqs ...*demo.SumRequest) error {
		stream, err := demoClient.Sum(ctx)
		require.NoError(t, err)
		for _, req := range reqs {
			require.NoError(t, stream.Send(req))
		}
		for err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"negative work", visit(&demo.VisitRequest{WorkMillis: -1}), "work_millis is -1, want 0 to 60000"},
		{"too much work", visit(&demo.VisitRequest{WorkMillis: 60001}), "work_millis is 60001, want 0 to 60000"},
		{"negative position", count(&demo.CountRequest{After: -1, PauseMillis: 1}), "after is -1, must not be negative"},
		{"negative end", count(&demo.CountRequest{UpTo: -1, PauseMillis: 1}), "up_to is -1, must not be negative"},
		{"no pause", count(&demo.CountRequest{}), "pause_millis is 0, want 1 to 60000"},
		{"too long a pause", count(&demo.CountRequest{PauseMillis: 60001}), "pause_millis is 60001, want 1 to 60000"},
		{"resume too late", sum(&demo.SumRequest{Number: 1}, &demo.SumRequest{Number: 2, Resume: &demo.SumResponse{Count: 7}}),
			"resume is in a later message, want it in the first one or in none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, codes.InvalidArgument, status.Code(tt.err))
			assert.Equal(t, tt.want, status.Convert(tt.err).Message())
		})
	}
}
