package shutdown_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// Hurry ends whatever is running, and what has not begun shares Tail.
func TestHurryEndsWhatIsRunning(t *testing.T) {
	untilEnd := func(ctx context.Context) error { <-ctx.Done(); return nil }
	tests := []struct {
		name    string
		options []shutdown.Option
		begin   func(gs service) // leaves the stop in the stage of the name after 1s
	}{
		{"the start hooks", []shutdown.Option{shutdown.Delay(5 * sec)}, func(gs service) {
			gs.managers(&manager{name: "hook", begin: func(ctx context.Context, _ error) error {
				return untilEnd(ctx)
			}})
			gs.start()
		}},
		{"a start hook that hangs", nil, func(gs service) {
			hang := hanging(gs.t)
			gs.managers(&manager{name: "hook", begin: func(ctx context.Context, _ error) error {
				return hang(ctx)
			}})
			gs.start()
		}},
		{"Delay", []shutdown.Option{shutdown.Delay(10 * sec)}, func(gs service) { gs.start() }},
		{"Linger", []shutdown.Option{shutdown.Linger(5 * sec)}, func(gs service) {
			l := gs.serveInMemory(&http.Server{Handler: answers("ok")})
			gs.start()
			l.dial(gs.t).get("/")
			synctest.Wait()
		}},
		{"the drain of a server", []shutdown.Option{shutdown.Linger(0)}, func(gs service) {
			l := newListener()
			hang := hanging(gs.t)
			require.NoError(gs.t, gs.GoHTTP("api", &http.Server{Handler: http.HandlerFunc(
				func(_ http.ResponseWriter, r *http.Request) { _ = hang(r.Context()) })}, l))
			gs.start()
			l.dial(gs.t).send("/")
			synctest.Wait()
		}},
		{"the drain of a gRPC server", nil, func(gs service) {
			stopped := make(chan struct{})
			gs.grpcServer("grpc", grpcServer{
				graceful: func() { <-stopped },
				stop:     func() { close(stopped) },
			})
			gs.start()
		}},
		{"a callback", nil, func(gs service) {
			gs.callback("work", shutdown.PhaseWork, untilEnd)
			gs.start()
		}},
		{"a callback with a Timeout", nil, func(gs service) {
			gs.callbacks(shutdown.Callback{
				Name: "work", Phase: shutdown.PhaseWork, Timeout: 20 * sec, Func: untilEnd,
			})
			gs.start()
		}},
		{"a callback that hangs", nil, func(gs service) {
			gs.callback("work", shutdown.PhaseWork, hanging(gs.t))
			gs.start()
		}},
		{"a component that hangs", nil, func(gs service) {
			gs.component("worker", hanging(gs.t))
			gs.start()
		}},
		{"DrainTimeout", []shutdown.Option{shutdown.Linger(0)}, func(gs service) {
			require.NoError(gs.t, gs.AddServer("echo", &plainServer{shutdown: untilEnd},
				shutdown.DrainTimeout(20*sec)))
			gs.start()
		}},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t, append(tt.options, shutdown.Tail(4*sec))...)
			var j journal
			j.add("trigger")
			gs.callback("store", shutdown.PhaseStore, func(ctx context.Context) error {
				assert.NoError(t, ctx.Err())
				assert.Error(t, gs.Context().Err())
				return nil
			})
			flushed := gs.flushing()
			tt.begin(gs)
			gs.Shutdown(errTest)
			time.Sleep(sec)
			begin := time.Now()
			require.False(t, isDone(gs))
			assert.True(t, gs.Hurry())
			assert.False(t, gs.Hurry(), "a second time")
			_ = gs.Wait()
			assertTook(t, 0, time.Since(begin))
			assert.True(t, flushed.Load(), "PhaseFlush has not run")
			assert.Equal(t, shutdown.StateOK, row(t, gs.Report(), "store").State)
			assert.Equal(t, errTest, gs.Report().Reason)
			assert.Equal(t, errTest, context.Cause(gs.Context()))
			assert.False(t, gs.Hurry(), "after the end")
		})
	}
}

func isDone(gs service) bool {
	select {
	case <-gs.Done():
		return true
	default:
		return false
	}
}

// After Hurry the stop takes Tail at most, whatever hangs, and each phase that has not begun has
// an equal share of it.
func TestAfterHurryTailIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(10*sec), shutdown.Tail(4*sec))
		for _, phase := range []shutdown.Phase{100, 200, 300, 400} {
			gs.callback(phase.String(), phase, hanging(t))
		}
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(3 * sec)
		begin := time.Now()
		require.True(t, gs.Hurry())
		require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
		assertTook(t, 4*sec, time.Since(begin))
		assert.Equal(t, 3*sec, delayed(gs.Report()))
		for _, name := range []string{"ingress", "work", "store", "flush"} {
			assertTook(t, sec, row(t, gs.Report(), name).Duration, name)
		}
	})
}

func TestHurryBeforeTheTriggerDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(5*sec))
		assert.False(t, gs.Hurry(), "before Start")
		gs.start()
		assert.False(t, gs.Hurry(), "before the trigger")
		assert.False(t, gs.isDraining())
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Equal(t, 5*sec, took)
	})
}

func TestHurryWhenGraceIsOverDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Grace(5*sec), shutdown.Tail(2*sec))
		gs.callback("work", shutdown.PhaseWork, hanging(t))
		gs.callback("flush", shutdown.PhaseFlush, sleep(sec))
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(5*sec + 500*ms)
		assert.False(t, gs.Hurry())
		_ = gs.Wait()
		assert.Equal(t, shutdown.StateOK, row(t, gs.Report(), "flush").State)
	})
}

// What runs within its share of Tail is not cut by a second Hurry.
func TestSecondHurryLeavesTailAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(10*sec), shutdown.Tail(4*sec))
		gs.callback("flush", shutdown.PhaseFlush, sleep(2*sec))
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(sec)
		require.True(t, gs.Hurry())
		time.Sleep(sec)
		require.False(t, gs.Hurry())
		require.NoError(t, gs.Wait())
		assert.Equal(t, 3*sec, gs.Report().Total)
	})
}

func TestStopDeadlineFollowsHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Grace(20*sec), shutdown.Tail(3*sec))
		begin := time.Now()
		gs.callback("work", shutdown.PhaseWork, func(ctx context.Context) error {
			assert.Equal(t, 23*sec, shutdown.StopDeadline(ctx).Sub(begin))
			<-ctx.Done()
			assert.Equal(t, 2*sec, time.Since(begin), "the end of its context")
			assert.Equal(t, 5*sec, shutdown.StopDeadline(ctx).Sub(begin))
			assert.Equal(t, shutdown.ErrTimeout, context.Cause(ctx))
			return nil
		})
		gs.callback("flush", shutdown.PhaseFlush, func(ctx context.Context) error {
			assert.Equal(t, 5*sec, shutdown.StopDeadline(ctx).Sub(begin))
			deadline, _ := ctx.Deadline()
			assert.LessOrEqual(t, deadline.Sub(begin), 5*sec)
			assert.Greater(t, deadline.Sub(begin), 2*sec)
			return nil
		})
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(2 * sec)
		require.True(t, gs.Hurry())
		_ = gs.Wait()
	})
}

func TestOneHurryOfManyCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(10*sec))
		gs.start()
		gs.Shutdown(nil)
		var won atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if gs.Hurry() {
					won.Add(1)
				}
			})
		}
		all.Wait()
		require.NoError(t, gs.Wait())
		assert.EqualValues(t, 1, won.Load())
		assert.Zero(t, gs.Report().Total)
	})
}

// Whoever is called during a stop may hurry it.
func TestHurryMayBeCalledFromWithin(t *testing.T) {
	bubble(t, "a callback", func(t *testing.T) {
		gs := newService(t)
		gs.callback("impatient", shutdown.PhaseWork, func(context.Context) error {
			gs.Hurry()
			return nil
		})
		flushed := gs.flushing()
		_ = gs.stop()
		assert.True(t, flushed.Load())
	})
	bubble(t, "a start hook", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(5*sec))
		gs.managers(&manager{name: "m", begin: func(context.Context, error) error {
			gs.Hurry()
			return nil
		}})
		flushed := gs.flushing()
		gs.start()
		took, _ := gs.timedStop()
		assertTook(t, 0, took)
		assert.True(t, flushed.Load())
	})
	bubble(t, "Watch and ErrorHandler", func(t *testing.T) {
		var gs service
		gs = newService(t, shutdown.Delay(5*sec), shutdown.Watch(func(shutdown.Step) { gs.Hurry() }),
			shutdown.ErrorHandler(func(error) { gs.Hurry() }))
		gs.callback("fails", 100, returns(errTest))
		flushed := gs.flushing()
		gs.start()
		took, _ := gs.timedStop()
		assert.LessOrEqual(t, took, 5*sec)
		assert.True(t, flushed.Load())
	})
}

// A start hook that has not begun when Hurry comes has its share of Tail, like everything else.
func TestHurryBeforeTheStartHooksLeavesThemTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := false
		gs := newService(t)
		gs.managers(&manager{name: "m", begin: func(ctx context.Context, _ error) error {
			told = true
			return ctx.Err()
		}})
		flushed := gs.flushing()
		gs.start()
		hurried := make(chan struct{})
		gs.Shutdown(slowText{hurried})
		require.True(t, gs.Hurry())
		close(hurried)
		assert.NoError(t, gs.Wait(), "%s", gs.Report())
		assert.True(t, told, "the platform was not told")
		assert.True(t, flushed.Load())
	})
}

// A slowText is a reason that holds up the stop, which asks for its text, until then.
type slowText struct{ until <-chan struct{} }

func (e slowText) Error() string { <-e.until; return "slow" }

// A pause that Hurry leaves no time for is not a step that was skipped.
func TestHurryInDelayEndsLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(10*sec), shutdown.Linger(5*sec))
		l := gs.serveInMemory(&http.Server{Handler: answers("ok")})
		gs.start()
		l.dial(t).get("/")
		synctest.Wait()
		gs.Shutdown(errTest)
		time.Sleep(sec)
		gs.Hurry()
		require.NoError(t, gs.Wait())
		for _, row := range gs.Report().Steps {
			assert.Equal(t, shutdown.StateOK, row.State, row.Stage)
		}
	})
}
