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

	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/signals"
)

func TestMain(m *testing.M) {
	testproc.Main(children)
	os.Exit(m.Run())
}

// The modes in which the tests start their own binary again.
var children = map[string]func(){
	"immediately": func() { // a signal straight after Start, before any goroutine has run
		gs := newService(nil)
		add(gs, "drains", shutdown.PhaseWork, say("drained"))
		must(gs.Start(context.Background()))
		raise(syscall.SIGTERM)
		finish(gs)
	},
	"stops": func() { run(newService(nil)) },
	"hung, bounded": func() {
		gs := newService(nil, shutdown.Grace(300*time.Millisecond), shutdown.Tail(10*time.Second))
		add(gs, "culprit", shutdown.PhaseWork, hang)
		add(gs, "later", shutdown.PhaseFlush, say("later ran"))
		run(gs)
	},
	"panics": func() {
		gs := newService(nil)
		broken := func(context.Context) error { panic("boom") }
		for _, phase := range []shutdown.Phase{shutdown.PhaseIngress, shutdown.PhaseWork} {
			add(gs, "broken", phase, broken)
		}
		add(gs, "beside", shutdown.PhaseWork, say("beside ran"))
		add(gs, "later", shutdown.PhaseFlush, say("later ran"))
		run(gs)
	},
	"hung": func() {
		gs := newService(nil, shutdown.Grace(time.Minute))
		add(gs, "hung", shutdown.PhaseWork, sayAndHang)
		run(gs)
	},
	"hung logger": func() {
		gs := newService(nil, shutdown.Logger(slog.New(hungLog{slog.DiscardHandler})),
			shutdown.ErrorHandler(func(error) { select {} }))
		add(gs, "hung", shutdown.PhaseWork, sayAndHang)
		must(gs.Go("ready", say("ready"))) // Start does not return before a Logger that hangs
		_ = gs.Run(context.Background())
	},
	"hung start hook": func() {
		gs := newService(nil)
		must(gs.AddManager(hungHook{}))
		run(gs)
	},
	"two managers": func() {
		gs := newService(nil)
		never := func(context.Context) (bool, error) { return false, nil }
		onForce := signals.OnForce(func(os.Signal) {})
		must(gs.AddManager(posixsignal.New(onForce), shutdown.Poll("poll", time.Hour, never)))
		add(gs, "once", shutdown.PhaseWork, say("once"))
		run(gs)
	},
	"something else asked": func() {
		gs := newService(nil)
		add(gs, "drains", shutdown.PhaseWork, func(context.Context) error {
			witness := make(chan os.Signal, 1)
			signal.Notify(witness, syscall.SIGTERM)
			fmt.Println("draining")
			<-witness
			fmt.Println("alive")
			select {}
		})
		must(gs.Start(context.Background()))
		gs.Shutdown(nil)
		finish(gs)
	},
	"released": func() {
		gs := newService(nil)
		run := func() { _ = gs.Run(context.Background()) }
		must(gs.Go("asks", func(context.Context) error { gs.Shutdown(nil); return nil }))
		run()
		fmt.Println("over")
		select {}
	},
	"released after a signal": func() {
		gs := newService(nil)
		must(gs.Start(context.Background()))
		raise(syscall.SIGTERM)
		_ = gs.Wait()
		fmt.Println("over")
		select {}
	},
	"failed start": func() {
		gs := newService(nil)
		must(gs.AddManager(broken{errors.New("no")}))
		fmt.Println("failed:", gs.Start(context.Background()) != nil)
		fmt.Println("over")
		select {}
	},
	"other signals": func() {
		run(newService([]posixsignal.Option{signals.Signals(syscall.SIGUSR1)}))
	},
	"repeats": func() {
		gs := newService([]posixsignal.Option{signals.ForceWindow(time.Hour)})
		add(gs, "drains", shutdown.PhaseWork, func(context.Context) error {
			witness := make(chan os.Signal, 1)
			signal.Notify(witness, syscall.SIGINT)
			for range 10 {
				raise(syscall.SIGINT)
				<-witness
			}
			return nil
		})
		must(gs.Start(context.Background()))
		raise(syscall.SIGINT)
		finish(gs)
	},
	"log on standard error": func() {
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		gs := newService(nil, shutdown.Logger(log))
		add(gs, "drains", shutdown.PhaseWork, func(context.Context) error {
			_, err := fmt.Fprintln(os.Stderr, "draining")
			fmt.Println("broken:", errors.Is(err, syscall.EPIPE))
			return nil
		})
		run(gs)
	},
	"report on standard output": func() {
		gs := newService(nil)
		must(gs.Start(context.Background()))
		fmt.Fprintln(os.Stderr, "ready")
		must(gs.Wait())
		_, err := fmt.Print(gs.Report())
		fmt.Fprintln(os.Stderr, "broken:", errors.Is(err, syscall.EPIPE))
	},
}

func newService(opts []posixsignal.Option, more ...shutdown.Option) *shutdown.GracefulShutdown {
	gs := shutdown.New(more...)
	must(gs.AddManager(posixsignal.New(opts...)))
	return gs
}

func add(
	gs *shutdown.GracefulShutdown, name string, phase shutdown.Phase,
	fn func(context.Context) error,
) {
	must(gs.AddCallback(shutdown.Callback{Name: name, Phase: phase, Func: fn}))
}

func say(line string) func(context.Context) error {
	return func(context.Context) error { fmt.Println(line); return nil }
}

func hang(context.Context) error { select {} }

func sayAndHang(context.Context) error { fmt.Println("hangs"); select {} }

// run says "ready" when the signals are registered.
func run(gs *shutdown.GracefulShutdown) {
	must(gs.Start(context.Background()))
	fmt.Println("ready")
	finish(gs)
}

// finish waits for the end of the stop and prints the report. The exit status is 3 if it failed.
func finish(gs *shutdown.GracefulShutdown) {
	err := gs.Wait()
	fmt.Print(gs.Report())
	if strings.Contains(string(gs.Report().Stacks), "posixsignal_test.hang") {
		fmt.Println("the culprit's stack is kept")
	}
	if err != nil {
		os.Exit(3)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func raise(sig syscall.Signal) { must(syscall.Kill(os.Getpid(), sig)) }

type hungHook struct{}

func (hungHook) Name() string                             { return "hung" }
func (hungHook) Start(context.Context, func(error)) error { return nil }
func (hungHook) ShutdownStart(ctx context.Context, _ error) error {
	return sayAndHang(ctx)
}

type hungLog struct{ slog.Handler }

func (hungLog) Enabled(context.Context, slog.Level) bool  { return true }
func (hungLog) Handle(context.Context, slog.Record) error { select {} }
