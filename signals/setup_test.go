//go:build unix

package signals_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestSetupSignalContext(t *testing.T) {
	t.Run("the cause holds the signal and its exit status", func(t *testing.T) {
		for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
			p := testproc.Start(t, "context")
			p.Stdout.Expect("ready")
			p.Signal(sig)
			p.Stdout.Expect("signals: received " + sig.String())
			assert.Equal(t, want, p.Wait(), "exit status")
		}
	})

	t.Run("it is registered when the call returns", func(t *testing.T) {
		for range 20 {
			p := testproc.Start(t, "immediately")
			p.Stdout.Expect("signals: received terminated")
			require.Equal(t, 0, p.Wait(), "exit status")
		}
	})

	t.Run("it takes options", func(t *testing.T) {
		p := testproc.Start(t, "context with options")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGUSR1)
		p.Stdout.Expect("signals: received user defined signal 1")
		p.Signal(syscall.SIGUSR2)
		p.Stdout.Expect("forced by user defined signal 2")
		assert.Equal(t, 7, p.Wait(), "exit status")

		p = testproc.Start(t, "context with options")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGTERM)
		assert.Equal(t, -int(syscall.SIGTERM), p.Wait(), "SIGTERM was not asked for")
	})
}

func TestSecondSetup(t *testing.T) {
	for _, second := range []string{"context", "handler"} {
		for _, first := range []string{"context", "handler"} {
			t.Run(first+", "+second, func(t *testing.T) {
				stdout, _, status := testproc.New(t, "twice: "+first+", "+second).Run()
				name := map[string]string{"context": "Context", "handler": "Handler"}[second]
				place := `^signals: SetupSignal` + name + `: .*/harness_test\.go:\d+; `
				assert.Regexp(t, place, stdout, "it names the place of the first")
				assert.Equal(t, 0, status, "exit status")
			})
		}
	}

	t.Run("one of many succeeds", func(t *testing.T) {
		p := testproc.Start(t, "many setups at once")
		p.Stdout.Expect("1 99")
		assert.Equal(t, 0, p.Wait(), "exit status")
	})

	t.Run("the first stays valid", func(t *testing.T) {
		p := testproc.Start(t, "handler after a second setup")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("asked")
		p.Signal(syscall.SIGINT)
		assert.Equal(t, 1, p.Wait(), "exit status")
	})
}

func TestRequestShutdown(t *testing.T) {
	t.Run("it asks, and so does the first signal after it", func(t *testing.T) {
		p := testproc.Start(t, "request")
		p.Stdout.Expect(
			"before set-up: false",
			"first: true",
			"second: false",
			"signal: <nil> false",
			"cause: signals: shutdown requested by the program true",
			"alive after the first signal",
			"third: false",
			"ready",
		)
		p.Signal(syscall.SIGINT)
		assert.Equal(t, 1, p.Wait(), "the second signal forces")
	})

	t.Run("it never forces", func(t *testing.T) {
		p := testproc.Start(t, "many requests at once")
		p.Stdout.Expect("first: 1")
		assert.Equal(t, 0, p.Wait(), "exit status; standard error: %s", &p.Stderr)
	})

	t.Run("at the same time as a signal", func(t *testing.T) {
		for range 20 {
			p := testproc.Start(t, "request against a signal")
			p.Stdout.Expect("one of them was the first: true")
			p.Signal(syscall.SIGINT)
			require.Equal(t, 1, p.Wait(), "exit status")
		}
	})

	t.Run("after a signal it does nothing", func(t *testing.T) {
		p := testproc.Start(t, "request after a signal")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGINT)
		p.Stdout.Expect("false", "false", "false", "false", "false", "interrupt true")
		assert.Equal(t, 5, p.Wait(), "exit status")
	})
}
