//go:build unix

package systemd_test

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

// With WATCHDOG_USEC=20s a ping is due every 10s, and the check has 5s.
func TestWatchdogCheck(t *testing.T) {
	during := func(from, to time.Duration, fails func(context.Context) error) func(time.Duration, context.Context) error {
		return func(since time.Duration, ctx context.Context) error {
			if from <= since && since < to {
				return fails(ctx)
			}
			return nil
		}
	}
	tests := []struct {
		name  string
		check func(since time.Duration, ctx context.Context) error
		want  []string
	}{
		{
			"it fails twice",
			during(10*time.Second, 30*time.Second, func(context.Context) error { return errCheck }),
			[]string{"0s WATCHDOG=1", "10s STATUS=Watchdog ping withheld: event loop is stuck", "30s WATCHDOG=1 | STATUS=Watchdog check passes again", "40s WATCHDOG=1"},
		},
		{
			"it fails from the beginning",
			during(0, 10*time.Second, func(context.Context) error { return errCheck }),
			[]string{"0s STATUS=Watchdog ping withheld: event loop is stuck", "10s WATCHDOG=1 | STATUS=Watchdog check passes again", "20s WATCHDOG=1", "30s WATCHDOG=1", "40s WATCHDOG=1"},
		},
		{
			"it is slow, but not too slow",
			during(0, time.Hour, sleep(4*time.Second)),
			[]string{"4s WATCHDOG=1", "14s WATCHDOG=1", "24s WATCHDOG=1", "34s WATCHDOG=1", "44s WATCHDOG=1"},
		},
		{
			"it heeds its context",
			during(10*time.Second, 20*time.Second, func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }),
			[]string{"0s WATCHDOG=1", "15s STATUS=Watchdog ping withheld: the check takes too long", "20s WATCHDOG=1 | STATUS=Watchdog check passes again", "30s WATCHDOG=1", "40s WATCHDOG=1"},
		},
		{
			"it says at its deadline what it waits for",
			during(10*time.Second, 20*time.Second, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Millisecond)
				return errCheck
			}),
			[]string{
				"0s WATCHDOG=1", "16s STATUS=Watchdog ping withheld: event loop is stuck",
				"20s WATCHDOG=1 | STATUS=Watchdog check passes again", "30s WATCHDOG=1", "40s WATCHDOG=1",
			},
		},
		{
			"it passes too late",
			during(10*time.Second, 20*time.Second, sleep(5*time.Second+time.Millisecond)),
			[]string{
				"0s WATCHDOG=1", "16s STATUS=Watchdog ping withheld: the check takes too long",
				"20s WATCHDOG=1 | STATUS=Watchdog check passes again", "30s WATCHDOG=1", "40s WATCHDOG=1",
			},
		},
		{
			"its error panics",
			during(10*time.Second, 20*time.Second, func(context.Context) error { return (*nilError)(nil) }),
			[]string{
				"0s WATCHDOG=1",
				"10s STATUS=Watchdog ping withheld: *systemd_test.nilError, whose text is not available: " +
					"it panics with a runtime.errorString",
				"20s WATCHDOG=1 | STATUS=Watchdog check passes again", "30s WATCHDOG=1", "40s WATCHDOG=1",
			},
		},
		{
			"its error hangs",
			during(10*time.Second, 20*time.Second, func(context.Context) error {
				return slowError(time.Second)
			}),
			[]string{
				"0s WATCHDOG=1",
				"11s STATUS=Watchdog ping withheld: systemd_test.slowError, whose text is not available: " +
					"it has not returned",
				"20s WATCHDOG=1 | STATUS=Watchdog check passes again", "30s WATCHDOG=1", "40s WATCHDOG=1",
			},
		},
		{
			"it hangs for a while",
			during(10*time.Second, 20*time.Second, sleep(17*time.Second)),
			[]string{
				"0s WATCHDOG=1", "16s STATUS=Watchdog ping withheld: the check takes too long",
				"30s WATCHDOG=1 | STATUS=Watchdog check passes again", "40s WATCHDOG=1",
			},
		},
		{
			"it panics",
			during(10*time.Second, 20*time.Second, func(context.Context) error { panic("boom") }),
			[]string{"0s WATCHDOG=1", "10s STATUS=Watchdog ping withheld: panic: boom", "20s WATCHDOG=1 | STATUS=Watchdog check passes again", "30s WATCHDOG=1", "40s WATCHDOG=1"},
		},
		{
			"it exits its goroutine",
			during(10*time.Second, 20*time.Second, func(context.Context) error { runtime.Goexit(); return nil }),
			[]string{"0s WATCHDOG=1", "10s STATUS=Watchdog ping withheld: the check called runtime.Goexit", "20s WATCHDOG=1 | STATUS=Watchdog check passes again", "30s WATCHDOG=1", "40s WATCHDOG=1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record(t)
			t.Setenv("WATCHDOG_USEC", "20000000")
			synctest.Test(t, func(t *testing.T) {
				begin, running := time.Now(), 0
				m := systemd.New(systemd.Watchdog(func(ctx context.Context) error {
					running++
					defer func() { running-- }()
					assert.Equal(t, 1, running, "checks at the same time")
					return tt.check(time.Since(begin), ctx)
				}))
				ctx, cancel := context.WithCancel(t.Context())
				require.NoError(t, m.Start(ctx, nil))
				assert.Equal(t, tt.want, r.transcript(49))
				cancel()
				assert.Empty(t, r.transcript(60), "after the end")
			})
		})
	}
}

