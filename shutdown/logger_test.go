package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestLoggerAndErrorHandlerAreCalledInOrder(t *testing.T) {
	bubble(t, "with errors", func(t *testing.T) {
		var log strings.Builder
		var handled []string
		gs := newService(t, shutdown.Logger(textLogger(&log)),
			shutdown.ErrorHandler(func(err error) { handled = append(handled, err.Error()) }))
		gs.callback("a", 1, returns(errors.New("A")))
		gs.callback("b", 2, sleep(2*sec))
		gs.callback("c", 3, returns(errors.New("C")))
		gs.Shutdown(errors.New("because"))
		require.Error(t, gs.Wait())
		assert.Equal(t, []string{"a (phase 1): A", "c (phase 3): C"}, handled)
		assert.Equal(t, strings.Join([]string{
			`level=INFO msg="shutdown begins" reason=because`,
			`level=ERROR msg="shutdown step failed" error="a (phase 1): A"`,
			`level=INFO msg="waiting for b, 1s of 25s"`,
			`level=ERROR msg="shutdown step failed" error="c (phase 3): C"`,
			`level=ERROR msg="shutdown complete, with errors" report.reason=because` +
				` report.total=2s "report.phase 1.a"="0s error: A" "report.phase 3.c"="0s error: C"` +
				` "report.phase 2.b"="2s ok"`,
			"",
		}, "\n"), log.String())
	})
	bubble(t, "after a clean stop", func(t *testing.T) {
		var log strings.Builder
		gs := newService(t, shutdown.Logger(textLogger(&log)))
		require.NoError(t, gs.stop())
		assert.Contains(t, log.String(),
			`level=INFO msg="shutdown complete" report.reason="shutdown: requested"`)
	})
}

func TestErrorHandlerIsCalledOnceForEachErrorAndNeverAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside atomic.Int32
		seen := map[string]int{}
		gs := newService(t, shutdown.ErrorHandler(func(err error) {
			assert.EqualValues(t, 1, inside.Add(1))
			seen[err.Error()]++
			time.Sleep(ms)
			inside.Add(-1)
		}))
		want := map[string]int{}
		for i := range 50 {
			gs.callback(fmt.Sprint("callback ", i), 0, returns(errTest))
			want[fmt.Sprintf("callback %d (store): %v", i, errTest)] = 1
		}
		require.Error(t, gs.stop())
		assert.Equal(t, want, seen)
	})
}

// The log may be closed when Wait has returned.
func TestNothingIsReportedAfterWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		late := func(context.Context) error { <-release; return errTest }
		var over atomic.Bool
		gs := newService(t, shutdown.Grace(sec), shutdown.ErrorHandler(func(err error) {
			assert.False(t, over.Load(), "reported after Wait: %.80v", err)
		}))
		gs.component("worker", late)
		gs.callback("c", 1, late)
		gs.start()
		require.Error(t, gs.stop())
		over.Store(true)
		close(release)
		synctest.Wait()
	})
}

