package shutdown_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// Grace is for all, Tail for what has not begun by then, and a stop never takes longer than both.
func TestBudgets(t *testing.T) {
	type callback = shutdown.Callback
	hang := func(name string, phase shutdown.Phase) callback {
		return callback{Name: name, Phase: phase} // without a Func it hangs
	}
	tests := []struct {
		name      string
		options   []shutdown.Option
		callbacks []callback
		total     time.Duration
		states    string
	}{
		{
			"a hang ends with Grace, and what comes later runs in Tail",
			nil,
			[]callback{
				hang("hung", shutdown.PhaseWork),
				{Name: "db", Phase: shutdown.PhaseStore, Func: sleep(100 * ms)},
				{Name: "log", Phase: shutdown.PhaseFlush, Func: sleep(100 * ms)},
			},
			25*sec + 200*ms, "timeout ok ok",
		},
		{
			"a phase that begins at the trigger gets all of Grace and nothing of Tail",
			[]shutdown.Option{shutdown.Grace(sec)},
			[]callback{hang("hung", shutdown.PhaseIngress)},
			sec, "timeout",
		},
		{
			"everything hangs",
			[]shutdown.Option{shutdown.Grace(10 * sec), shutdown.Tail(3 * sec)},
			[]callback{
				hang("ingress", shutdown.PhaseIngress), hang("work", shutdown.PhaseWork),
				hang("store", shutdown.PhaseStore), hang("flush", shutdown.PhaseFlush),
			},
			13 * sec, "timeout timeout timeout timeout",
		},
		{
			"without a Tail what has not begun is skipped",
			[]shutdown.Option{shutdown.Grace(10 * sec), shutdown.Tail(0)},
			[]callback{hang("work", shutdown.PhaseWork), hang("store", shutdown.PhaseStore)},
			10 * sec, "timeout skipped",
		},
		{
			"a Timeout ends one callback and no other",
			nil,
			[]callback{
				{Name: "hung", Phase: shutdown.PhaseWork, Timeout: 3 * sec},
				{Name: "long", Phase: shutdown.PhaseWork, Timeout: time.Hour, Func: sleep(5 * sec)},
				{Name: "later", Phase: shutdown.PhaseStore, Func: sleep(sec)},
			},
			6 * sec, "timeout ok ok",
		},
		{
			"Delay is part of Grace",
			[]shutdown.Option{shutdown.Grace(10 * sec), shutdown.Delay(4 * sec)},
			[]callback{hang("hung", 0)},
			10 * sec, "timeout",
		},
		{
			"a callback that returns at its deadline",
			[]shutdown.Option{shutdown.Grace(10 * sec)},
			[]callback{{Name: "polite", Func: func(ctx context.Context) error {
				<-ctx.Done()
				return context.Cause(ctx)
			}}},
			10 * sec, "timeout",
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t, tt.options...)
			for _, c := range tt.callbacks {
				if c.Func == nil {
					c.Func = hanging(t)
				}
				gs.callbacks(c)
			}
			gs.start()
			took, err := gs.timedStop()
			r := gs.Report()
			assertTook(t, tt.total, took)
			assert.Equal(t, took, r.Total)
			assert.Equal(t, tt.states, states(r))
			assert.ErrorIs(t, err, shutdown.ErrTimeout)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			var timeout interface{ Timeout() bool } // as net.Error has it
			assert.True(t, errors.As(err, &timeout) && timeout.Timeout())
			assert.NotEmpty(t, r.Stacks)
			for _, row := range rowsOf(r) {
				if row.State == shutdown.StateSkipped {
					assert.EqualError(t, row.Err,
						row.Name+" (store): not called, no time was left: shutdown: timed out")
					assert.ErrorIs(t, err, row.Err)
				}
			}
		})
	}
}

