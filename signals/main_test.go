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
	if name := os.Getenv(childVariable); name != "" {
		child, ok := children[name]
		if !ok {
			child = adversaryChildren[name]
		}
		child()
		return
	}
	// Whoever runs the tests in the background may have these ignored, which children inherit unless somebody takes them.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
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

// start runs a child, after what the shell has to say if there is any (`trap "" INT;`).
func start(t *testing.T, child string, shell ...string) *process {
	t.Helper()
	p := prepare(t, child, shell...)
	p.run()
	return p
}

func prepare(t *testing.T, child string, shell ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	p := &process{t: t, cmd: exec.CommandContext(ctx, self)}
	if len(shell) > 0 {
		p.cmd = exec.CommandContext(ctx, "/bin/sh", "-c", shell[0]+` exec "$0"`, self)
	}
	p.cmd.Env = append(os.Environ(), childVariable+"="+child, "GORACE=atexit_sleep_ms=0", "GOTRACEBACK=single")
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(stdout)
	return p
}

func (p *process) run() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Start())
}

// line returns the next line, or "" if the child has ended.
func (p *process) line() string {
	p.lines.Scan()
	return p.lines.Text()
}

func (p *process) expect(lines ...string) {
	p.t.Helper()
	for _, want := range lines {
		require.True(p.t, p.lines.Scan(), "the child ended before it printed %q; its standard error: %s", want, &p.stderr)
		require.Equal(p.t, want, p.lines.Text())
	}
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// wait returns the rest of the output and the exit status, or the negative number of the signal that ended the child.
func (p *process) wait() (output string, status int) {
	p.t.Helper()
	for p.lines.Scan() { // Wait closes the pipe, so everything has to be read before
		output += p.lines.Text() + "\n"
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return output, -int(status.Signal())
		}
		return output, exit.ExitCode()
	}
	require.NoError(p.t, err)
	return output, 0
}

// fullPipe is a pipe that nobody reads and that takes nothing more.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = reader.Close() })
	raw, err := writer.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Write(func(fd uintptr) bool {
		for {
			if _, err := syscall.Write(int(fd), make([]byte, 4096)); err != nil {
				return true
			}
		}
	}))
	return reader, writer
}
