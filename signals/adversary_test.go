package signals_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/signals"
)

// advSignal is a signal that is no syscall.Signal.
type advSignal string

func (s advSignal) String() string { return string(s) }
func (advSignal) Signal()          {}

func TestAdversaryErrorIsAUsefulCause(t *testing.T) {
	for _, test := range []struct {
		sig  os.Signal
		code int
	}{{os.Interrupt, 130}, {syscall.SIGTERM, 143}, {syscall.SIGHUP, 129}, {advSignal("odd"), 1}, {nil, 1}} {
		err := error(&signals.Error{Signal: test.sig})
		assert.NotPanics(t, func() { _ = err.Error() }, "%v", test.sig)
		assert.Equal(t, test.code, err.(*signals.Error).ExitCode(), "%v", test.sig)
		wrapped := fmt.Errorf("x: %w", err)
		assert.ErrorIs(t, wrapped, context.Canceled)
		assert.NotErrorIs(t, wrapped, context.DeadlineExceeded)
		var found *signals.Error
		require.ErrorAs(t, wrapped, &found) // true, and the target is set
		require.NotNil(t, found)
		assert.Equal(t, test.sig, found.Signal)
	}
}

func TestAdversaryFromContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source))
		defer cancel()
		type key struct{}
		derived, cancelDerived := context.WithTimeout(context.WithValue(ctx, key{}, 1), time.Hour)
		defer cancelDerived()
		other, cancelOther := context.WithCancel(ctx)
		cancelOther() // ends before the signal, for another reason
		for _, c := range []context.Context{ctx, derived, other, context.Background()} {
			sig, ok := signals.FromContext(c)
			assert.False(t, ok)
			assert.Nil(t, sig)
		}
		source <- syscall.SIGTERM
		<-derived.Done()
		for _, c := range []context.Context{ctx, derived, context.WithValue(derived, key{}, 2)} {
			sig, ok := signals.FromContext(c)
			assert.True(t, ok)
			assert.Equal(t, syscall.SIGTERM, sig)
			assert.Equal(t, context.Canceled, c.Err())
		}
		sig, ok := signals.FromContext(other)
		assert.False(t, ok, "something else ended it")
		assert.Nil(t, sig)
		detached := context.WithoutCancel(ctx)
		_, ok = signals.FromContext(detached)
		assert.False(t, ok, "it has not ended")
	})
}

