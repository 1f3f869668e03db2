//go:build unix

package main

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/grpcserver/client"
	"github.com/gracekit/gracekit/examples/grpcserver/demo"
	"github.com/gracekit/gracekit/examples/internal/stoptest"
	"github.com/gracekit/gracekit/internal/testproc"
)

const (
	serving    = grpc_health_v1.HealthCheckResponse_SERVING
	notServing = grpc_health_v1.HealthCheckResponse_NOT_SERVING
)

func dial(t *testing.T, servers []*process, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	var addrs []string
	for _, s := range servers {
		addrs = append(addrs, s.addr)
	}
	conn, err := client.Dial(addrs, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// inTime is a deadline that only a hang reaches.
func inTime(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Two of three servers are stopped, one after the other, while short calls and both kinds of
// streams go on. No retryPolicy helps.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	const (
		numbers  = 1500
		pause    = 4 * time.Millisecond // so that no stream is done before the stops
		counters = 9
		adders   = 3
	)
	a, b, c := start(t, "-name", "a", "-delay", "300ms"), start(t, "-name", "b", "-delay", "300ms"), start(t, "-name", "c")
	ctx := inTime(t)
	demoClient := demo.NewDemoClient(dial(t, []*process{a, b, c}, grpc.WithDisableRetry()))
	require.Eventually(t, func() bool { // all three are connected
		return len(client.VisitMany(ctx, demoClient, 6, 1, 0).Servers) == 3
	}, 20*time.Second, 10*time.Millisecond)

	var streams, begun sync.WaitGroup
	var mu sync.Mutex // guards the two
	resumed, servers := 0, make(map[string]bool)
	onResume := func(_ int64, err error) {
		mu.Lock()
		defer mu.Unlock()
		resumed++
		assert.ErrorContains(t, err, "the server stops after message ")
	}
	begun.Add(counters)
	for range counters {
		streams.Go(func() {
			assert.NoError(t, client.Counter{Client: demoClient, UpTo: numbers, Pause: pause, Resumed: onResume,
				Each: func(resp *demo.CountResponse) {
					mu.Lock()
					servers[resp.GetServer()] = true
					mu.Unlock()
					if resp.GetNumber() == 1 {
						begun.Done()
					}
				}}.Run(ctx))
		})
	}
	begun.Wait()
	for range adders {
		streams.Go(func() {
			sum, err := client.Adder{Client: demoClient, Numbers: numbers, Pause: pause, Resumed: onResume}.Run(ctx)
			assert.NoError(t, err)
			assert.EqualValues(t, numbers*(numbers+1)/2, sum)
		})
	}
	mu.Lock()
	assert.Len(t, servers, 3, "the streams are spread over the servers")
	mu.Unlock()
	visits := make(chan client.Visits, 1)
	visiting, stopVisiting := context.WithCancel(ctx)
	defer stopVisiting()
	go func() { visits <- client.VisitMany(visiting, demoClient, -1, 8, 5*time.Millisecond) }()

	for _, s := range []*process{a, b} {
		s.Signal(syscall.SIGTERM)
		assert.Equal(t, 0, s.Wait(), "exit status; log:\n%s", s.Stderr.String())
		assert.Regexp(t, `ingress +grpc +\|.*#.*\| .* ok\n`, s.Stdout.String())
	}
	streams.Wait()
	stopVisiting()
	result := <-visits
	assert.Empty(t, result.Failed)
	assert.Positive(t, result.Servers["c"])
	assert.GreaterOrEqual(t, resumed, counters/3, "those that were on a")
	c.Signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.Wait(), "exit status")
}

// Streams on which nothing happens end all the same, each with a status that says how to go on; and
// a client that watches hears that the server does not serve before it hears nothing any more.
func TestSilentStreamsEndWithTheServer(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx := inTime(t)
	demoClient := demo.NewDemoClient(dial(t, []*process{s}))
	count, err := demoClient.Count(ctx, &demo.CountRequest{After: 41, PauseMillis: maxMillis})
	require.NoError(t, err)
	sum, err := demoClient.Sum(ctx)
	require.NoError(t, err)
	for n := range int64(3) {
		require.NoError(t, sum.Send(&demo.SumRequest{Number: n}))
		_, err := sum.Recv()
		require.NoError(t, err)
	}
	plain, err := client.DialPlain(s.addr)
	require.NoError(t, err)
	defer plain.Close()
	watch, err := grpc_health_v1.NewHealthClient(plain).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	state, err := watch.Recv()
	require.NoError(t, err)
	assert.Equal(t, serving, state.GetStatus())

	s.Signal(syscall.SIGTERM)
	_, err = count.Recv()
	assertStopping(t, err, "41")
	_, err = sum.Recv()
	assertStopping(t, err, "3")
	state, err = watch.Recv()
	require.NoError(t, err)
	assert.Equal(t, notServing, state.GetStatus())
	_, err = watch.Recv()
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, 0, s.Wait(), "exit status; log:\n%s", s.Stderr.String())
}

