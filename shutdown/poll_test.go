package shutdown_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestPoll(t *testing.T) {
	// poll returns a service with a poll every minute; check gets the number of the call.
	type check func(ctx context.Context, call int) (bool, error)
	poll := func(t *testing.T, check check, opts ...shutdown.Option) service {
		gs := newService(t, opts...)
		call := 0
		gs.managers(shutdown.Poll("notice", time.Minute, func(ctx context.Context) (bool, error) {
			call++
			return check(ctx, call)
		}))
		return gs
	}
	bubble(t, "calls at once and then a minute after each return", func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		gs := poll(t, func(_ context.Context, call int) (bool, error) {
			at = append(at, time.Since(begin))
			time.Sleep(90 * sec) // longer than the interval: calls never overlap
			return call == 3, nil
		})
		require.NoError(t, gs.Run(t.Context()))
		assert.Equal(t, []time.Duration{0, 150 * sec, 300 * sec}, at)
		assert.EqualError(t, gs.Report().Reason, "shutdown: notice asks to stop")
		assert.Equal(t, "notice", gs.Report().Manager)
	})
	bubble(t, "an error with true is the reason", func(t *testing.T) {
		gs := poll(t, func(_ context.Context, call int) (bool, error) { return call == 4, errTest })
		begin := time.Now()
		require.NoError(t, gs.Run(t.Context()), "an error of a poll is none of the stop")
		assert.Equal(t, 3*time.Minute, time.Since(begin))
		assert.Equal(t, errTest, gs.Report().Reason)
	})
	bubble(t, "only the first of consecutive errors is reported", func(t *testing.T) {
		var reported []error
		gs := poll(t, func(_ context.Context, call int) (bool, error) {
			switch call {
			case 1, 2, 3, 6, 7:
				return false, errTest
			case 9, 10:
				panic(io.EOF)
			}
			return call == 12, nil
		}, shutdown.ErrorHandler(func(err error) { reported = append(reported, err) }))
		require.NoError(t, gs.Run(t.Context()))
		require.Len(t, reported, 3)
		assert.EqualError(t, reported[0], "notice: test: some failure")
		assert.ErrorIs(t, reported[1], errTest)
		assert.ErrorContains(t, reported[2], "notice: panic: EOF\n")
		assert.ErrorIs(t, reported[2], io.EOF)
		_, ok := errors.AsType[*shutdown.PanicError](reported[2])
		assert.True(t, ok)
	})
	bubble(t, "a check that exits its goroutine is an error", func(t *testing.T) {
		reported := 0
		gs := poll(t, func(_ context.Context, call int) (bool, error) {
			if call == 1 {
				runtime.Goexit()
			}
			return true, nil
		}, shutdown.ErrorHandler(func(error) { reported++ }))
		gs.start()
		time.Sleep(time.Hour)
		assert.False(t, gs.Shutdown(nil), "the polling has ended without a request")
		require.NoError(t, gs.Wait())
		assert.Equal(t, 1, reported)
	})
	bubble(t, "a check that hangs does not hold up the stop", func(t *testing.T) {
		hang := hanging(t)
		gs := poll(t, func(ctx context.Context, _ int) (bool, error) { return true, hang(ctx) })
		gs.start()
		require.NoError(t, gs.stop())
	})
	bubble(t, "its context lives until the stop is complete", func(t *testing.T) {
		phasesOver := false
		gs := poll(t, func(ctx context.Context, _ int) (bool, error) {
			<-ctx.Done()
			assert.True(t, phasesOver)
			return false, ctx.Err()
		})
		gs.callback("last", 1000, func(context.Context) error {
			time.Sleep(sec)
			phasesOver = true
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, gs.Start(ctx))
		cancel()
		require.NoError(t, gs.Wait())
	})
	bubble(t, "ends with the stop", func(t *testing.T) {
		calls := 0
		gs := poll(t, func(_ context.Context, call int) (bool, error) {
			calls = call
			return false, nil
		})
		gs.start()
		synctest.Wait()
		require.NoError(t, gs.stop())
		time.Sleep(time.Hour)
		assert.Equal(t, 1, calls)
	})
	bubble(t, "a check may call Shutdown itself", func(t *testing.T) {
		var gs service
		gs = poll(t, func(context.Context, int) (bool, error) {
			gs.Shutdown(errTest)
			return true, io.EOF
		})
		require.NoError(t, gs.Run(t.Context()))
		assert.Equal(t, errTest, gs.Report().Reason)
	})
	t.Run("nonsense panics", func(t *testing.T) {
		check := func(context.Context) (bool, error) { return false, nil }
		assert.PanicsWithValue(t, `shutdown: Poll("p"): the interval is 0s, must be positive`,
			func() { shutdown.Poll("p", 0, check) })
		assert.PanicsWithValue(t, `shutdown: Poll("p"): check must not be nil`,
			func() { shutdown.Poll("p", 1, nil) })
	})
}
