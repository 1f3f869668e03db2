//go:build unix

package posixsignal_test

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

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

// The test binary runs itself again to be the service that gets real signals: what kind of service is chosen by
// the environment variable childVariable.
const childVariable = "GRACEKIT_POSIXSIGNAL_TEST_CHILD"

var children = map[string]func(){
	"immediately": func() { // a signal straight after Start, before any goroutine has run
		gs := newService()
		_ = gs.Start(context.Background())
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		finish(gs.Wait(), gs)
	},
	"hung": func() {
		gs := newService(shutdown.Grace(300*time.Millisecond), shutdown.Tail(10*time.Second))
		_ = gs.AddCallback(
			shutdown.Callback{Name: "culprit", Phase: shutdown.PhaseWork, Func: hang},
			shutdown.Callback{Name: "later", Phase: shutdown.PhaseFlush, Func: func(context.Context) error { fmt.Println("later ran"); return nil }},
		)
		run(gs)
	},
	"panics": func() {
		gs := newService()
		_ = gs.AddCallback(
			shutdown.Callback{Name: "broken", Phase: shutdown.PhaseWork, Func: func(context.Context) error { panic("boom") }},
			shutdown.Callback{Name: "beside", Phase: shutdown.PhaseWork, Func: func(context.Context) error { fmt.Println("beside ran"); return nil }},
			shutdown.Callback{Name: "later", Phase: shutdown.PhaseFlush, Func: func(context.Context) error { fmt.Println("later ran"); return nil }},
		)
		run(gs)
	},
	"slow": func() {
		gs := newService(shutdown.Grace(time.Minute))
		_ = gs.AddCallback(shutdown.Callback{Name: "slow", Func: hang})
		go func() { <-gs.Draining(); fmt.Println("asked") }()
		run(gs)
	},
	"released": func() {
		gs := newService()
		go gs.Shutdown(nil)
		_ = gs.Run(context.Background())
		fmt.Println("ready")
		select {}
	},
	"other signals": func() {
		gs := shutdown.New()
		_ = gs.AddManager(posixsignal.New(posixsignal.Signals(syscall.SIGUSR1)))
		run(gs)
	},
	"nohup": func() { // signal.Ignore leaves what nohup does: a signal that is ignored
		signal.Ignore(syscall.SIGINT)
		run(newService())
	},
	"failed start": func() { // the signals are released again
		gs := newService()
		_ = gs.AddManager(broken{})
		err := gs.Start(context.Background())
		fmt.Println(err)
		select {}
	},
}

type broken struct{}

func (broken) Name() string                             { return "broken" }
func (broken) Start(context.Context, func(error)) error { return errors.New("no") }

func hang(context.Context) error { select {} }

func newService(opts ...shutdown.Option) *shutdown.GracefulShutdown {
	gs := shutdown.New(opts...)
	_ = gs.AddManager(posixsignal.New())
	return gs
}

func run(gs *shutdown.GracefulShutdown) {
	_ = gs.Start(context.Background())
	fmt.Println("ready")
	finish(gs.Wait(), gs)
}

func finish(err error, gs *shutdown.GracefulShutdown) {
	fmt.Print(gs.Report())
	if strings.Contains(string(gs.Report().Stacks), "posixsignal_test.hang(") {
		fmt.Println("the culprit's stack is kept")
	}
	if err != nil {
		os.Exit(3)
	}
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