// The finish hooks have their share of Tail like a phase.
func TestHooksShareTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := hanging(t)
		gs := newService(t, shutdown.Grace(10*sec), shutdown.Tail(3*sec))
		gs.managers(&manager{
			name:   "platform",
			begin:  func(context.Context, error) error { time.Sleep(sec); return nil },
			finish: func(ctx context.Context, _ shutdown.Report) error { return hang(ctx) },
		})
		gs.callback("work", shutdown.PhaseWork, hang)
		gs.callback("store", shutdown.PhaseStore, hang)
		gs.start()
		require.ErrorIs(t, gs.stop(), shutdown.ErrTimeout)
		r := gs.Report()
		assert.Equal(t, sec, hookRow(t, r, "start", "platform").Duration)
		assertTook(t, 9*sec, row(t, r, "work").Duration)
		assertTook(t, 1500*ms, row(t, r, "store").Duration)
		assertTook(t, 1500*ms, hookRow(t, r, "finish", "platform").Duration)
	})
}

// A registry that is down must not cost the requests in flight their answers.
func TestStartHookThatHangsLeavesTimeToThePhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := hanging(t)
		gs := newService(t, shutdown.Grace(25*sec), shutdown.Delay(5*sec))
		gs.managers(&manager{
			name:  "deregister",
			begin: func(ctx context.Context, _ error) error { return hang(ctx) },
		})
		gs.callback("request in flight", shutdown.PhaseIngress, func(ctx context.Context) error {
			select {
			case <-time.After(10*sec - 100*ms): // half of what Delay leaves of Grace
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		gs.start()
		require.ErrorIs(t, gs.stop(), shutdown.ErrTimeout)
		assertTook(t, 10*sec, hookRow(t, gs.Report(), "start", "deregister").Duration)
		assert.Equal(t, 5*sec, delayed(gs.Report()))
		assert.Equal(t, "ok", states(gs.Report()), "%s", gs.Report())
	})
}

func theCulprit(release <-chan struct{}) error { <-release; return nil }

func TestStacksHoldTheCulpritAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		for range 2000 {
			go func() { <-release }()
		}
		gs := newService(t)
		gs.callbacks(shutdown.Callback{
			Name: "hung", Phase: 1, Timeout: sec,
			Func: func(context.Context) error { return theCulprit(release) },
		})
		gs.callbacks(shutdown.Callback{Name: "hung too", Phase: 2, Timeout: sec, Func: hanging(t)})
		err := gs.stop()
		assert.EqualError(t, err, "hung (phase 1): shutdown: timed out after 1s\n"+
			"hung too (phase 2): shutdown: timed out after 1s")
		assert.Contains(t, string(gs.Report().Stacks), "shutdown_test.theCulprit")
	})
}

// What a callback returns at its deadline is kept if it comes at once, and it is a timeout in any
// case. "At once" is up to the scheduler, so there are many tries.
func TestLastWordsAreKept(t *testing.T) {
	lastWords := errors.New("3 of 7 batches written")
	kept := 0
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			gs := newService(t, shutdown.Grace(sec))
			gs.callback("batches", 0, func(ctx context.Context) error {
				<-ctx.Done()
				return lastWords
			})
			err := gs.stop()
			assert.ErrorContains(t, err, "batches (store): shutdown: timed out after 1s")
			assert.Equal(t, "timeout", states(gs.Report()))
			if errors.Is(err, lastWords) {
				kept++
				assert.EqualError(t, err,
					"batches (store): shutdown: timed out after 1s: 3 of 7 batches written")
			}
		})
	}
	assert.Positive(t, kept)
}

// What returns after it was given up changes neither the report nor the error.
func TestLateResultsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		late := func(context.Context) error { <-release; return errTest }
		gs := newService(t, shutdown.Grace(sec), shutdown.Tail(sec))
		gs.callback("hung", 1, late)
		gs.component("worker", late)
		gs.start()
		err := gs.stop()
		before := gs.Report()
		time.Sleep(time.Hour)
		close(release)
		synctest.Wait()
		assert.Equal(t, before, gs.Report())
		assert.EqualError(t, gs.Wait(), err.Error())
	})
}
