//go:build unix

package signals_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/signals"
)

func TestReleaseRestoresTheDefaultDisposition(t *testing.T) {
	for _, child := range []string{"released", "released after the first"} {
		t.Run(child, func(t *testing.T) {
			p := testproc.Start(t, child)
			p.Stdout.Expect("ready")
			p.Signal(syscall.SIGTERM)
			assert.Equal(t, -int(syscall.SIGTERM), p.Wait(), "ended by")
		})
	}
	t.Run("unless something else takes the signals", func(t *testing.T) {
		p := testproc.Start(t, "released beside a setup")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("asked")
		p.Signal(syscall.SIGINT)
		assert.Equal(t, 1, p.Wait(), "exit status")
	})
}

func TestEndOfTheParentReleasesNothing(t *testing.T) {
	p := testproc.Start(t, "parent ended")
	p.Stdout.Expect("ready") // after a first signal
	p.Signal(syscall.SIGINT)
	assert.Equal(t, 1, p.Wait(), "exit status")
}

func TestNotifyContextIsRepeatable(t *testing.T) {
	for range 3 {
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Signals(syscall.SIGUSR1))
		raise(syscall.SIGUSR1)
		<-ctx.Done()
		got, ok := signals.FromContext(ctx)
		require.True(t, ok)
		require.Equal(t, syscall.SIGUSR1, got)
		cancel()
	}
}

func TestInheritedIgnoreStays(t *testing.T) {
	t.Run("SIGINT", func(t *testing.T) {
		p := testproc.New(t, "ignored SIGINT").After(`trap "" INT;`).Start()
		p.Stdout.Expect("ready true")
		p.Signal(syscall.SIGINT)
		p.Signal(syscall.SIGINT)
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("signals: received terminated")
		assert.Equal(t, 0, p.Wait(), "exit status")
	})
	t.Run("SIGINT and SIGHUP, also after the release", func(t *testing.T) {
		p := testproc.New(t, "ignored SIGINT and SIGHUP").After(`trap "" INT HUP;`).Start()
		for range 2 {
			p.Stdout.Expect("interrupt true", "hangup true", "terminated false")
		}
		p.Signal(syscall.SIGINT)
		p.Signal(syscall.SIGHUP)
		p.Signal(syscall.SIGTERM)
		assert.Equal(t, -int(syscall.SIGTERM), p.Wait(), "ended by")
		assert.Empty(t, p.Stdout.Rest())
	})
}
