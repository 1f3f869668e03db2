package posixsignal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

func TestAdversarySource(t *testing.T) {
	type env struct {
		gs     *shutdown.GracefulShutdown
		source chan os.Signal
		forced *atomic.Int32
	}
	with := func(t *testing.T, test func(t *testing.T, e env), opts ...posixsignal.Option) {
		synctest.Test(t, func(t *testing.T) {
			e := env{shutdown.New(shutdown.Grace(time.Hour)), make(chan os.Signal, 10), new(atomic.Int32)}
			opts := append(opts, nil, posixsignal.Source(e.source), posixsignal.OnForce(func(os.Signal) { e.forced.Add(1) }))
			require.NoError(t, e.gs.AddManager(posixsignal.New(opts...)))
			require.NoError(t, e.gs.AddCallback(shutdown.Callback{Name: "slow", Func: func(context.Context) error { time.Sleep(time.Minute); return nil }}))
			require.NoError(t, e.gs.Start(t.Context()))
			test(t, e)
			require.NoError(t, e.gs.Wait())
		})
	}
	t.Run("the reason", func(t *testing.T) {
		with(t, func(t *testing.T, e env) {
			e.source <- syscall.SIGTERM
			require.NoError(t, e.gs.Wait())
			report := e.gs.Report()
			var reason *posixsignal.Error
			require.ErrorAs(t, report.Reason, &reason)
			assert.Equal(t, syscall.SIGTERM, reason.Signal)
			assert.ErrorIs(t, report.Reason, context.Canceled)
			assert.NotErrorIs(t, report.Reason, context.DeadlineExceeded)
			assert.Equal(t, "posixsignal", report.Manager)
			assert.Contains(t, report.String(), "terminated")
			assert.ErrorIs(t, context.Cause(e.gs.Context()), report.Reason)
			assert.Zero(t, e.forced.Load())
		})
	})
	t.Run("a burst", func(t *testing.T) {
		with(t, func(t *testing.T, e env) {
			for range 5 {
				e.source <- os.Interrupt
			}
			synctest.Wait()
			assert.EqualValues(t, 4, e.forced.Load())
		})
	})
	t.Run("window", func(t *testing.T) {
		with(t, func(t *testing.T, e env) {
			for range 3 {
				e.source <- os.Interrupt
			}
			time.Sleep(time.Second - 1)
			e.source <- syscall.SIGTERM
			synctest.Wait()
			assert.Zero(t, e.forced.Load())
			time.Sleep(time.Nanosecond)
			e.source <- os.Interrupt
			synctest.Wait()
			assert.EqualValues(t, 1, e.forced.Load())
		}, posixsignal.ForceWindow(time.Second))
	})
	t.Run("the first one after somebody else's request does not force", func(t *testing.T) {
		with(t, func(t *testing.T, e env) {
			e.gs.Shutdown(nil)
			synctest.Wait()
			e.source <- syscall.SIGTERM
			synctest.Wait()
			assert.Zero(t, e.forced.Load())
			e.source <- syscall.SIGTERM
			synctest.Wait()
			assert.EqualValues(t, 1, e.forced.Load())
			assert.Empty(t, e.gs.Report().Manager)
		})
	})
	t.Run("nothing is read when it is over", func(t *testing.T) {
		with(t, func(t *testing.T, e env) {
			e.source <- os.Interrupt
			require.NoError(t, e.gs.Wait())
			synctest.Wait()
			e.source <- os.Interrupt
			synctest.Wait()
			assert.Len(t, e.source, 1)
			assert.Zero(t, e.forced.Load())
		})
	})
	t.Run("a closed source asks for nothing", func(t *testing.T) {
		with(t, func(t *testing.T, e env) {
			close(e.source)
			time.Sleep(time.Minute)
			assert.True(t, e.gs.Shutdown(nil))
		})
	})
}

// A hung OnForce, or one that exits its goroutine, holds up nothing.
func TestAdversaryOnForceMisbehaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, release := make(chan os.Signal, 10), make(chan struct{})
		gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Tail(time.Second))
		require.NoError(t, gs.AddManager(posixsignal.New(posixsignal.Source(source), posixsignal.OnForce(func(os.Signal) { <-release }))))
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "hung", Func: func(context.Context) error { <-release; return nil }}))
		require.NoError(t, gs.Start(t.Context()))
		begin := time.Now()
		source <- os.Interrupt
		source <- os.Interrupt
		require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
		assert.LessOrEqual(t, time.Since(begin), 11*time.Second)
		close(release)
	})
}

// After a Start that failed the manager works again.
func TestAdversarySecondStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		failing := errors.New("failing")
		gs := shutdown.New()
		require.NoError(t, gs.AddManager(posixsignal.New(posixsignal.Source(source)), advBroken{&failing}))
		require.ErrorIs(t, gs.Start(t.Context()), failing)
		synctest.Wait()
		select {
		case source <- os.Interrupt:
			t.Error("still reads")
		default:
		}
		failing = nil
		require.NoError(t, gs.Start(t.Context()))
		source <- os.Interrupt
		require.NoError(t, gs.Wait())
	})
}

type advBroken struct{ err *error }

func (advBroken) Name() string                               { return "broken" }
func (b advBroken) Start(context.Context, func(error)) error { return *b.err }

func TestAdversaryOptionsPanicWithTheirName(t *testing.T) {
	for name, f := range map[string]func(){
		"Signals":     func() { posixsignal.Signals() },
		"nil":         func() { posixsignal.Signals(nil) },
		"OnForce":     func() { posixsignal.OnForce(nil) },
		"ForceWindow": func() { posixsignal.ForceWindow(-1) },
		"Source":      func() { posixsignal.Source(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				v := recover()
				require.NotNil(t, v, "no panic")
				assert.Contains(t, fmt.Sprint(v), name)
				assert.Contains(t, fmt.Sprint(v), "posixsignal: ")
			}()
			f()
		})
	}
	assert.NotPanics(t, func() { _ = (&posixsignal.Error{}).Error() })
}
