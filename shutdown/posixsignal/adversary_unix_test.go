//go:build unix

package posixsignal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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

var adversaryChildren = map[string]func(){
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
	"hangs": func() {
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
	"broken start": func() { // the same
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
	"nohup, asked": func() {
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

func TestAdversaryProcessDirectlyAfterStart(t *testing.T) {
	for range 20 {
		out, status := start(t, "at once").wait()
		require.Equal(t, 0, status)
		require.Equal(t, "drained\ndeferred\n", out)
	}
}

func TestAdversaryProcessSecondSignalForces(t *testing.T) {
	for _, child := range []string{"hangs", "hung logger", "hung start hook"} {
		t.Run(child, func(t *testing.T) {
			p := start(t, child)
			p.expect("ready")
			p.signal(syscall.SIGTERM)
			p.expect("hangs")
			p.signal(syscall.SIGINT)
			_, status := p.wait()
			assert.Equal(t, 1, status)
			assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line: %q", &p.stderr)
		})
	}
}

func TestAdversaryProcessHungOrPanicking(t *testing.T) {
	p := start(t, "hung, bounded")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("flushed")
	out, status := p.wait()
	assert.Equal(t, 4, status)
	assert.Contains(t, out, "hung")

	p = start(t, "panic")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("phase 1", "phase 2", "phase 3")
	out, status = p.wait()
	assert.Equal(t, 4, status)
	assert.Contains(t, out, "boom")
}

func TestAdversaryProcessTwoManagers(t *testing.T) {
	p := start(t, "two managers")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("once")
	out, status := p.wait()
	assert.Equal(t, 0, status)
	assert.Empty(t, out)
}

func TestAdversaryProcessReleased(t *testing.T) {
	p := start(t, "over")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("over")
	p.signal(syscall.SIGTERM)
	_, status := p.wait()
	assert.Equal(t, -int(syscall.SIGTERM), status)

	p = start(t, "broken start")
	p.expect("true", "over")
	p.signal(syscall.SIGINT)
	_, status = p.wait()
	assert.Equal(t, -int(syscall.SIGINT), status)
}

func TestAdversaryProcessSomebodyElseAsked(t *testing.T) {
	p := start(t, "requested after start")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("alive")
	p.signal(syscall.SIGTERM)
	_, status := p.wait()
	assert.Equal(t, 1, status)
}

func TestAdversaryProcessNohupAndWindow(t *testing.T) {
	p := start(t, "nohup, asked", `trap "" INT;`)
	p.expect("ready true")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	out, status := p.wait()
	assert.Equal(t, 0, status)
	assert.Contains(t, out, "terminated")

	_, status = start(t, "window").wait()
	assert.Equal(t, 0, status)
}
