package shutdown_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestAddGRPCServerRefuses(t *testing.T) {
	gs := newService(t)
	assert.EqualError(t, gs.AddGRPCServer("", grpcServer{}), "shutdown: gRPC server without a name")
	assert.EqualError(t, gs.AddGRPCServer("s", nil), `shutdown: gRPC server "s" is nil`)
	require.NoError(t, gs.stop())
	assert.Empty(t, rowsOf(gs.Report()))
}

// GracefulStop has until the end of Grace. Then Stop is called, and waited for a tenth of a second.
func TestGRPCServerIsDrainedOrCut(t *testing.T) {
	type calls struct {
		stopped chan struct{} // ends GracefulStop
		over    chan struct{} // closed when the test is over
	}
	const cut = "grpc (ingress): shutdown: timed out after 5s: "
	const notReturned = "grpc (ingress): shutdown: timed out after 5s: " +
		"cutting what was left has not returned"
	tests := []struct {
		name     string
		graceful func(calls)
		stop     func(calls)
		options  []shutdown.Option
		total    time.Duration
		err      string
		stops    int // calls of Stop
	}{
		{
			name:     "drains",
			graceful: func(calls) { time.Sleep(3 * sec) },
			total:    3 * sec,
		},
		{
			name:     "Stop ends a GracefulStop that would go on forever",
			graceful: func(c calls) { <-c.stopped },
			stop:     func(c calls) { close(c.stopped) },
			total:    5 * sec,
			err:      cut + "calls in flight were cut",
			stops:    1,
		},
		{
			name:     "Stop returns, GracefulStop does not",
			graceful: func(c calls) { <-c.over },
			stop:     func(calls) {},
			total:    5 * sec,
			err:      cut + "calls in flight were cut",
			stops:    1,
		},
		{
			name:     "neither returns",
			graceful: func(c calls) { <-c.over },
			stop:     func(c calls) { <-c.over },
			total:    5*sec + 100*ms,
			err:      notReturned,
			stops:    1,
		},
		{
			name:     "neither returns, and Grace+Tail is over",
			graceful: func(c calls) { <-c.over },
			stop:     func(c calls) { <-c.over },
			options:  []shutdown.Option{shutdown.Tail(0)},
			total:    5 * sec,
			err:      "grpc (ingress): shutdown: timed out after 4.98s: cutting what was left has not returned",
			stops:    1,
		},
		{
			name:     "Stop panics",
			graceful: func(c calls) { <-c.over },
			stop:     func(calls) { panic("stop") },
			total:    5 * sec,
			err:      cut + "panic: stop\n\n",
			stops:    1,
		},
		{
			name:     "Stop exits its goroutine",
			graceful: func(c calls) { <-c.over },
			stop:     func(calls) { runtime.Goexit() },
			total:    5 * sec,
			err:      cut + "shutdown: runtime.Goexit was called",
			stops:    1,
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			c := calls{make(chan struct{}), make(chan struct{})}
			stops := 0
			gs := newService(t, append(tt.options, shutdown.Grace(5*sec))...)
			gs.grpcServer("grpc", grpcServer{
				graceful: func() { tt.graceful(c) },
				stop:     func() { stops++; tt.stop(c) },
			})
			var flushDeadline time.Duration
			gs.callback("flush", shutdown.PhaseFlush, func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				flushDeadline = time.Until(deadline)
				return nil
			})
			gs.start()
			took, err := gs.timedStop()
			close(c.over)
			synctest.Wait()
			assertTook(t, tt.total, took)
			assert.Equal(t, tt.stops, stops)
			if tt.err == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tt.err)
				assert.ErrorIs(t, err, shutdown.ErrTimeout)
				assert.Equal(t, shutdown.StateTimeout, row(t, gs.Report(), "grpc").State)
			}
			assert.Equal(t, shutdown.PhaseIngress, row(t, gs.Report(), "grpc").Phase)
			if tt.options == nil {
				assert.Positive(t, flushDeadline, "later phases have time left")
			}
		})
	}
}

// A Stop that hangs has its phase's share of what is left, so the phases after it have theirs.
func TestHangingStopLeavesTimeToFlush(t *testing.T) {
	tests := []struct {
		name    string
		hurryAt time.Duration
	}{
		{"at the end of Grace", 0},
		{"when Hurry comes while it drains", 2 * sec},
		{"when Hurry comes while it is cut", 3*sec + 20*ms},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t, shutdown.Grace(5*sec), shutdown.Tail(50*ms))
			hang := hanging(t)
			var opts []shutdown.ServerOption
			if tt.hurryAt > 3*sec {
				opts = append(opts, shutdown.DrainTimeout(3*sec))
			}
			require.NoError(t, gs.AddGRPCServer("grpc", grpcServer{
				graceful: func() { _ = hang(t.Context()) },
				stop:     func() { _ = hang(t.Context()) },
			}, opts...))
			gs.callback("flush", shutdown.PhaseFlush, sleep(10*ms))
			if tt.hurryAt > 0 {
				time.AfterFunc(tt.hurryAt, func() { gs.Hurry() })
			}
			require.ErrorIs(t, gs.stop(), shutdown.ErrTimeout)
			assert.Equal(t, shutdown.StateOK, row(t, gs.Report(), "flush").State)
		})
	}
}
