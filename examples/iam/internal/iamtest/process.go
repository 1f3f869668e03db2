//go:build unix

package iamtest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary runs itself again to be the program, so that it gets real signals.
const childVariable = "IAM_TEST_CHILD"

// Main is what TestMain does: it runs the program in a process that Command has started, and the
// tests otherwise.
func Main(m *testing.M, program func()) {
	if os.Getenv(childVariable) != "" {
		program()
		return
	}
	// Whoever runs the tests in the background may have these ignored, which children inherit
	// unless somebody takes them.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	os.Exit(m.Run())
}

// Command is the program with these arguments.
func Command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// ExitStatus is that of a process whose Run or Wait has returned err, -1 if a signal has ended it.
func ExitStatus(t *testing.T, err error) int {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	require.NoError(t, err)
	return 0
}
