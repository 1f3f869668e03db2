//go:build unix

package signals_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/signals"
)

// Standard error may be a pipe that is full and that nobody reads: a forced exit does not wait for it.
func TestAdversaryProcessForcesWithoutAReaderOfStandardError(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for _, broken := range []bool{true, false} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		if broken {
			_ = r.Close()
		} else {
			defer r.Close()
			raw, err := w.SyscallConn()
			require.NoError(t, err)
			require.NoError(t, raw.Write(func(fd uintptr) bool { // fill it
				for {
					if _, err := syscall.Write(int(fd), make([]byte, 4096)); err != nil {
						return true
					}
				}
			}))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, self, "-test.run=^TestAdversaryChild$")
		cmd.Env = append(os.Environ(), advChildVariable+"=still works after the panic", "GORACE=atexit_sleep_ms=0")
		cmd.Stderr = w
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_ = w.Close()
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan())
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.True(t, lines.Scan())
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		_ = cmd.Wait()
		assert.NoError(t, ctx.Err(), "held by standard error; closed: %v", broken)
		assert.Equal(t, 1, cmd.ProcessState.ExitCode(), "exit status; reader gone: %v", broken)
	}
}

// "It panics if there is none, or one that no process can catch": POSIX names two of those.
func TestAdversarySIGSTOPCannotBeCaught(t *testing.T) {
	assert.Panics(t, func() { signals.Signals(syscall.SIGSTOP) })
	assert.Panics(t, func() { signals.Handle(t.Context(), func(context.Context, os.Signal) {}, syscall.SIGSTOP)() })
}
