//go:build unix || windows

// Package testproc runs the test binary again, as a process that gets real signals and can exit.
// Only tests import it.
//
//	func TestMain(m *testing.M) {
//		testproc.Main(map[string]func(){"server": main})
//		os.Exit(m.Run())
//	}
//
//	func TestStop(t *testing.T) {
//		p := testproc.Start(t, "server", "-addr", "127.0.0.1:0")
//		url := p.Stderr.Await(`msg=listening url=(\S+)`)[1]
//		…
//		p.Signal(syscall.SIGTERM)
//		assert.Equal(t, 0, p.Wait(), "exit status; log:\n%s", &p.Stderr)
//	}
package testproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// Variable is the environment variable that holds the mode of a child process.
const Variable = "GRACEKIT_TEST_CHILD"

// patience is how long a process may run. Only a failing test reaches it.
const patience = 2 * time.Minute

// Main is the first line of TestMain. In a child process it runs the mode asked for, and exits with
// status 0 when that returns; in the process of the tests it returns.
func Main(modes map[string]func()) {
	name, child := os.LookupEnv(Variable)
	if !child {
		// A shell ignores these for tests in the background. Children inherit that unless the
		// signals are taken.
		for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
			if signal.Ignored(sig) {
				signal.Notify(make(chan os.Signal, 1), sig)
			}
		}
		return
	}
	run, ok := modes[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "testproc: no mode %q\n", name)
		os.Exit(125)
	}
	run()
	os.Exit(0)
}

// Env is the environment of a child process in a mode, for tests that do not start it by Start.
func Env(mode string) []string {
	// The race detector waits for a second at the exit by default.
	return append(os.Environ(), Variable+"="+mode, "GORACE=atexit_sleep_ms=0", "GOTRACEBACK=single")
}

// A Process is the test binary in one of its modes. Change its Cmd before Start; an output that is
// not redirected there arrives in Stdout and Stderr.
type Process struct {
	Cmd            *exec.Cmd // must not change after Start
	Stdout, Stderr Output    // what the process writes there

	t     testing.TB
	ended chan struct{}
	err   error // of Cmd.Wait; set before ended is closed
}

// New returns a process that is not started yet. It is killed when the test has ended, or two
// minutes after New.
func New(t testing.TB, mode string, args ...string) *Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	p := &Process{
		Cmd: exec.CommandContext(ctx, self, args...), t: t, ended: make(chan struct{}),
	}
	p.Cmd.Env = Env(mode)
	// A descendant that keeps the output open makes the test fail and not hang.
	p.Cmd.WaitDelay = patience / 4
	p.Stdout.init(t, "standard output", p)
	p.Stderr.init(t, "standard error", p)
	t.Cleanup(func() {
		cancel()
		if p.Cmd.Process != nil {
			<-p.ended
		}
	})
	return p
}

// Start starts a new process.
func Start(t testing.TB, mode string, args ...string) *Process {
	t.Helper()
	return New(t, mode, args...).Start()
}

// After makes a shell run command first and then become the process; command may be `trap "" INT;`.
func (p *Process) After(command string) *Process {
	p.t.Helper()
	args := []string{"/bin/sh", "-c", command + ` exec "$0" "$@"`, p.Cmd.Path}
	p.Cmd.Args = append(args, p.Cmd.Args[1:]...)
	p.Cmd.Path = args[0]
	return p
}

// Start starts the process.
func (p *Process) Start() *Process {
	p.t.Helper()
	if p.Cmd.Stdout == nil {
		p.Cmd.Stdout = &p.Stdout
	}
	if p.Cmd.Stderr == nil {
		p.Cmd.Stderr = &p.Stderr
	}
	if err := p.Cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		p.err = p.Cmd.Wait()
		p.Stdout.close()
		p.Stderr.close()
		close(p.ended)
	}()
	return p
}

// Run starts the process if it has not been started, and waits for its end.
func (p *Process) Run() (stdout, stderr string, status int) {
	p.t.Helper()
	if p.Cmd.Process == nil {
		p.Start()
	}
	status = p.Wait()
	return p.Stdout.String(), p.Stderr.String(), status
}

// Signal sends a signal. It may be called from any goroutine, and does nothing when the process has
// ended, because its status tells more.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("testproc: signal %v: %v", sig, err)
	}
}

// Ended returns a channel that is closed when the process has ended and its output is complete.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end of the process and of its output. It returns the exit status, or the
// negative number of the signal that ended it. It may be called more than once.
func (p *Process) Wait() (status int) {
	p.t.Helper()
	<-p.ended
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Errorf("testproc: %v", p.err)
	}
	if ws, ok := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return -int(ws.Signal())
	}
	return p.Cmd.ProcessState.ExitCode()
}