func assertStopping(t *testing.T, err error, after string) {
	t.Helper()
	st := status.Convert(err)
	assert.Equal(t, codes.Unavailable, st.Code())
	require.Len(t, st.Details(), 1, "%v", err)
	info, ok := st.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok)
	assert.Equal(t, demo.ReasonStopping, info.GetReason())
	assert.Equal(t, "gracekit.grpcserver.v1.Demo", info.GetDomain())
	assert.Equal(t, after, info.GetMetadata()[demo.ResumeAfter])
}

func TestStreamThatIgnoresTheStopIsCut(t *testing.T) {
	t.Parallel()
	bad, good := start(t, "-name", "bad", "-ignore-stop", "-grace", "500ms"), start(t, "-name", "good")
	ctx := inTime(t)
	demoClient := demo.NewDemoClient(dial(t, []*process{bad, good}))
	require.Eventually(t, func() bool { // both are connected, so of two streams each gets one
		return len(client.VisitMany(ctx, demoClient, 4, 1, 0).Servers) == 2
	}, 20*time.Second, 10*time.Millisecond)

	var streams, begun sync.WaitGroup
	var mu sync.Mutex // guards ends
	var ends []error
	begun.Add(2)
	for range 2 {
		streams.Go(func() {
			assert.NoError(t, client.Counter{Client: demoClient, UpTo: 1500, Pause: 4 * time.Millisecond,
				Each: func(resp *demo.CountResponse) {
					if resp.GetNumber() == 1 {
						begun.Done()
					}
				},
				Resumed: func(_ int64, err error) {
					mu.Lock()
					defer mu.Unlock()
					ends = append(ends, err)
				}}.Run(ctx), "who keeps the position goes on after a cut as well")
		})
	}
	begun.Wait()
	bad.Signal(syscall.SIGTERM)
	assert.Equal(t, 1, bad.Wait(), "exit status")
	assert.Contains(t, bad.Stderr.String(), "grpcserver: grpc (ingress): shutdown: timed out after ")
	assert.Contains(t, bad.Stderr.String(), ": calls in flight were cut")
	assert.Regexp(t, `ingress +grpc +\|.*#.*\| .* timeout`, bad.Stdout.String())
	streams.Wait()
	require.Len(t, ends, 1)
	assert.Equal(t, codes.Unavailable, status.Code(ends[0]))
	assert.Empty(t, status.Convert(ends[0]).Details(), "it was told nothing")
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, "-ignore-stop")
	stream, err := demo.NewDemoClient(dial(t, []*process{s})).Count(inTime(t), &demo.CountRequest{PauseMillis: 1})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	s.Signal(syscall.SIGTERM)
	s.Stderr.Await(`shutdown begins`)
	s.Signal(syscall.SIGINT)
	assert.Equal(t, 1, s.Wait(), "exit status")
	assert.Contains(t, s.Stderr.String(), "received interrupt while shutting down: exiting at once")
	assert.NotContains(t, s.Stderr.String(), "shutdown complete")
}

// A client that connects and says nothing, such as a port scanner, does not hold the stop up until
// all is cut.
func TestStopWithSilentConnection(t *testing.T) {
	t.Parallel()
	s := start(t)
	silent, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer silent.Close()
	_, err = silent.Read(make([]byte, 1)) // the server speaks first
	require.NoError(t, err)
	s.Signal(syscall.SIGTERM)
	assert.Zero(t, s.Wait(), s.Stderr.String())
}

// A call that waits for the server behind is answered, although nobody reads the log. The mode
// "marked" shows that main has returned, which it does when every callback has run.
func TestStopWithoutAReaderOfTheLog(t *testing.T) {
	stoptest.BrokenPipe(t, func(t *testing.T) stoptest.Service {
		behind := &waiting{called: make(chan struct{}), answer: make(chan struct{})}
		mark := filepath.Join(t.TempDir(), "mark")
		p := testproc.New(t, "marked", "-addr", "127.0.0.1:0", "-next", serveDemo(t, behind))
		p.Cmd.Env = append(p.Cmd.Env, markVariable+"="+mark)
		failed := make(chan error, 1)
		return stoptest.Service{
			Process: p,
			Begin: func(log *testproc.Output) {
				conn, err := client.DialPlain(log.Await(`msg=listening addr=(\S+) `)[1])
				require.NoError(t, err)
				t.Cleanup(func() { _ = conn.Close() })
				ctx := inTime(t)
				go func() {
					_, err := demo.NewDemoClient(conn).Visit(ctx, &demo.VisitRequest{})
					failed <- err
				}()
				<-behind.called
			},
			Stopping: func() {
				close(behind.answer)
				assert.NoError(t, <-failed)
			},
			Ended: func() { assert.FileExists(t, mark, "main did not return") },
		}
	})
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	p := testproc.New(t, "main", "-addr", taken.Addr().String(), "-delay", "20s")
	stoptest.PortInUse(t, p, 20*time.Second)
}

// A waiting server has one call, and answers it when it is told to.
type waiting struct {
	demo.UnimplementedDemoServer
	called, answer chan struct{}
}

func (w *waiting) Visit(context.Context, *demo.VisitRequest) (*demo.VisitResponse, error) {
	close(w.called)
	<-w.answer
	return &demo.VisitResponse{}, nil
}
