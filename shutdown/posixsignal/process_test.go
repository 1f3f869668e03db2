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

	"github.com/stretchr/testify/assert"
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

func start(t *testing.T, child string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	p := &process{t: t, cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env = append(os.Environ(), childVariable+"="+child, "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(stdout)
	require.NoError(t, p.cmd.Start())
	return p
}

func (p *process) expect(want string) {
	p.t.Helper()
	require.True(p.t, p.lines.Scan(), "the child ended before it printed %q; its standard error: %s", want, &p.stderr)
	require.Equal(p.t, want, p.lines.Text())
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

func TestSignalStraightAfterStart(t *testing.T) {
	for range 100 {
		output, status := start(t, "immediately").wait()
		require.Zero(t, status, "exit status")
		require.Contains(t, output, "shutdown: posixsignal: received terminated (posixsignal), ")
	}
}

func TestHungCallback(t *testing.T) {
	p := start(t, "hung")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	output, status := p.wait()
	assert.Equal(t, 3, status, "exit status")
	assert.Contains(t, output, "later ran\n")
	assert.Regexp(t, `work +culprit +\|#+ *\| \S+ +timeout: culprit \(work\): shutdown: timed out after [\d.]+m?s`, output)
	assert.Contains(t, output, "the culprit's stack is kept")
}

func TestPanickingCallback(t *testing.T) {
	p := start(t, "panics")
	p.expect("ready")
	p.signal(syscall.SIGINT)
	output, status := p.wait()
	assert.Equal(t, 3, status, "exit status")
	assert.Contains(t, output, "beside ran\n")
	assert.Contains(t, output, "later ran\n")
	assert.Contains(t, output, "panic: broken (work): panic: boom\n")
}

func TestSecondSignalEndsTheProcess(t *testing.T) {
	p := start(t, "slow")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("asked")
	p.signal(syscall.SIGTERM)
	_, status := p.wait()
	assert.Equal(t, 1, status, "exit status")
	assert.Equal(t, "received terminated while shutting down: exiting at once\n", p.stderr.String())
}

// Twenty times, because a release that comes late would come late only sometimes.
func TestDefaultDispositionIsBack(t *testing.T) {
	for child, ready := range map[string]string{
		"released":     "ready",
		"failed start": "shutdown: starting manager broken: no",
	} {
		t.Run(child, func(t *testing.T) {
			for range 20 {
				p := start(t, child)
				p.expect(ready)
				p.signal(syscall.SIGTERM)
				_, status := p.wait()
				require.Equal(t, -int(syscall.SIGTERM), status, "ended by")
			}
		})
	}
}

func TestOtherSignals(t *testing.T) {
	p := start(t, "other signals")
	p.expect("ready")
	p.signal(syscall.SIGUSR1)
	output, status := p.wait()
	assert.Zero(t, status, "exit status")
	assert.Contains(t, output, "posixsignal: received user defined signal 1")

	p = start(t, "other signals")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	_, status = p.wait()
	assert.Equal(t, -int(syscall.SIGTERM), status, "SIGTERM was not asked for")
}

func TestInheritedIgnoreStays(t *testing.T) {
	p := start(t, "nohup")
	p.expect("ready")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	output, status := p.wait()
	assert.Zero(t, status, "exit status")
	assert.Contains(t, output, "posixsignal: received terminated")
}
