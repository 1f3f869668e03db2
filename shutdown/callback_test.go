package shutdown_test

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestAddCallbackRefuses(t *testing.T) {
	nop := returns(nil)
	added := shutdown.Callback{Name: "good", Func: func(context.Context) error {
		t.Error("a callback of a refused call has run")
		return nil
	}}
	tests := []struct {
		want string
		bad  shutdown.Callback
	}{
		{"shutdown: callback without a Name", shutdown.Callback{Func: nop}},
		{`shutdown: callback "c" has no Func`, shutdown.Callback{Name: "c"}},
		{`shutdown: callback "c" has no Func`, shutdown.Closer("c", nil)},
		{
			`shutdown: callback "c": Phase is -1, want a positive number`,
			shutdown.Callback{Name: "c", Func: nop, Phase: -1},
		},
		{
			`shutdown: callback "c": Timeout is -1s, must not be negative`,
			shutdown.Callback{Name: "c", Func: nop, Timeout: -sec},
		},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			gs := newService(t)
			assert.EqualError(t, gs.AddCallback(added, tt.bad, added), tt.want)
			assert.EqualError(t, gs.AddCallback(tt.bad, shutdown.Callback{}),
				tt.want+"\nshutdown: callback without a Name", "each that is bad is named")
			require.NoError(t, gs.AddCallback(), "none at all")
			require.NoError(t, gs.stop())
			assert.Empty(t, rowsOf(gs.Report()))
		})
	}
}

func TestCloser(t *testing.T) {
	gs := newService(t)
	gs.callbacks(
		shutdown.Closer("good", closer(func() error { return nil })),
		shutdown.Closer("bad", closer(func() error { return errTest })),
	)
	err := gs.stop()
	assert.EqualError(t, err, "bad (store): test: some failure")
	var got *shutdown.CallbackError
	require.ErrorAs(t, err, &got)
	want := &shutdown.CallbackError{Name: "bad", Phase: shutdown.PhaseStore, Err: errTest}
	assert.Equal(t, want, got)
}

func TestPhaseNames(t *testing.T) {
	for phase, want := range map[shutdown.Phase]string{
		shutdown.PhaseIngress: "ingress",
		shutdown.PhaseWork:    "work",
		shutdown.PhaseStore:   "store",
		shutdown.PhaseFlush:   "flush",
		250:                   "phase 250",
		1:                     "phase 1",
	} {
		assert.Equal(t, want, phase.String())
	}
}

// The context of callbacks and hooks has the values of Start's context, the reason and a deadline.
// The end of Start's context is not passed on.
func TestCallbackContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		gs := newService(t, shutdown.Grace(10*sec), shutdown.Delay(sec), shutdown.Linger(0))
		var checked atomic.Int32
		trigger := time.Now()
		check := func(ctx context.Context, name string, wantDeadline time.Duration) {
			checked.Add(1)
			assert.NoError(t, ctx.Err(), "%s: cancelled with its parent", name)
			assert.Equal(t, "value", ctx.Value(key{}), "%s: value", name)
			assert.Equal(t, errTest, shutdown.Reason(ctx), "%s: reason", name)
			deadline, ok := ctx.Deadline()
			assert.True(t, ok, "%s: has a deadline", name)
			if wantDeadline > 0 {
				assert.Equal(t, wantDeadline, deadline.Sub(trigger), "%s: deadline", name)
			}
			assert.LessOrEqual(t, deadline.Sub(trigger), 12*sec, "%s: deadline", name)
		}
		gs.callbacks(
			shutdown.Callback{
				Name: "Timeout", Phase: shutdown.PhaseIngress, Timeout: 3 * sec,
				Func: func(ctx context.Context) error {
					check(ctx, "Timeout", 4*sec)
					<-ctx.Done()
					assert.Equal(t, shutdown.ErrTimeout, context.Cause(ctx))
					assert.Equal(t, context.DeadlineExceeded, ctx.Err())
					return nil
				},
			},
			shutdown.Callback{
				Name: "Timeout longer than Grace", Phase: shutdown.PhaseIngress, Timeout: time.Hour,
				Func: func(ctx context.Context) error { check(ctx, "long", 10*sec); return nil },
			},
			shutdown.Callback{Name: "no Timeout", Func: func(ctx context.Context) error {
				check(ctx, "no Timeout", 10*sec)
				return nil
			}},
		)
		gs.managers(&manager{
			name: "m",
			begin: func(ctx context.Context, reason error) error {
				check(ctx, "ShutdownStart", 0)
				assert.Equal(t, errTest, reason)
				return nil
			},
			finish: func(ctx context.Context, r shutdown.Report) error {
				check(ctx, "ShutdownFinish", 0)
				assert.Equal(t, errTest, r.Reason)
				return nil
			},
		})
		require.NoError(t, gs.Start(parent))
		trigger = time.Now()
		cancel(errTest)
		_ = gs.Wait() // whether "Timeout" was in time is up to the scheduler
		assert.EqualValues(t, 5, checked.Load())
		assert.Nil(t, shutdown.Reason(t.Context()), "of any other context")
	})
}

// Callbacks and hooks see the same end of the whole stop, whatever their own deadlines are.
func TestStopDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(map[string]time.Time)
		look := func(ctx context.Context, name string) {
			seen[name] = shutdown.StopDeadline(ctx)
			time.Sleep(sec)
		}
		gs := newService(t, shutdown.Grace(20*sec), shutdown.Delay(5*sec), shutdown.Linger(0),
			shutdown.Tail(3*sec))
		gs.managers(&manager{
			name:  "m",
			begin: func(ctx context.Context, _ error) error { look(ctx, "start"); return nil },
			finish: func(ctx context.Context, _ shutdown.Report) error {
				look(ctx, "finish")
				return nil
			},
		})
		gs.callbacks(shutdown.Callback{
			Name: "work", Phase: shutdown.PhaseWork, Timeout: 2 * sec,
			Func: func(ctx context.Context) error { look(ctx, "work"); return nil },
		})
		gs.callback("flush", shutdown.PhaseFlush, func(ctx context.Context) error {
			look(ctx, "flush")
			return nil
		})
		gs.start()
		time.Sleep(time.Minute)
		want := time.Now().Add(23 * sec)
		require.NoError(t, gs.stop())
		require.Len(t, seen, 4)
		for name, got := range seen {
			assert.Equal(t, want, got, name)
		}
		assert.Zero(t, shutdown.StopDeadline(t.Context()), "of any other context")
	})
}

// Package net has a timer of its own for the deadline of a context. It may fire first.
func TestTimeoutOfTheNetworkIsErrTimeout(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"its own": sec, "of all": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 100 {
					gs := newService(t, shutdown.Grace(2*sec))
					gs.callbacks(shutdown.Callback{
						Name: "flush", Timeout: timeout,
						Func: func(ctx context.Context) error {
							deadline, _ := ctx.Deadline()
							time.Sleep(time.Until(deadline))
							return os.ErrDeadlineExceeded
						},
					})
					require.ErrorIs(t, gs.stop(), shutdown.ErrTimeout)
				}
			})
		})
	}
}
