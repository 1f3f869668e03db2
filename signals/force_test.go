//go:build unix

package signals_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestForce(t *testing.T) {
	for first, second := range map[syscall.Signal]syscall.Signal{
		syscall.SIGINT:  syscall.SIGTERM,
		syscall.SIGTERM: syscall.SIGINT,
	} {
		t.Run("by "+second.String(), func(t *testing.T) {
			p := testproc.Start(t, "handler")
			p.Stdout.Expect("ready")
			p.Signal(first)
			p.Stdout.Expect("asked")
			p.Signal(second)
			assert.Equal(t, 1, p.Wait(), "exit status")
			line := "received " + second.String() + " while shutting down: exiting at once\n"
			assert.Equal(t, line, p.Stderr.String())
		})
	}

	t.Run("it says what the stop waits for, on one line", func(t *testing.T) {
		p := testproc.Start(t, "waiting")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGINT)
		p.Stdout.Expect("asked")
		p.Signal(syscall.SIGTERM)
		assert.Equal(t, 1, p.Wait(), "exit status")
		assert.Equal(t, "received terminated while shutting down: exiting at once; "+
			`waiting for api\n: 3 requests on 2 connections, 12s of 25s`+"\n", p.Stderr.String())
	})

	t.Run("the same signal forces when it comes later", func(t *testing.T) {
		p := testproc.Start(t, "late repeat")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("stopping")
		p.Signal(syscall.SIGTERM)
		assert.Equal(t, 1, p.Wait(), "exit status")
	})

	t.Run("a burst loses neither the first nor the second", func(t *testing.T) {
		for range 10 {
			stdout, _, status := testproc.New(t, "burst").Run()
			require.Equal(t, 3, status, "exit status; standard output: %s", stdout)
			_, stderr, status := testproc.New(t, "burst after setup").Run()
			require.Equal(t, 1, status, "exit status")
			require.Regexp(t, `^received \w+ while shutting down: exiting at once\n$`, stderr)
		}
	})

	t.Run("repeats within the window are one signal", func(t *testing.T) {
		p := testproc.Start(t, "repeats")
		p.Stdout.Expect("alive")
		assert.Equal(t, 0, p.Wait(), "exit status")
	})

	t.Run("while every processor is busy", func(t *testing.T) {
		p := testproc.Start(t, "busy")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGINT)
		p.Signal(syscall.SIGTERM)
		assert.Equal(t, 1, p.Wait(), "exit status")
	})
}

// Just when a stop hangs, standard error may be out of order.
func TestForceIsNotHeldUp(t *testing.T) {
	force := func(t *testing.T, p *testproc.Process) {
		t.Helper()
		p.Start()
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("asked")
		p.Signal(syscall.SIGINT)
		assert.Equal(t, 1, p.Wait(), "exit status")
	}
	withStderr := func(t *testing.T, file *os.File) *testproc.Process {
		t.Helper()
		p := testproc.New(t, "handler")
		p.Cmd.Stderr = file
		return p
	}
	t.Run("by a full pipe", func(t *testing.T) {
		_, writer := fullPipe(t)
		force(t, withStderr(t, writer))
	})
	t.Run("by a pipe without a reader", func(t *testing.T) {
		reader, writer := pipe(t)
		_ = reader.Close()
		force(t, withStderr(t, writer))
	})
	t.Run("by a pipe without a reader, with signals from a source", func(t *testing.T) {
		reader, writer := pipe(t)
		_ = reader.Close()
		p := testproc.New(t, "forced from a source")
		p.Cmd.Stderr = writer
		_, _, status := p.Run()
		assert.Equal(t, 1, status, "exit status")
	})
	t.Run("by a closed file", func(t *testing.T) {
		force(t, testproc.New(t, "closed standard error"))
	})
	t.Run("by a stop that does not answer", func(t *testing.T) {
		force(t, testproc.New(t, "waiting hangs"))
	})
}

func TestOnForceInAProcess(t *testing.T) {
	t.Run("it replaces the exit", func(t *testing.T) {
		p := testproc.Start(t, "OnForce")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGINT)
		p.Stdout.Expect("asked")
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("forced by terminated")
		assert.Equal(t, 7, p.Wait(), "exit status")
		assert.Empty(t, p.Stderr.String())
	})
	t.Run("a panic in it is not recovered", func(t *testing.T) {
		p := testproc.Start(t, "OnForce panics")
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("asked")
		p.Signal(syscall.SIGINT)
		assert.Equal(t, 2, p.Wait(), "exit status")
		assert.Contains(t, p.Stderr.String(), "in OnForce")
	})
}
