//go:build unix

package signals_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/signals"
)

// Standard error may be a pipe that is full and that nobody reads: a forced exit does not wait for it.
func TestAdversaryProcessForcesWithoutAReaderOfStandardError(t *testing.T) {
	for _, readerGone := range []bool{true, false} {
		reader, writer := fullPipe(t)
		if readerGone {
			_ = reader.Close()
		}
		p := prepare(t, "still works after the panic")
		p.cmd.Stderr = writer
		p.run()
		_ = writer.Close()
		p.expect("ready")
		p.signal(syscall.SIGTERM)
		p.expect("asked")
		p.signal(syscall.SIGTERM)
		_, status := p.wait()
		assert.Equal(t, 1, status, "exit status; otherwise it was held by standard error; reader gone: %v", readerGone)
	}
}

// "It panics if there is none, or one that no process can catch": POSIX names two of those.
func TestAdversarySIGSTOPCannotBeCaught(t *testing.T) {
	assert.Panics(t, func() { signals.Signals(syscall.SIGSTOP) })
	assert.Panics(t, func() { signals.Handle(t.Context(), func(context.Context, os.Signal) {}, syscall.SIGSTOP)() })
}
