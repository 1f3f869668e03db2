//go:build unix

// Package process runs a test binary again, as a process that gets real signals and can end as it
// likes.
package process

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const variable = "MIGRATION_TEST_CHILD"

// Main is what TestMain does: it runs the child that Start asked for, or else the tests.
func Main(m *testing.M, children map[string]func()) {
	if child := os.Getenv(variable); child != "" {
		children[child]()
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

// A Process is a child under test.
type Process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Scanner
	stderr strings.Builder
}

// Start starts a child; after a shell command such as a trap, if there is one.
func Start(t *testing.T, child, before string) *Process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	p := &Process{t: t, cmd: exec.CommandContext(ctx, "/bin/sh", "-c", before+` exec "$0"`, self)}
	p.cmd.Env = append(os.Environ(), variable+"="+child, "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdout = bufio.NewScanner(stdout)
	require.NoError(t, p.cmd.Start())
	return p
}

// Line returns the next line of the child's standard output.
func (p *Process) Line() string {
	p.t.Helper()
	require.True(p.t, p.stdout.Scan(), "the child ended too early; its standard error: %s", &p.stderr)
	return p.stdout.Text()
}

func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// GoOn closes the child's standard input.
func (p *Process) GoOn() {
	p.t.Helper()
	require.NoError(p.t, p.stdin.Close())
}

// Wait returns the rest of the standard output, the standard error and the exit status, -1 if a
// signal has ended the child.
func (p *Process) Wait() (stdout, stderr string, status int) {
	p.t.Helper()
	for p.stdout.Scan() { // Wait closes the pipe, so everything has to be read before
		stdout += p.stdout.Text() + "\n"
	}
	err := p.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		require.NoError(p.t, err)
	}
	return stdout, p.stderr.String(), p.cmd.ProcessState.ExitCode()
}

// AwaitGoOn is for the child: it returns when the test has called GoOn.
func AwaitGoOn() { _, _ = io.Copy(io.Discard, os.Stdin) }
