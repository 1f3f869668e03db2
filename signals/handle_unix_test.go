//go:build unix

package signals_test

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/signals"
)

func TestHandle(t *testing.T) {
	t.Run("one call at a time, repeats coalesced, no kind lost", func(t *testing.T) {
		var inside atomic.Int32
		calls, goOn := make(chan os.Signal), make(chan struct{})
		stop := signals.Handle(t.Context(), func(_ context.Context, sig os.Signal) {
			assert.EqualValues(t, 1, inside.Add(1), "calls at the same time")
			calls <- sig
			<-goOn
			inside.Add(-1)
		}, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP, syscall.SIGUSR1)
		defer stop()

		raise(syscall.SIGUSR1)
		require.Equal(t, syscall.SIGUSR1, <-calls)
		for range 10 { // while the first call runs
			raiseSeen(syscall.SIGUSR1)
			raiseSeen(syscall.SIGUSR2)
		}
		raiseSeen(syscall.SIGHUP)

		var next []os.Signal
		for range 3 {
			goOn <- struct{}{}
			next = append(next, <-calls)
		}
		goOn <- struct{}{}
		assert.ElementsMatch(t, []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP}, next)

		raise(syscall.SIGUSR2)
		assert.Equal(t, syscall.SIGUSR2, <-calls, "nothing was left over")
		goOn <- struct{}{}
	})

	t.Run("without a source HandleFrom is the same", func(t *testing.T) {
		calls := make(chan os.Signal)
		fn := func(_ context.Context, sig os.Signal) { calls <- sig }
		defer signals.HandleFrom(t.Context(), nil, fn, syscall.SIGUSR1)()
		raise(syscall.SIGUSR1)
		assert.Equal(t, syscall.SIGUSR1, <-calls)
	})

	t.Run("fn may call stop, and its context then ends", func(t *testing.T) {
		done := make(chan error)
		var stop func()
		ready := make(chan struct{})
		stop = signals.Handle(t.Context(), func(ctx context.Context, _ os.Signal) {
			<-ready
			stop()
			stop()
			done <- ctx.Err()
		}, syscall.SIGUSR1)
		close(ready)
		raise(syscall.SIGUSR1)
		assert.ErrorIs(t, <-done, context.Canceled)
	})

	t.Run("after ctx has ended the signal has no effect until stop", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		fail := func(context.Context, os.Signal) { t.Error("called after the end of ctx") }
		stop := signals.Handle(ctx, fail, syscall.SIGUSR2)
		defer stop()
		cancel()
		raise(syscall.SIGUSR2) // the default disposition would end the test process here
		raiseSeen(syscall.SIGUSR2)
	})

	t.Run("stop restores the default disposition", func(t *testing.T) {
		p := testproc.Start(t, "Handle after ctx")
		p.Stdout.Expect("alive", "ready")
		p.Signal(syscall.SIGHUP)
		assert.Equal(t, -int(syscall.SIGHUP), p.Wait(), "ended by")
	})

	t.Run("a panic is not recovered", func(t *testing.T) {
		p := testproc.Start(t, "Handle panics")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGHUP)
		assert.Equal(t, 2, p.Wait(), "exit status")
		assert.Contains(t, p.Stderr.String(), "not recovered")
	})

	for label, sigs := range map[string][]os.Signal{
		"signals/user defined signal 1": {syscall.SIGUSR1},
		"signals/handle":                {syscall.SIGUSR1, syscall.SIGUSR2},
	} {
		t.Run("a goroutine dump names "+label, func(t *testing.T) {
			dump := make(chan string)
			stop := signals.Handle(t.Context(), func(context.Context, os.Signal) {
				var b bytes.Buffer
				_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
				dump <- b.String()
			}, sigs...)
			defer stop()
			raise(syscall.SIGUSR1)
			assert.Contains(t, <-dump, `# labels: {"gracekit":"`+label+`"}`)
		})
	}
}

// POSIX names two signals that no process can catch.
func TestSIGSTOPCannotBeCaught(t *testing.T) {
	fn := func(context.Context, os.Signal) {}
	assert.Panics(t, func() { signals.Signals(syscall.SIGSTOP) })
	assert.Panics(t, func() { signals.Handle(t.Context(), fn, syscall.SIGSTOP)() })
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		stop := signals.Handle(ctx, func(context.Context, os.Signal) {}, syscall.SIGUSR1)
		_, release := signals.NotifyContext(ctx, signals.Signals(syscall.SIGUSR2))
		cancel()
		stop()
		release()
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+2 },
		time.Minute, time.Millisecond, "goroutines are left, of %d before", before)
}
