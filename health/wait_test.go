package health_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

func TestWaitNoticesWithinATenth(t *testing.T) {
	for _, startup := range []time.Duration{
		0, 1, time.Millisecond, 30 * time.Millisecond, 400 * time.Millisecond, 1300 * time.Millisecond,
		time.Minute,
	} {
		t.Run(startup.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				require.NoError(t, health.Wait(t.Context(), upAfter(startup)))
				lag := time.Since(start) - startup
				assert.LessOrEqual(t, lag, min(startup/10+time.Millisecond, 50*time.Millisecond))
			})
		})
	}
}

func TestWaitPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts []health.Attempt
		err := health.Wait(t.Context(), upAfter(2*time.Second), nil,
			health.OnAttempt(func(a health.Attempt) { attempts = append(attempts, a) }))
		require.NoError(t, err)

		for i, a := range attempts {
			assert.Equal(t, i+1, a.Number)
			if i == len(attempts)-1 {
				assert.NoError(t, a.Err)
				assert.Zero(t, a.Pause)
				break
			}
			assert.Equal(t, errBad, a.Err)
			assert.Equal(t, min(max(a.Elapsed/10, time.Millisecond), 50*time.Millisecond), a.Pause)
			assert.Equal(t, a.Elapsed+a.Pause, attempts[i+1].Elapsed)
		}
		assert.Less(t, len(attempts), 100, "attempts in two seconds")
	})
}

func TestWaitErrorTellsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Microsecond)
		defer cancel()
		err := health.Wait(ctx, func(context.Context) error { return errBad })

		e, ok := errors.AsType[*health.WaitError](err)
		require.True(t, ok)
		assert.Equal(t, 3, e.Attempts)
		assert.Equal(t, 2500*time.Microsecond, e.Elapsed)
		assert.Equal(t, errBad, e.Last)
		assert.Equal(t, context.DeadlineExceeded, e.Cause)
		assert.EqualError(t, err,
			"health: gave up after 3 attempts in 2.5ms: context deadline exceeded; "+
				"last failure: bad weather")
		assert.ErrorIs(t, err, errBad)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestWaitEndsWithTheCauseOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDied := errors.New("component died")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errDied) })
		start := time.Now()
		err := health.Wait(ctx, func(context.Context) error { return errBad })

		assert.Equal(t, time.Minute, time.Since(start), "the wait ends at once")
		assert.ErrorIs(t, err, errDied)
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, errBad)
		e, _ := errors.AsType[*health.WaitError](err)
		assert.Equal(t, errDied, e.Cause)
	})
}

func TestWaitOnContextThatIsOver(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBad)
	err := health.Wait(ctx,
		func(context.Context) error { t.Error("the probe was called"); return nil })
	e, ok := errors.AsType[*health.WaitError](err)
	require.True(t, ok)
	assert.Zero(t, e.Attempts)
	assert.NoError(t, e.Last)
	assert.ErrorIs(t, err, errBad)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestWaitWithoutProbe(t *testing.T) {
	err := health.Wait(t.Context(), nil)
	assert.ErrorContains(t, err, "the probe is nil")
	_, ok := errors.AsType[*health.WaitError](err)
	assert.True(t, ok)
}

func TestWaitErrorMadeByHand(t *testing.T) {
	err := &health.WaitError{Attempts: 1, Last: io.EOF}
	assert.EqualError(t, err, "health: gave up after 1 attempt in 0s; last failure: EOF")
	assert.ErrorIs(t, err, io.EOF)
	assert.EqualError(t, &health.WaitError{Attempts: 2, Elapsed: 83456789 * time.Microsecond},
		"health: gave up after 2 attempts in 1m23.5s")
}

func TestWaitPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := health.Wait(t.Context(), func(context.Context) error { return health.Permanent(errBad) })
		assert.Zero(t, time.Since(start))
		assert.ErrorIs(t, err, errBad)
		assert.ErrorIs(t, err, health.ErrPermanent)
		assert.EqualError(t, err,
			"health: gave up after 1 attempt in 0s: permanent failure; last failure: bad weather")
	})
}

