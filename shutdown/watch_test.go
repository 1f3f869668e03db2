package shutdown_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// Watch gets each step of the report twice, when it begins and when it has ended, in order.
func TestWatchSeesEachStepBeginAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside atomic.Int32
		var lines []string
		var ended []shutdown.Step
		gs := newService(t, shutdown.Delay(2*sec), shutdown.Watch(func(s shutdown.Step) {
			assert.EqualValues(t, 1, inside.Add(1), "called at the same time")
			defer inside.Add(-1)
			lines = append(lines, fmt.Sprint(s.Stage, " ", s.Name, " ", s.State))
			if s.State == shutdown.StateRunning {
				assert.Zero(t, s.Duration)
				assert.NoError(t, s.Err)
			} else {
				ended = append(ended, s)
			}
		}))
		gs.managers(&manager{name: "m", release: func() { panic("release") }})
		gs.component("worker", untilStopped)
		gs.callback("store", shutdown.PhaseStore, func(context.Context) error {
			time.Sleep(sec)
			return errTest
		})
		gs.callbacks(shutdown.Callback{
			Name: "flush", Phase: shutdown.PhaseFlush, Timeout: sec, Func: hanging(t),
		})
		gs.start()
		require.Error(t, gs.stop())
		assert.Equal(t, []string{
			"start m running", "start m ok",
			"delay  running", "delay  ok",
			"work worker running", "work worker ok",
			"store store running", "store store error",
			"flush flush running", "flush flush timeout",
			"finish m running", "finish m ok",
			"release m running", "release m panic",
		}, lines)
		assert.Equal(t, gs.Report().Steps, ended, "Report.Steps are the same")
	})
}

// The steps of one phase begin one after the other, before any ends that takes its time.
func TestWatchSeesStepsThatRunTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		gs := newService(t, shutdown.Watch(func(s shutdown.Step) {
			lines = append(lines, fmt.Sprint(s.Start+s.Duration, " ", s.Name, " ", s.State))
		}))
		gs.callback("a", 100, sleep(2*sec))
		gs.callback("b", 100, sleep(sec))
		gs.callback("c", 200, sleep(0))
		require.NoError(t, gs.stop())
		assert.Equal(t, []string{
			"0s a running", "0s b running", "1s b ok", "2s a ok", "2s c running", "2s c ok",
		}, lines)
	})
}

// Skipped steps are told as well, as they are in the report.
func TestWatchSeesWhatIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var skipped []string
		gs := newService(t, shutdown.Grace(sec), shutdown.Tail(0), shutdown.Watch(func(s shutdown.Step) {
			if s.State == shutdown.StateSkipped {
				skipped = append(skipped, s.Name)
			}
		}))
		gs.callback("hung", 100, hanging(t))
		gs.callback("never", 200, hanging(t))
		require.Error(t, gs.stop())
		assert.Equal(t, []string{"never"}, skipped)
		assert.Equal(t, "timeout skipped", states(gs.Report()))
	})
}

// A Watch that blocks costs a row and, at the end, a tenth of a second at most.
func TestWatchThatBlocksCostsARowAndNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := makeRelease(t)
		var calls atomic.Int32
		gs := newService(t, shutdown.Watch(func(shutdown.Step) { calls.Add(1); <-release }))
		var j journal
		j.add("trigger")
		for _, phase := range []shutdown.Phase{100, 200, 300, 400} {
			gs.callbacks(j.callback(phase.String(), phase, sec))
		}
		took, err := gs.timedStop()
		assert.Equal(t,
			[]string{"0s trigger", "1s ingress", "2s work", "3s store", "4s flush"}, j.lines)
		require.ErrorIs(t, err, shutdown.ErrTimeout)
		assert.EqualValues(t, 1, calls.Load())
		assert.Equal(t, shutdown.StateTimeout, stageRow(gs.Report(), "observers").State)
		assert.LessOrEqual(t, took, 4*sec+100*ms+notice)
	})
}

// A Watch that is slow does not slow down the stop while it runs.
func TestSlowWatchDoesNotDelayTheSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Watch(func(shutdown.Step) { time.Sleep(50 * ms) }))
		var j journal
		j.add("trigger")
		for i := range 20 {
			gs.callbacks(j.callback("c", shutdown.Phase(i+1), 0))
		}
		_ = gs.stop()
		assert.Len(t, j.lines, 21)
		assert.Equal(t, "0s c", j.lines[20])
		time.Sleep(time.Minute) // until the call in progress has returned
	})
}

func TestWatchMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gs service
		gs = newService(t, shutdown.Watch(func(s shutdown.Step) {
			_ = gs.Report().String()
			gs.Shutdown(nil)
			assert.ErrorIs(t, gs.Go("late", returns(nil)), shutdown.ErrShuttingDown)
			assert.False(t, isDone(gs))
		}))
		gs.callback("c", 100, sleep(sec))
		gs.start()
		require.NoError(t, gs.stop())
	})
}

// Done is closed when Wait would return, and not before.
func TestDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gs service
		released := false
		gs = newService(t, shutdown.Watch(func(shutdown.Step) { assert.False(t, isDone(gs)) }))
		gs.managers(&manager{
			name:    "m",
			finish:  func(context.Context, shutdown.Report) error { return sleep(sec)(nil) },
			release: func() { assert.False(t, isDone(gs)); released = true },
		})
		gs.start()
		assert.False(t, isDone(gs))
		assert.Equal(t, gs.Done(), gs.Done(), "one channel")
		gs.Shutdown(nil)
		<-gs.Done()
		assert.True(t, released)
		begin := time.Now()
		require.NoError(t, gs.Wait())
		assert.Zero(t, time.Since(begin))
		assert.Equal(t, sec, gs.Report().Total)
	})
	bubble(t, "of a stop before Start", func(t *testing.T) {
		gs := newService(t)
		gs.Shutdown(nil)
		<-gs.Done()
		require.NoError(t, gs.Wait())
	})
	bubble(t, "of a Run that fails", func(t *testing.T) {
		gs := newService(t)
		gs.managers(&manager{name: "m", start: func(context.Context, func(error)) error {
			return errTest
		}})
		require.ErrorIs(t, gs.Run(t.Context()), errTest)
		assert.True(t, isDone(gs))
	})
}

// One that is slow is not one that hangs: the calls still waiting are dropped, and nothing is said.
func TestSlowWatchDoesNotFailTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Watch(func(shutdown.Step) { time.Sleep(30 * ms) }))
		for range 10 {
			gs.callback("c", 0, returns(nil))
		}
		gs.start()
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.LessOrEqual(t, took, 100*ms+notice)
		time.Sleep(sec) // the call in progress
	})
}