// A check that hangs is found in a goroutine profile.
func TestWatchdogCheckIsLabelled(t *testing.T) {
	record(t)
	t.Setenv("WATCHDOG_USEC", "60000000")
	running, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	m := systemd.New(systemd.Watchdog(func(context.Context) error {
		close(running)
		<-release
		return nil
	}))
	require.NoError(t, m.Start(t.Context(), nil))
	<-running
	var profile bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	assert.Contains(t, profile.String(), `"gracekit":"shutdown/systemd/watchdog"`)
}

// A check that fails or hangs just when the service stops cannot keep STOPPING=1 back, and no ping
// follows it: systemd has ended the watchdog by then, and would start it again.
func TestNoPingAfterStopping(t *testing.T) {
	for name, check := range map[string]func(context.Context) error{
		"passes": func(context.Context) error { return nil },
		"fails":  func(context.Context) error { return errCheck },
		"hangs":  sleep(3 * time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			t.Setenv("WATCHDOG_USEC", "8000000")
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New(shutdown.Grace(15 * time.Second))
				require.NoError(t, gs.AddManager(systemd.New(systemd.Watchdog(check))))
				require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "slow", Func: sleep(9 * time.Second)}))
				require.NoError(t, gs.Start(t.Context()))
				time.Sleep(4*time.Second + 1) // in the second check
				r.received()
				gs.Shutdown(nil)
				assert.Equal(t, []string{
					"0s STOPPING=1 | STATUS=Stopping: shutdown: requested | EXTEND_TIMEOUT_USEC=10000000",
					"5s EXTEND_TIMEOUT_USEC=10000000",
				}, r.transcript(60))
				require.NoError(t, gs.Wait())
			})
		})
	}
}

func TestWatchdogOfAnotherProcess(t *testing.T) {
	r := record(t)
	t.Setenv("WATCHDOG_USEC", "2000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getppid()))
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, systemd.New().Start(t.Context(), nil))
		assert.Empty(t, r.transcript(10))
	})
}

// The trigger comes in the moment of a ping. In real time, because that is where they race.
func TestStoppingRacesWithPings(t *testing.T) {
	r := record(t)
	t.Setenv("WATCHDOG_USEC", "4000") // every 2ms: more often, the queue is full whenever its reader gets no processor
	for range 20 {
		gs := service(t)
		require.NoError(t, gs.Start(t.Context()))
		r.next()
		go gs.Shutdown(nil)
		stopping := false
		for !stopping {
			stopping = r.next()[0] == 'S'
		}
		require.NoError(t, gs.Wait())
		require.Empty(t, r.received(), "after STOPPING=1")
	}
}