func TestWaitAttemptTimeout(t *testing.T) {
	obedient := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name string
		opts []health.Option
		want time.Duration
	}{
		{"default", nil, time.Second},
		{"given", []health.Option{health.AttemptTimeout(5 * time.Second)}, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				opts := append(tt.opts, health.OnAttempt(func(a health.Attempt) {
					assert.Equal(t, tt.want, a.Duration)
					assert.ErrorIs(t, a.Err, health.ErrTimeout)
					cancel()
				}))
				err := health.Wait(ctx, obedient, opts...)
				assert.ErrorIs(t, err, context.Canceled)
				assert.ErrorContains(t, err, "probe timed out after "+tt.want.String())
			})
		})
	}
}

// A probe that ignores its context must neither be started again beside itself nor keep Wait from
// returning.
func TestWaitProbeIgnoresContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, calls atomic.Int32
		release := make(chan struct{})
		probe := func(context.Context) error {
			calls.Add(1)
			assert.EqualValues(t, 1, running.Add(1), "overlapping calls")
			defer running.Add(-1)
			<-release
			return errBad
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := health.Wait(ctx, probe)
		assert.Equal(t, time.Minute, time.Since(start))
		assert.ErrorIs(t, err, health.ErrTimeout)
		assert.ErrorContains(t, err, "ignores its context")
		assert.EqualValues(t, 1, calls.Load())
		close(release)
	})
}

func TestWaitGoesOnWhenALateProbeReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := health.Wait(t.Context(), func(context.Context) error {
			calls++
			if calls == 1 {
				time.Sleep(3 * time.Second)
			}
			return nil
		})
		assert.NoError(t, err)
		assert.Equal(t, 2, calls)
	})
}

func TestWaitCutShortInTheFirstAttempt(t *testing.T) {
	t.Run("obedient probe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			err := health.Wait(ctx, func(ctx context.Context) error {
				<-ctx.Done()
				return errors.Join(errBad, ctx.Err())
			})
			assert.ErrorIs(t, err, errBad, "what the probe was doing")
			assert.NotErrorIs(t, err, health.ErrTimeout)
		})
	})
	t.Run("probe that ignores its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := health.Wait(ctx, func(ctx context.Context) error { time.Sleep(time.Hour); return nil })
			assert.ErrorContains(t, err, "the probe ignores its context")
			assert.Less(t, time.Since(start), 600*time.Millisecond)
			time.Sleep(time.Hour) // the goroutine ends when the probe returns
		})
	})
}

// The attempt that is under way when the context ends says only that; what matters is the failure
// before it.
func TestWaitKeepsTheRealFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		calls := 0
		err := health.Wait(ctx, func(ctx context.Context) error {
			if calls++; calls < 3 {
				return errBad
			}
			<-ctx.Done()
			return ctx.Err()
		})
		e, _ := errors.AsType[*health.WaitError](err)
		require.NotNil(t, e)
		assert.Equal(t, errBad, e.Last)
		assert.Equal(t, 3, e.Attempts)
	})
}

// Package net has a timer of its own for the deadline of a context. It may fire first.
func TestWaitKeepsTheRealFailureAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			calls := 0
			err := health.Wait(ctx, func(ctx context.Context) error {
				if calls++; calls < 3 {
					return errBad
				}
				sleepToDeadline(ctx)
				return &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
			})
			cancel()
			e, _ := errors.AsType[*health.WaitError](err)
			require.NotNil(t, e)
			require.Equal(t, errBad, e.Last)
		}
	})
}

// Likewise, an attempt whose connection is at the deadline before its context has timed out.
func TestTimeoutOfTheNetworkIsErrTimeout(t *testing.T) {
	endsAtDeadline := func(ctx context.Context) error {
		sleepToDeadline(ctx)
		return os.ErrDeadlineExceeded
	}
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			_ = health.Wait(ctx, endsAtDeadline, health.OnAttempt(func(a health.Attempt) {
				require.ErrorIs(t, a.Err, health.ErrTimeout)
				cancel()
			}))
		}
		r := newRegistry(t, health.Check{Name: "db", Probe: endsAtDeadline})
		defer start(t, r)()
		time.Sleep(time.Hour)
		results := r.Report(health.Ready).Checks[0].History
		require.NotEmpty(t, results)
		for _, result := range results {
			require.ErrorIs(t, result.Err, health.ErrTimeout)
		}
	})
}