func TestAdversaryForce(t *testing.T) {
	t.Run("one at a time, however many come, also while the first call hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal, 100)
			var inside, calls atomic.Int32
			goOn := make(chan struct{})
			ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source), signals.OnForce(func(os.Signal) {
				assert.EqualValues(t, 1, inside.Add(1))
				calls.Add(1)
				<-goOn
				inside.Add(-1)
			}))
			for range 10 {
				source <- os.Interrupt
			}
			synctest.Wait()
			require.Error(t, ctx.Err())
			require.EqualValues(t, 1, calls.Load())
			close(goOn)
			synctest.Wait()
			assert.EqualValues(t, 9, calls.Load())
			cancel()
		})
	})
	t.Run("cancel inside OnForce", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal, 100)
			calls := 0
			var cancel context.CancelFunc
			_, cancel = signals.NotifyContext(t.Context(), signals.Source(source), signals.OnForce(func(os.Signal) { calls++; cancel() }))
			for range 5 {
				source <- os.Interrupt
			}
			synctest.Wait()
			assert.Equal(t, 1, calls, "forced after the release")
		})
	})
	t.Run("cancel at the same time as signals", func(t *testing.T) {
		for range 50 {
			synctest.Test(t, func(t *testing.T) {
				source := make(chan os.Signal, 4)
				ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source), signals.OnForce(func(os.Signal) {}))
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() { source <- os.Interrupt })
					all.Go(cancel)
				}
				all.Wait()
				<-ctx.Done()
				require.ErrorIs(t, context.Cause(ctx), context.Canceled)
			})
		}
	})
	t.Run("the window counts from the first signal, not from the last", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			calls := 0
			_, cancel := signals.NotifyContext(t.Context(), signals.Source(source), signals.ForceWindow(time.Second), signals.OnForce(func(os.Signal) { calls++ }))
			defer cancel()
			for range 4 { // at 0, 0.4, 0.8 and 1.2 seconds
				source <- os.Interrupt
				time.Sleep(400 * time.Millisecond)
			}
			synctest.Wait()
			assert.Equal(t, 1, calls)
		})
	})
	t.Run("a burst inside the window, of two kinds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal, 10)
			calls := 0
			ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source), signals.ForceWindow(time.Second), signals.OnForce(func(os.Signal) { calls++ }))
			defer cancel()
			source <- os.Interrupt
			source <- syscall.SIGTERM
			source <- os.Interrupt
			synctest.Wait()
			assert.Zero(t, calls)
			sig, _ := signals.FromContext(ctx)
			assert.Equal(t, os.Interrupt, sig)
			time.Sleep(time.Second)
			source <- syscall.SIGTERM
			synctest.Wait()
			assert.Equal(t, 1, calls)
		})
	})
	t.Run("each context counts for itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var forced [2]int
			var sources [2]chan os.Signal
			var contexts [2]context.Context
			for i := range sources {
				sources[i] = make(chan os.Signal)
				ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(sources[i]), signals.OnForce(func(os.Signal) { forced[i]++ }))
				defer cancel()
				contexts[i] = ctx
			}
			sources[0] <- os.Interrupt
			sources[0] <- os.Interrupt
			synctest.Wait()
			assert.NoError(t, contexts[1].Err())
			sources[1] <- os.Interrupt
			synctest.Wait()
			assert.Equal(t, [2]int{1, 0}, forced)
		})
	})
	t.Run("a closed source is no signal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			calls := 0
			ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source), signals.OnForce(func(os.Signal) { calls++ }))
			defer cancel()
			close(source)
			time.Sleep(time.Hour)
			assert.NoError(t, ctx.Err())
			assert.Zero(t, calls)
		})
	})
	t.Run("parent's values, deadline and cause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			type key struct{}
			parent, cancelParent := context.WithTimeout(context.WithValue(t.Context(), key{}, "v"), time.Minute)
			defer cancelParent()
			ctx, cancel := signals.NotifyContext(parent, signals.Source(make(chan os.Signal)))
			defer cancel()
			assert.Equal(t, "v", ctx.Value(key{}))
			want, _ := parent.Deadline()
			got, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, want, got)
			<-ctx.Done()
			assert.Equal(t, context.DeadlineExceeded, ctx.Err())
			_, ok = signals.FromContext(ctx)
			assert.False(t, ok)
		})
	})
	t.Run("a parent that has ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			parent, cancelParent := context.WithCancelCause(t.Context())
			why := errors.New("why")
			cancelParent(why)
			source := make(chan os.Signal, 2)
			ctx, cancel := signals.NotifyContext(parent, signals.Source(source))
			assert.Equal(t, why, context.Cause(ctx))
			cancel()
		})
	})
}

func TestAdversaryOptionsPanicWithTheirName(t *testing.T) {
	for name, f := range map[string]func(){
		"Signals":     func() { signals.Signals() },
		"nil":         func() { signals.Signals(nil) },
		"OnForce":     func() { signals.OnForce(nil) },
		"ForceWindow": func() { signals.ForceWindow(-1) },
		"Source":      func() { signals.Source(nil) },
		"Handle":      func() { signals.Handle(t.Context(), nil, os.Interrupt) },
		"Handle:":     func() { signals.Handle(t.Context(), func(context.Context, os.Signal) {}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				v := recover()
				require.NotNil(t, v, "no panic")
				assert.Contains(t, fmt.Sprint(v), name)
				assert.Contains(t, fmt.Sprint(v), "signals: ")
			}()
			f()
		})
	}
}
