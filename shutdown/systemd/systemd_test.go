//go:build unix

package systemd_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

// A synctest bubble ends only when every goroutine started in it has ended, so each test with one
// is a leak check too.

func sleep(d time.Duration) func(context.Context) error {
	return func(context.Context) error { time.Sleep(d); return nil }
}

func service(t *testing.T, opts ...shutdown.Option) *shutdown.GracefulShutdown {
	t.Helper()
	gs := shutdown.New(opts...)
	require.NoError(t, gs.AddManager(systemd.New()))
	return gs
}

// The whole life. Each line is a datagram, with the second in which it came.
func TestLife(t *testing.T) {
	r := record(t)
	t.Setenv("WATCHDOG_USEC", "20000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	synctest.Test(t, func(t *testing.T) {
		gs := service(t, shutdown.Grace(20*time.Second), shutdown.Delay(3*time.Second), shutdown.Tail(4*time.Second))
		require.NoError(t, gs.AddCallback(
			shutdown.Callback{Name: "work", Phase: shutdown.PhaseWork, Func: func(ctx context.Context) error { <-ctx.Done(); return nil }},
			shutdown.Callback{Name: "flush", Phase: shutdown.PhaseFlush, Func: sleep(time.Second)},
		))
		require.NoError(t, gs.Start(t.Context()))
		time.AfterFunc(15*time.Second, func() { assert.NoError(t, systemd.Ready()) })
		time.AfterFunc(33*time.Second, func() { gs.Shutdown(errors.New("lease lost\nsince noon")) })

		assert.Equal(t, []string{
			"0s WATCHDOG=1",
			"10s WATCHDOG=1",
			"15s READY=1",
			"20s WATCHDOG=1",
			"30s WATCHDOG=1",
			"33s STOPPING=1 | STATUS=Stopping: lease lost | EXTEND_TIMEOUT_USEC=10000000",
			"38s EXTEND_TIMEOUT_USEC=10000000",
			"43s EXTEND_TIMEOUT_USEC=10000000",
			"48s EXTEND_TIMEOUT_USEC=9000000", // Grace+Tail ends at 57s, and the stop at 54s
			"53s EXTEND_TIMEOUT_USEC=4000000",
		}, r.transcript(90))
		require.NoError(t, gs.Wait())
		assert.Equal(t, 21*time.Second, gs.Report().Total)
	})
}

// Nothing that is said asks for more than Grace and Tail, and nothing is said after them, even if
// the lifetime of the manager goes on.
func TestExtensionsEndWithTheBudgets(t *testing.T) {
	tests := []struct {
		name  string
		grace time.Duration
		tail  time.Duration
		want  []string
	}{
		{"less than one extension", 3 * time.Second, 500 * time.Millisecond, []string{"0s STOPPING=1 | STATUS=Stopping: why | EXTEND_TIMEOUT_USEC=3500000"}},
		{"up to a tick", 5 * time.Second, 0, []string{"0s STOPPING=1 | STATUS=Stopping: why | EXTEND_TIMEOUT_USEC=5000000"}},
		{"beyond a tick", 10 * time.Second, time.Second, []string{
			"0s STOPPING=1 | STATUS=Stopping: why | EXTEND_TIMEOUT_USEC=10000000", "5s EXTEND_TIMEOUT_USEC=6000000", "10s EXTEND_TIMEOUT_USEC=1000000",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record(t)
			synctest.Test(t, func(t *testing.T) {
				// The hook of a real stop, kept to be called for a manager whose lifetime does not
				// end.
				var hook context.Context
				gs := shutdown.New(shutdown.Grace(tt.grace), shutdown.Tail(tt.tail))
				require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "hook", Func: func(ctx context.Context) error { hook = context.WithoutCancel(ctx); return nil }}))
				gs.Shutdown(errors.New("why"))
				require.NoError(t, gs.Wait())

				m := systemd.New()
				require.NoError(t, m.Start(t.Context(), nil))
				require.NoError(t, m.(shutdown.ShutdownStarter).ShutdownStart(hook, shutdown.Reason(hook)))
				assert.Equal(t, tt.want, r.transcript(60))
			})
		})
	}
}

// Without a stop's deadline nothing is known of how long it may take, so no time is asked for.
func TestHookOutsideAStop(t *testing.T) {
	r := record(t)
	synctest.Test(t, func(t *testing.T) {
		m := systemd.New()
		require.NoError(t, m.Start(t.Context(), nil))
		require.NoError(t, m.(shutdown.ShutdownStarter).ShutdownStart(t.Context(), nil))
		assert.Equal(t, []string{"0s STOPPING=1 | STATUS=Stopping: requested"}, r.transcript(60))
		require.NoError(t, m.(shutdown.ShutdownFinisher).ShutdownFinish(t.Context(), shutdown.Report{}))
		assert.Empty(t, r.received())
	})
}