func sleepToDeadline(ctx context.Context) {
	deadline, _ := ctx.Deadline()
	time.Sleep(time.Until(deadline))
}

func TestWaitSucceedsThoughContextEndsMeanwhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	assert.NoError(t, health.Wait(ctx, func(context.Context) error { cancel(); return nil }))
}

func TestWaitPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := health.Wait(ctx, func(context.Context) error { panic(errBad) })
		p, ok := errors.AsType[*health.PanicError](err)
		require.True(t, ok)
		assert.Equal(t, errBad, p.Value)
		assert.Contains(t, string(p.Stack), "TestWaitPanic")
		assert.ErrorIs(t, err, errBad)
	})
}

// FailNow of a test calls runtime.Goexit: the test has to end, not to wait for its deadline.
func TestWaitGoexit(t *testing.T) {
	returned, ended := false, make(chan struct{})
	go func() {
		defer close(ended)
		_ = health.Wait(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
		returned = true
	}()
	<-ended
	assert.False(t, returned)
}

func TestWaitOptionsPanic(t *testing.T) {
	assert.PanicsWithValue(t, "health: OnAttempt(nil): expected a function",
		func() { health.OnAttempt(nil) })
	assert.PanicsWithValue(t, "health: AttemptTimeout(0s): must be positive",
		func() { health.AttemptTimeout(0) })
}

// A server dies while it is waited for: its own error ends the wait, and is found in it.
func TestWaitServerDies(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	ctx, cancel := context.WithCancelCause(t.Context())
	asked := 0
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 2 {
			l.Close()
			<-ctx.Done() // so that this is the last request
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})}
	served := make(chan struct{})
	go func() { defer close(served); cancel(srv.Serve(l)) }()
	err := health.Wait(ctx, health.Listener(l, "/readyz"), health.AttemptTimeout(time.Minute))
	<-served
	assert.ErrorIs(t, err, net.ErrClosed, "the error of Serve")
	assert.ErrorContains(t, err, "503 Service Unavailable", "the last failure")
	require.NoError(t, srv.Close())
}

// Whatever the methods of an error do, Wait ends with its context and says what it can.
func TestWaitSurvivesTheMethodsOfAnError(t *testing.T) {
	forHostileErrors(t, func(t *testing.T, hostile error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		exited := true
		var err error
		done := make(chan struct{})
		go func() { // Goexit in a method of an error is like one in the probe
			defer close(done)
			err = health.Wait(ctx, func(context.Context) error { return hostile })
			exited = false
		}()
		<-done
		assert.LessOrEqual(t, time.Since(begin), 10*time.Second+50*time.Millisecond)
		if !exited {
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Contains(t, err.Error(), "health: gave up after ")
		}
	})
}

// The cause of a context is a user's value, too.
func TestWaitSurvivesTheCauseOfItsContext(t *testing.T) {
	forHostileErrors(t, func(t *testing.T, hostile error) {
		for name, probe := range map[string]health.Probe{
			"obeys":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			"ignores": func(context.Context) error { time.Sleep(time.Minute); return nil },
			"fails":   func(context.Context) error { return errBad },
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(500*time.Millisecond, func() { cancel(hostile) })
			begin := time.Now()
			err := health.Wait(ctx, probe)
			assert.Less(t, time.Since(begin), time.Second, name)
			e, ok := err.(*health.WaitError)
			require.True(t, ok)
			assert.Equal(t, fmt.Sprintf("%T", hostile), fmt.Sprintf("%T", e.Cause))
			assert.Contains(t, e.Error(), "health: gave up after ", name)
		}
		time.Sleep(time.Minute) // the probe that ignores its context returns
	})
}
