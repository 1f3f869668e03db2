//go:build unix

package signals_test

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/signals"
)

func TestSecondSignalEndsTheProcess(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			p := start(t, "handler")
			p.expect("ready")
			p.signal(sig)
			p.expect("asked")
			p.signal(sig)
			_, status := p.wait()
			assert.Equal(t, 1, status, "exit status")
			assert.Equal(t, "received "+sig.String()+" while shutting down: exiting at once\n", p.stderr.String())
		})
	}
}

func TestContextHoldsTheSignalAndItsExitStatus(t *testing.T) {
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(sig.String(), func(t *testing.T) {
			p := start(t, "context")
			p.expect("ready")
			p.signal(sig)
			p.expect("signals: received " + sig.String())
			_, status := p.wait()
			assert.Equal(t, want, status, "exit status")
		})
	}
}

func TestRegisteredWhenSetupReturns(t *testing.T) {
	for range 20 {
		p := start(t, "immediately")
		p.expect("signals: received terminated")
		_, status := p.wait()
		assert.Equal(t, 0, status, "exit status")
	}
}

func TestSecondSetupPanicsWithThePlaceOfTheFirst(t *testing.T) {
	p := start(t, "twice")
	assert.Regexp(t, `^signals: SetupSignalContext: .*main_test\.go:\d+; `, p.line())
	_, status := p.wait()
	assert.Equal(t, 0, status, "exit status")
}

func TestRequestShutdown(t *testing.T) {
	p := start(t, "request")
	p.expect(
		"before set-up: false",
		"first: true",
		"second: false",
		"signal: <nil> false",
		"cause: signals: shutdown requested by the program true",
		"ready",
	)
	p.signal(syscall.SIGTERM) // the first from outside is the second in all
	_, status := p.wait()
	assert.Equal(t, 1, status, "exit status")
}

func TestCancelRestoresTheDefaultDisposition(t *testing.T) {
	p := start(t, "released")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	_, status := p.wait()
	assert.Equal(t, -int(syscall.SIGTERM), status, "ended by")
}

func TestOnForceReplacesTheExit(t *testing.T) {
	p := start(t, "onforce")
	p.expect("ready")
	p.signal(syscall.SIGINT)
	p.expect("asked")
	p.signal(syscall.SIGTERM)
	p.expect("forced by terminated")
	_, status := p.wait()
	assert.Equal(t, 7, status, "exit status")
	assert.Empty(t, p.stderr.String())
}

func TestInheritedIgnoreStays(t *testing.T) {
	p := start(t, "nohup", `trap "" INT;`)
	p.expect("ready true")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	p.expect("signals: received terminated")
	_, status := p.wait()
	assert.Equal(t, 0, status, "exit status")
}

// The signals below are those of the test process itself.

func raise(t *testing.T, sig syscall.Signal) {
	t.Helper()
	require.NoError(t, syscall.Kill(os.Getpid(), sig))
}

func TestNotifyContextIsRepeatable(t *testing.T) {
	for range 3 {
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Signals(syscall.SIGUSR1))
		raise(t, syscall.SIGUSR1)
		<-ctx.Done()
		got, ok := signals.FromContext(ctx)
		require.True(t, ok)
		require.Equal(t, syscall.SIGUSR1, got)
		cancel()
	}
}

func TestHandle(t *testing.T) {
	t.Run("one at a time, repeats coalesced", func(t *testing.T) {
		var running atomic.Int32
		calls, goOn := make(chan os.Signal), make(chan struct{})
		stop := signals.Handle(t.Context(), func(_ context.Context, sig os.Signal) {
			assert.EqualValues(t, 1, running.Add(1), "calls at the same time")
			calls <- sig
			<-goOn
			running.Add(-1)
		}, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGUSR1)
		defer stop()

		raise(t, syscall.SIGUSR1)
		require.Equal(t, syscall.SIGUSR1, <-calls)
		seen := make(chan os.Signal, 100)
		signal.Notify(seen, syscall.SIGUSR1, syscall.SIGUSR2)
		defer signal.Stop(seen)
		for range 10 { // while the first call runs
			raise(t, syscall.SIGUSR1)
			require.Equal(t, syscall.SIGUSR1, <-seen)
		}
		raise(t, syscall.SIGUSR2)
		require.Equal(t, syscall.SIGUSR2, <-seen)
		signal.Stop(seen) // returns when all are delivered everywhere

		goOn <- struct{}{}
		next := []os.Signal{<-calls}
		goOn <- struct{}{}
		next = append(next, <-calls)
		goOn <- struct{}{}
		assert.ElementsMatch(t, []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2}, next)

		raise(t, syscall.SIGUSR2)
		assert.Equal(t, syscall.SIGUSR2, <-calls, "nothing was left over")
		goOn <- struct{}{}
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
		raise(t, syscall.SIGUSR1)
		assert.ErrorIs(t, <-done, context.Canceled)
	})

	t.Run("after ctx has ended the signal has no effect until stop", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stop := signals.Handle(ctx, func(context.Context, os.Signal) { t.Error("called after the end of ctx") }, syscall.SIGUSR2)
		defer stop()
		cancel()
		raise(t, syscall.SIGUSR2) // the default disposition would end the test process here
		witness := make(chan os.Signal, 1)
		signal.Notify(witness, syscall.SIGUSR2)
		defer signal.Stop(witness)
		raise(t, syscall.SIGUSR2)
		<-witness
	})
}