// nilError dereferences its receiver, as the Error of many a type does.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// slowError takes that long to say what it is.
type slowError time.Duration

func (e slowError) Error() string { time.Sleep(time.Duration(e)); return "slow" }

// Whatever the reason's Error does, systemd hears STOPPING=1 soon.
func TestReasonsThatMisbehave(t *testing.T) {
	tests := []struct {
		name   string
		reason error
		after  time.Duration
		want   string
	}{
		{
			"a typed nil pointer", (*nilError)(nil), 0,
			"*systemd_test.nilError, whose text is not available: it panics with a runtime.errorString",
		},
		{
			"it hangs", slowError(time.Minute), 100 * time.Millisecond,
			"systemd_test.slowError, whose text is not available: it has not returned",
		},
		{"several lines", errors.New("a\nMAINPID=1"), 0, "a"},
		{"control characters", errors.New("\x1b[2Jgone"), 0, `\x1b[2Jgone`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record(t)
			synctest.Test(t, func(t *testing.T) {
				m := systemd.New()
				require.NoError(t, m.Start(t.Context(), nil))
				begin := time.Now()
				require.NoError(t, m.(shutdown.ShutdownStarter).ShutdownStart(t.Context(), tt.reason))
				assert.Equal(t, tt.after, time.Since(begin))
				assert.Equal(t, []string{"STOPPING=1\nSTATUS=Stopping: " + tt.want + "\n"}, r.received())
				time.Sleep(time.Minute) // until Error has returned, in the goroutine it was called in
			})
		})
	}
}

// A socket that is not there for a while, as during the re-execution of a service manager, loses no
// STOPPING=1.
func TestStoppingIsSaidAgain(t *testing.T) {
	r := record(t)
	r.close()
	synctest.Test(t, func(t *testing.T) {
		gs := service(t)
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "slow", Func: sleep(12 * time.Second)}))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(errors.New("why"))
		time.Sleep(7 * time.Second)
		r.listen()
		assert.Equal(t, []string{"3s STOPPING=1 | STATUS=Stopping: why | EXTEND_TIMEOUT_USEC=10000000"}, r.transcript(10))
		require.NoError(t, gs.Wait())
	})
}

// A socket that nobody reads holds nothing up, and is told about.
func TestUnreadSocket(t *testing.T) {
	r := record(t)
	t.Setenv("WATCHDOG_USEC", "60000000") // a ping waits for the quarter of it
	gs := service(t)
	require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "db", Func: func(context.Context) error { return nil }}))
	r.fill()
	require.NoError(t, gs.Start(t.Context()))
	gs.Shutdown(nil)
	err := gs.Wait()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.ErrorContains(t, err, "systemd (finish): systemd: sending STOPPING=1: raw-write unixgram")
	var states []string
	for _, c := range gs.Report().Steps {
		states = append(states, c.Stage+" "+c.Name+" "+string(c.State))
	}
	assert.Equal(t, []string{"start systemd ok", "store db ok", "finish systemd error"}, states)
}

func TestSocketThatIsReadLate(t *testing.T) {
	r := record(t)
	gs := service(t)
	require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "db", Func: func(context.Context) error { r.received(); return nil }}))
	r.fill()
	require.NoError(t, gs.Start(t.Context()))
	gs.Shutdown(errors.New("why"))
	require.NoError(t, gs.Wait())
	require.Regexp(t, `^\[STOPPING=1\nSTATUS=Stopping: why\nEXTEND_TIMEOUT_USEC=\d+\n\]$`, r.received())
}

// After a manager beside it failed to start, it starts again.
func TestStartTwice(t *testing.T) {
	r := record(t)
	t.Setenv("WATCHDOG_USEC", "4000000")
	synctest.Test(t, func(t *testing.T) {
		gs := service(t)
		broken := &failsOnce{}
		require.NoError(t, gs.AddManager(broken))
		require.ErrorContains(t, gs.Start(t.Context()), "no")
		r.transcript(5)
		require.Empty(t, r.transcript(10), "pings after a failed start")
		require.NoError(t, gs.Start(t.Context()))
		require.Equal(t, []string{"0s WATCHDOG=1", "2s WATCHDOG=1"}, r.transcript(3))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		require.Len(t, r.received(), 1)
	})
}

type failsOnce struct{ again bool }

func (*failsOnce) Name() string { return "fails once" }
func (f *failsOnce) Start(context.Context, func(error)) error {
	if f.again {
		return nil
	}
	f.again = true
	return errors.New("no")
}
