package signals_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/signals"
)

// A synctest bubble ends only when every goroutine started in it has ended, so each test here is a leak check too.

func TestFirstSignalAsksSecondForces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		var forced []os.Signal
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source),
			signals.OnForce(func(sig os.Signal) { forced = append(forced, sig) }), nil)
		defer cancel()

		require.NoError(t, ctx.Err())
		_, ok := signals.FromContext(ctx)
		require.False(t, ok, "a signal before there was one")

		source <- os.Interrupt
		synctest.Wait()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.Empty(t, forced)

		source <- syscall.SIGTERM
		source <- os.Interrupt
		synctest.Wait()
		assert.Equal(t, []os.Signal{syscall.SIGTERM, os.Interrupt}, forced)

		got, ok := signals.FromContext(ctx)
		assert.True(t, ok)
		assert.Equal(t, os.Interrupt, got, "the cause stays the first signal")
	})
}

func TestForceWindow(t *testing.T) {
	tests := []struct {
		name   string
		window time.Duration
		after  time.Duration
		want   int
	}{
		{"default: at once forces", 0, 0, 1},
		{"at once", 500 * time.Millisecond, 0, 0},
		{"just inside", 500 * time.Millisecond, 500*time.Millisecond - 1, 0},
		{"at its end", 500 * time.Millisecond, 500 * time.Millisecond, 1},
		{"after it", 500 * time.Millisecond, time.Second, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := make(chan os.Signal)
				forced := 0
				ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source), signals.ForceWindow(tt.window),
					signals.OnForce(func(os.Signal) { forced++ }))
				defer cancel()
				source <- os.Interrupt
				<-ctx.Done()
				time.Sleep(tt.after)
				source <- os.Interrupt
				synctest.Wait()
				assert.Equal(t, tt.want, forced)
			})
		})
	}
}

func TestParentEndsTheContextButReleasesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancelParent := context.WithCancelCause(t.Context())
		source := make(chan os.Signal)
		forced := 0
		ctx, cancel := signals.NotifyContext(parent, signals.Source(source), signals.OnForce(func(os.Signal) { forced++ }))
		defer cancel()
		why := errors.New("lease lost")
		cancelParent(why)
		<-ctx.Done()
		assert.Equal(t, why, context.Cause(ctx))

		source <- syscall.SIGTERM
		synctest.Wait()
		assert.Equal(t, 0, forced, "the first signal asks, whoever else has asked")
		assert.Equal(t, why, context.Cause(ctx))
		source <- syscall.SIGTERM
		synctest.Wait()
		assert.Equal(t, 1, forced)
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal, 1)
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source))
		cancel()
		cancel()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.Equal(t, context.Canceled, context.Cause(ctx), "no signal, so no *Error")
		synctest.Wait()
		source <- os.Interrupt
		synctest.Wait()
		assert.Len(t, source, 1, "read after the release")
	})
}

func TestClosedSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source))
		defer cancel()
		close(source)
		synctest.Wait()
		assert.NoError(t, ctx.Err(), "a closed source is no signal")
	})
}

func TestFromContextOfChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source))
		defer cancel()
		child, cancelChild := context.WithTimeout(ctx, time.Hour)
		defer cancelChild()
		source <- syscall.SIGTERM
		<-child.Done()
		got, ok := signals.FromContext(child)
		assert.True(t, ok)
		assert.Equal(t, syscall.SIGTERM, got)
	})
}

type unnumbered struct{}

func (unnumbered) String() string { return "note: interrupt" }
func (unnumbered) Signal()        {}

func TestError(t *testing.T) {
	tests := []struct {
		name string
		err  *signals.Error
		text string
		code int
	}{
		{"SIGINT", &signals.Error{Signal: syscall.SIGINT}, "signals: received interrupt", 130},
		{"SIGTERM", &signals.Error{Signal: syscall.SIGTERM}, "signals: received terminated", 143},
		{"no number", &signals.Error{Signal: unnumbered{}}, "signals: received note: interrupt", 1},
		{"zero value", &signals.Error{}, "signals: received a signal", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.text, tt.err.Error())
			assert.Equal(t, tt.code, tt.err.ExitCode())
			assert.ErrorIs(t, tt.err, context.Canceled)
			assert.NotErrorIs(t, tt.err, context.DeadlineExceeded)

			wrapped := fmt.Errorf("serving: %w", tt.err)
			var target *signals.Error
			require.ErrorAs(t, wrapped, &target)
			assert.Same(t, tt.err, target, "As sets the target (oklog/run's SignalError leaves it nil)")
		})
	}
}

func TestNonsensePanicsWithItsName(t *testing.T) {
	ctx := t.Context()
	tests := []struct {
		want string
		call func()
	}{
		{"signals: Signals: at least one signal is needed", func() { signals.Signals() }},
		{"signals: Signals: nil signal", func() { signals.Signals(os.Interrupt, nil) }},
		{"signals: Signals(killed): no process can catch this signal", func() { signals.Signals(os.Kill) }},
		{"signals: OnForce(nil): a function is needed", func() { signals.OnForce(nil) }},
		{"signals: ForceWindow(-1s): must not be negative", func() { signals.ForceWindow(-time.Second) }},
		{"signals: Source(nil): a channel is needed", func() { signals.Source(nil) }},
		{"signals: Handle: fn must not be nil", func() { signals.Handle(ctx, nil, os.Interrupt) }},
		{"signals: Handle: at least one signal is needed", func() { signals.Handle(ctx, func(context.Context, os.Signal) {}) }},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) { assert.PanicsWithValue(t, tt.want, tt.call) })
	}
}
