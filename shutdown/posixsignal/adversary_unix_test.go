//go:build unix

package posixsignal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

const advChildVariable = "GRACEKIT_POSIXSIGNAL_ADVERSARY_CHILD"

func advKill(sig syscall.Signal) { _ = syscall.Kill(os.Getpid(), sig) }

func advNew(opts ...shutdown.Option) *shutdown.GracefulShutdown {
	gs := shutdown.New(opts...)
	if err := gs.AddManager(posixsignal.New()); err != nil {
		panic(err)
	}
	return gs
}

func advAdd(gs *shutdown.GracefulShutdown, name string, phase shutdown.Phase, f func(context.Context) error) {
	if err := gs.AddCallback(shutdown.Callback{Name: name, Phase: phase, Func: f}); err != nil {
		panic(err)
	}
}

func advExit(err error) {
	if err != nil {
		fmt.Println(strings.SplitN(err.Error(), "\n", 2)[0])
		os.Exit(4)
	}
	os.Exit(0)
}

type advHungLog struct{ slog.Handler }

func (advHungLog) Enabled(context.Context, slog.Level) bool  { return true }
func (advHungLog) Handle(context.Context, slog.Record) error { select {} }

var advChildren = map[string]func(){
	"at once": func() { // SIGTERM directly after Start
		gs := advNew()
		advAdd(gs, "c", 1, func(context.Context) error { fmt.Println("drained"); return nil })
		if err := gs.Start(context.Background()); err != nil {
			panic(err)
		}
		advKill(syscall.SIGTERM)
		defer fmt.Println("deferred")
		if err := gs.Wait(); err != nil {
			panic(err)
		}
	},
	"hung": func() {
		gs := advNew()
		advAdd(gs, "hung", 1, func(context.Context) error { fmt.Println("hangs"); select {} })
		_ = gs.Go("ready", func(context.Context) error { fmt.Println("ready"); return nil })
		advExit(gs.Run(context.Background()))
	},
	"hung, bounded": func() {
		gs := advNew(shutdown.Grace(50*time.Millisecond), shutdown.Tail(10*time.Second))
		advAdd(gs, "hung", 1, func(context.Context) error { select {} })
		advAdd(gs, "flush", 400, func(context.Context) error { fmt.Println("flushed"); return nil })
		_ = gs.Go("ready", func(context.Context) error { fmt.Println("ready"); return nil })
		advExit(gs.Run(context.Background()))
	},
	"hung logger": func() { // the second signal forces all the same
		gs := advNew(shutdown.Logger(slog.New(advHungLog{slog.DiscardHandler})), shutdown.ErrorHandler(func(error) { select {} }))
		advAdd(gs, "hung", 1, func(context.Context) error { fmt.Println("hangs"); select {} })
		_ = gs.Go("ready", func(context.Context) error { fmt.Println("ready"); return nil })
		advExit(gs.Run(context.Background()))
	},
	"hung start hook": func() {
		gs := advNew()
		_ = gs.AddManager(advHungHook{})
		_ = gs.Go("ready", func(context.Context) error { fmt.Println("ready"); return nil })
		advExit(gs.Run(context.Background()))
	},
	"panic": func() {
		gs := advNew()
		for phase := range shutdown.Phase(3) {
			advAdd(gs, "panic", phase+1, func(context.Context) error { fmt.Println("phase", int(phase)+1); panic("boom") })
		}
		_ = gs.Go("ready", func(context.Context) error { fmt.Println("ready"); return nil })
		advExit(gs.Run(context.Background()))
	},
	"two managers": func() { // each callback once
		gs := advNew()
		_ = gs.AddManager(posixsignal.New(posixsignal.OnForce(func(os.Signal) {})), shutdown.Poll("poll", time.Hour, func(context.Context) (bool, error) { return false, nil }))
		advAdd(gs, "c", 1, func(context.Context) error { fmt.Println("once"); return nil })
		_ = gs.Go("ready", func(context.Context) error { fmt.Println("ready"); return nil })
		advExit(gs.Run(context.Background()))
	},
	"over": func() { // the default disposition is back
		gs := advNew()
		_ = gs.Go("ready", func(context.Context) error { fmt.Println("ready"); return nil })
		_ = gs.Run(context.Background())
		fmt.Println("over")
		select {}
	},
	"failed start": func() { // the same
		gs := advNew()
		broken := errors.New("broken")
		_ = gs.AddManager(advBroken{&broken})
		fmt.Println(errors.Is(gs.Start(context.Background()), broken))
		fmt.Println("over")
		select {}
	},
	"requested after start": func() {
		gs := advNew()
		advAdd(gs, "c", 1, func(ctx context.Context) error {
			sub := make(chan os.Signal, 10)
			signal.Notify(sub, syscall.SIGTERM)
			fmt.Println("ready")
			<-sub
			fmt.Println("alive")
			<-sub
			select {}
		})
		_ = gs.Start(context.Background())
		gs.Shutdown(nil)
		advExit(gs.Wait())
	},
	"nohup": func() {
		gs := advNew()
		_ = gs.Go("ready", func(context.Context) error { fmt.Println("ready", signal.Ignored(os.Interrupt)); return nil })
		err := gs.Run(context.Background())
		fmt.Println(gs.Report().Reason)
		advExit(err)
	},
	"window": func() {
		gs := shutdown.New()
		_ = gs.AddManager(posixsignal.New(posixsignal.ForceWindow(time.Hour)))
		advAdd(gs, "c", 1, func(context.Context) error {
			for range 20 {
				advKill(syscall.SIGINT)
				time.Sleep(time.Millisecond)
			}
			return nil
		})
		_ = gs.Go("ready", func(context.Context) error { advKill(syscall.SIGINT); return nil })
		advExit(gs.Run(context.Background()))
	},
}