// Logger and ErrorHandler are user code as well: the stop goes on without them.
func TestLoggerOrErrorHandlerMisbehaves(t *testing.T) {
	const grace, tail = 10 * sec, 2 * sec
	type option func(misbehave func() error) shutdown.Option
	logger := option(func(misbehave func() error) shutdown.Option {
		return shutdown.Logger(slog.New(logHandler(misbehave)))
	})
	handler := option(func(misbehave func() error) shutdown.Option {
		return shutdown.ErrorHandler(func(error) { _ = misbehave() })
	})
	for where, options := range map[string][]option{
		"Logger": {logger}, "ErrorHandler": {handler}, "both": {logger, handler},
	} {
		for kind, misbehave := range misbehaviours {
			bubble(t, where+"/"+kind, func(t *testing.T) {
				release := make(chan struct{})
				opts := []shutdown.Option{shutdown.Grace(grace), shutdown.Tail(tail)}
				for _, option := range options {
					opts = append(opts, option(func() error { return misbehave(release) }))
				}
				gs := newService(t, opts...)
				ran := make(chan time.Duration, 5)
				begin := time.Now()
				for _, phase := range []shutdown.Phase{100, 100, 200, 300, 400} {
					gs.callback("fails", phase, func(context.Context) error {
						ran <- time.Since(begin)
						return errTest
					})
				}
				gs.component("fails too", returns(errTest))
				_ = gs.Start(t.Context())
				err := gs.Wait()
				took := time.Since(begin)
				close(release)
				synctest.Wait()
				require.ErrorIs(t, err, errTest)
				_, ok := errors.AsType[*shutdown.ComponentError](err)
				assert.True(t, ok)
				assert.LessOrEqual(t, took, grace+tail)
				assert.Len(t, ran, 5)
				for range 5 {
					assert.Zero(t, <-ran, "callbacks are held up")
				}
			})
		}
	}
	bubble(t, "one that panics or exits is an error, and is called again", func(t *testing.T) {
		calls := 0
		gs := newService(t, shutdown.ErrorHandler(func(error) {
			if calls++; calls == 1 {
				panic("handler")
			}
			runtime.Goexit()
		}))
		for phase := range shutdown.Phase(3) {
			gs.callback("fails", 1+phase, returns(errTest))
		}
		err := gs.stop()
		assert.Equal(t, 3, calls)
		const who = "Logger or ErrorHandler (observers): "
		assert.ErrorContains(t, err, who+"panic: handler")
		assert.ErrorContains(t, err, who+"shutdown: runtime.Goexit was called")
	})
	bubble(t, "one that waits for the end", func(t *testing.T) {
		var gs service
		gs = newService(t, shutdown.ErrorHandler(func(error) { _ = gs.Wait() }))
		gs.callback("fails", 0, returns(errTest))
		took, err := gs.timedStop()
		require.ErrorIs(t, err, errTest)
		assertTook(t, 27*sec, took)
	})
}

func TestLoggerAndErrorHandlerMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gs service
		calls := 0
		callBack := func() error {
			calls++
			_ = gs.Report().String()
			assert.False(t, gs.Shutdown(errTest))
			assert.Error(t, gs.AddCallback(shutdown.Callback{Name: "late", Func: returns(nil)}))
			assert.Error(t, gs.Go("late", returns(nil)))
			assert.True(t, gs.isDraining())
			return nil
		}
		gs = newService(t, shutdown.Logger(slog.New(logHandler(callBack))),
			shutdown.ErrorHandler(func(error) { _ = callBack() }))
		gs.callback("fails", 0, returns(errTest))
		took, err := gs.timedStop()
		require.ErrorIs(t, err, errTest)
		assert.Zero(t, took)
		assert.Equal(t, 4, calls)
	})
}

// explodingError is an error whose text cannot be had.
type explodingError struct{}

func (explodingError) Error() string { panic("Error panics") }

func TestErrorsThatPanic(t *testing.T) {
	newService := func(t *testing.T) (gs service, flushed *bool) {
		gs = newService(t, shutdown.Logger(textLogger(io.Discard)),
			shutdown.ErrorHandler(func(err error) { _ = err.Error() }))
		flushed = new(bool)
		gs.callback("flush", shutdown.PhaseFlush, func(context.Context) error {
			*flushed = true
			return nil
		})
		return gs, flushed
	}
	bubble(t, "of a callback", func(t *testing.T) {
		gs, flushed := newService(t)
		gs.callback("c", 1, returns(explodingError{}))
		assert.ErrorIs(t, gs.stop(), explodingError{})
		assert.True(t, *flushed)
	})
	bubble(t, "as the reason", func(t *testing.T) {
		gs, flushed := newService(t)
		gs.Shutdown(explodingError{})
		_ = gs.Wait() // it may say that the logger panicked
		assert.True(t, *flushed)
	})
}
