//go:build unix

package signals_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/signals"
)

// The test binary runs itself again to be the process that gets real signals: what it then does is chosen by
// the environment variable childVariable.
const childVariable = "GRACEKIT_SIGNALS_TEST_CHILD"

var children = map[string]func(){
	"handler": func() {
		stop := signals.SetupSignalHandler()
		fmt.Println("ready")
		<-stop
		fmt.Println("asked")
		select {}
	},
	"context": func() {
		ctx := signals.SetupSignalContext()
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
		var e *signals.Error
		if errors.As(context.Cause(ctx), &e) {
			os.Exit(e.ExitCode())
		}
	},
	"immediately": func() { // a signal straight after the call, before any goroutine has run
		ctx := signals.SetupSignalContext()
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
	},
	"twice": func() {
		signals.SetupSignalHandler()
		defer func() { fmt.Println(recover()) }()
		signals.SetupSignalContext()
	},
	"request": func() {
		fmt.Println("before set-up:", signals.RequestShutdown())
		ctx := signals.SetupSignalContext()
		fmt.Println("first:", signals.RequestShutdown())
		fmt.Println("second:", signals.RequestShutdown())
		<-ctx.Done()
		sig, ok := signals.FromContext(ctx)
		fmt.Println("signal:", sig, ok)
		fmt.Println("cause:", context.Cause(ctx), errors.Is(context.Cause(ctx), context.Canceled))
		fmt.Println("ready")
		select {}
	},
	"released": func() {
		_, cancel := signals.NotifyContext(context.Background())
		cancel()
		fmt.Println("ready")
		select {}
	},
	"onforce": func() {
		ctx, cancel := signals.NotifyContext(context.Background(), signals.OnForce(func(sig os.Signal) {
			fmt.Println("forced by", sig)
			os.Exit(7)
		}))
		defer cancel()
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("asked")
		select {}
	},
	"nohup": func() { // started with SIGINT ignored
		_, cancel := signals.NotifyContext(context.Background(), signals.Signals(os.Interrupt))
		defer cancel()
		stop := signals.Handle(context.Background(), func(context.Context, os.Signal) { fmt.Println("handled") }, os.Interrupt)
		defer stop()
		both, cancelBoth := signals.NotifyContext(context.Background())
		defer cancelBoth()
		fmt.Println("ready", signal.Ignored(os.Interrupt))
		<-both.Done()
		fmt.Println(context.Cause(both))
	},
}

func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		children[child]()
		return
	}
	// Whoever runs the tests in the background may have these ignored, which children inherit unless somebody takes them.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) && os.Getenv(advChildVariable) == "" {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	os.Exit(m.Run())
}

// A process is a child under test. Its standard output is read line by line.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr strings.Builder
}

// start runs a child, by way of a shell if wrap is not empty (for `trap "" INT; exec "$0"`).
func start(t *testing.T, child, wrap string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	p := &process{t: t, cmd: exec.CommandContext(ctx, self)}
	if wrap != "" {
		p.cmd = exec.CommandContext(ctx, "/bin/sh", "-c", wrap, self)
	}
	p.cmd.Env = append(os.Environ(), childVariable+"="+child, "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(stdout)
	require.NoError(t, p.cmd.Start())
	return p
}

func (p *process) line() string {
	p.t.Helper()
	require.True(p.t, p.lines.Scan(), "the child ended before it printed a line; its standard error: %s", &p.stderr)
	return p.lines.Text()
}

func (p *process) expect(lines ...string) {
	p.t.Helper()
	for _, want := range lines {
		require.Equal(p.t, want, p.line())
	}
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// wait returns the exit status, or the negative number of the signal that ended the child.
func (p *process) wait() int {
	p.t.Helper()
	for p.lines.Scan() { // Wait closes the pipe, so everything has to be read before
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return -int(status.Signal())
		}
		return exit.ExitCode()
	}
	require.NoError(p.t, err)
	return 0
}