type advHungHook struct{}

func (advHungHook) Name() string                               { return "hung" }
func (advHungHook) Start(context.Context, func(error)) error   { return nil }
func (advHungHook) ShutdownStart(context.Context, error) error { fmt.Println("hangs"); select {} }

// TestAdversaryChild is no test: it is what the children run.
func TestAdversaryChild(t *testing.T) {
	child := os.Getenv(advChildVariable)
	if child == "" {
		t.Skip("runs in the children of the other tests only")
	}
	advChildren[child]()
	os.Exit(0)
}

type advProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *bufio.Reader
	stderr strings.Builder
}

func advStart(t *testing.T, child string, shell ...string) *advProcess {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	p := &advProcess{t: t, cmd: exec.CommandContext(ctx, self, "-test.run=^TestAdversaryChild$")}
	if len(shell) > 0 {
		p.cmd = exec.CommandContext(ctx, "/bin/sh", "-c", shell[0]+` exec "$0" -test.run='^TestAdversaryChild$'`, self)
	}
	p.cmd.Env = append(os.Environ(), advChildVariable+"="+child, "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	return p
}

func (p *advProcess) expect(lines ...string) {
	p.t.Helper()
	for _, want := range lines {
		got, err := p.out.ReadString('\n')
		require.NoError(p.t, err, "the child ended before it printed %q", want)
		require.Equal(p.t, want, strings.TrimSuffix(got, "\n"))
	}
}

func (p *advProcess) signal(sig syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// end returns the exit status, or the negative number of the signal that ended the child, and what it printed last.
func (p *advProcess) end() (int, string) {
	p.t.Helper()
	rest, _ := io.ReadAll(p.out)
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return -int(status.Signal()), string(rest)
		}
		return exit.ExitCode(), string(rest)
	}
	require.NoError(p.t, err)
	return 0, string(rest)
}

func TestAdversaryProcessDirectlyAfterStart(t *testing.T) {
	for range 20 {
		status, out := advStart(t, "at once").end()
		require.Equal(t, 0, status)
		require.Equal(t, "drained\ndeferred\n", out)
	}
}

func TestAdversaryProcessSecondSignalForces(t *testing.T) {
	for _, child := range []string{"hung", "hung logger", "hung start hook"} {
		t.Run(child, func(t *testing.T) {
			p := advStart(t, child)
			p.expect("ready")
			p.signal(syscall.SIGTERM)
			p.expect("hangs")
			p.signal(syscall.SIGINT)
			status, _ := p.end()
			assert.Equal(t, 1, status)
			assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line: %q", &p.stderr)
		})
	}
}

func TestAdversaryProcessHungOrPanicking(t *testing.T) {
	p := advStart(t, "hung, bounded")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("flushed")
	status, out := p.end()
	assert.Equal(t, 4, status)
	assert.Contains(t, out, "hung")

	p = advStart(t, "panic")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("phase 1", "phase 2", "phase 3")
	status, out = p.end()
	assert.Equal(t, 4, status)
	assert.Contains(t, out, "boom")
}

func TestAdversaryProcessTwoManagers(t *testing.T) {
	p := advStart(t, "two managers")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("once")
	status, out := p.end()
	assert.Equal(t, 0, status)
	assert.Empty(t, out)
}

func TestAdversaryProcessReleased(t *testing.T) {
	p := advStart(t, "over")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("over")
	p.signal(syscall.SIGTERM)
	status, _ := p.end()
	assert.Equal(t, -int(syscall.SIGTERM), status)

	p = advStart(t, "failed start")
	p.expect("true", "over")
	p.signal(syscall.SIGINT)
	status, _ = p.end()
	assert.Equal(t, -int(syscall.SIGINT), status)
}

func TestAdversaryProcessSomebodyElseAsked(t *testing.T) {
	p := advStart(t, "requested after start")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("alive")
	p.signal(syscall.SIGTERM)
	status, _ := p.end()
	assert.Equal(t, 1, status)
}

func TestAdversaryProcessNohupAndWindow(t *testing.T) {
	p := advStart(t, "nohup", `trap "" INT;`)
	p.expect("ready true")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	status, out := p.end()
	assert.Equal(t, 0, status)
	assert.Contains(t, out, "terminated")

	status, _ = advStart(t, "window").end()
	assert.Equal(t, 0, status)
}
