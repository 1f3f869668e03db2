//go:build unix

package signals_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/signals"
)

func TestMain(m *testing.M) {
	testproc.Main(children)
	os.Exit(m.Run())
}

// raise sends a signal to this process.
func raise(sig syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		panic(err)
	}
}

// raiseSeen returns when the signal has been delivered to every channel in this process, so that
// the kernel makes no single one of it and the next.
func raiseSeen(sig syscall.Signal) {
	witness := make(chan os.Signal, 1)
	signal.Notify(witness, sig)
	raise(sig)
	<-witness
	signal.Stop(witness) // waits for deliveries in progress
}

// fullPipe is a pipe that takes nothing more.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer = pipe(t)
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

func pipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = reader.Close(); _ = writer.Close() })
	return reader, writer
}

// The modes in which the tests start their own binary again.
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
		if e, ok := errors.AsType[*signals.Error](context.Cause(ctx)); ok {
			os.Exit(e.ExitCode())
		}
	},
	"context with options": func() {
		ctx := signals.SetupSignalContext(signals.Signals(syscall.SIGUSR1, syscall.SIGUSR2),
			signals.OnForce(func(sig os.Signal) {
				fmt.Println("forced by", sig)
				os.Exit(7)
			}))
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
		select {}
	},
	"immediately": func() { // a signal straight after the call, before any goroutine has run
		ctx := signals.SetupSignalContext()
		raise(syscall.SIGTERM)
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
	},
	"twice: context, context": func() { twice(setupContext, setupContext) },
	"twice: context, handler": func() { twice(setupContext, setupHandler) },
	"twice: handler, context": func() { twice(setupHandler, setupContext) },
	"twice: handler, handler": func() { twice(setupHandler, setupHandler) },
	"many setups at once": func() {
		var succeeded, panicked atomic.Int32
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				defer func() {
					if v := recover(); v != nil {
						panicked.Add(1)
						if !strings.Contains(fmt.Sprint(v), "harness_test.go:") {
							fmt.Println("no place in:", v)
						}
					}
				}()
				signals.SetupSignalHandler()
				succeeded.Add(1)
			})
		}
		all.Wait()
		fmt.Println(succeeded.Load(), panicked.Load())
	},
	"handler after a second setup": func() {
		stop := signals.SetupSignalHandler()
		func() {
			defer func() { _ = recover() }()
			signals.SetupSignalHandler()
		}()
		fmt.Println("ready")
		<-stop
		fmt.Println("asked")
		select {}
	},

	"request": func() {
		fmt.Println("before set-up:", signals.RequestShutdown())
		ctx := signals.SetupSignalContext()
		fmt.Println("first:", signals.RequestShutdown())
		fmt.Println("second:", signals.RequestShutdown())
		<-ctx.Done()
		sig, ok := signals.FromContext(ctx)
		fmt.Println("signal:", sig, ok)
		cause := context.Cause(ctx)
		fmt.Println("cause:", cause, errors.Is(cause, context.Canceled))
		raiseSeen(syscall.SIGTERM)
		fmt.Println("alive after the first signal")
		fmt.Println("third:", signals.RequestShutdown())
		fmt.Println("ready")
		select {}
	},
	"many requests at once": func() {
		stop := signals.SetupSignalHandler()
		var first atomic.Int32
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if signals.RequestShutdown() {
					first.Add(1)
				}
			})
		}
		all.Wait()
		<-stop
		fmt.Println("first:", first.Load())
	},
	"request against a signal": func() {
		ctx := signals.SetupSignalContext()
		signalled := make(chan struct{})
		go func() { defer close(signalled); raiseSeen(syscall.SIGTERM) }()
		requested := signals.RequestShutdown()
		<-ctx.Done()
		<-signalled
		_, bySignal := signals.FromContext(ctx)
		fmt.Println("one of them was the first:", requested != bySignal)
		select {}
	},
	"request after a signal": func() {
		ctx := signals.SetupSignalContext()
		fmt.Println("ready")
		<-ctx.Done()
		for range 5 {
			fmt.Println(signals.RequestShutdown())
		}
		fmt.Println(signals.FromContext(ctx))
		os.Exit(5)
	},

	"burst": func() { // no goroutine may have run meanwhile
		_, cancel := signals.NotifyContext(context.Background(), signals.OnForce(func(os.Signal) {
			fmt.Println("forced")
			os.Exit(3)
		}))
		defer cancel()
		for range 2 {
			raise(syscall.SIGTERM)
			raise(syscall.SIGINT)
		}
		select {}
	},
	"burst after setup": func() {
		signals.SetupSignalHandler()
		raise(syscall.SIGTERM)
		raise(syscall.SIGINT)
		select {}
	},
	"busy": func() {
		runtime.GOMAXPROCS(1)
		signals.SetupSignalHandler()
		fmt.Println("ready")
		for {
			_ = fmt.Sprint(1)
		}
	},
	"late repeat": func() {
		stop := signals.SetupSignalHandler()
		fmt.Println("ready")
		<-stop
		// What a script needs from reading "stopping" to its next signal. At least 5ms is all that
		// counts, so a busy machine does no harm.
		time.Sleep(5 * time.Millisecond)
		fmt.Println("stopping")
		select {}
	},
	"repeats": func() {
		ctx, cancel := signals.NotifyContext(context.Background(), signals.ForceWindow(time.Hour))
		defer cancel()
		for range 10 {
			raiseSeen(syscall.SIGINT)
		}
		<-ctx.Done()
		fmt.Println("alive")
	},
	"waiting": func() {
		ctx := control.NewContext(context.Background(), control.Control{Waiting: func() string {
			return "waiting for api\n: 3 requests on 2 connections, 12s of 25s"
		}})
		notifyAndHang(ctx)
	},
	"waiting hangs": func() {
		ctx := control.NewContext(context.Background(), control.Control{Waiting: func() string {
			select {}
		}})
		notifyAndHang(ctx)
	},
	"OnForce": func() {
		notifyAndHang(context.Background(), signals.OnForce(func(sig os.Signal) {
			fmt.Println("forced by", sig)
			os.Exit(7)
		}))
	},
	"OnForce panics": func() {
		onForce := signals.OnForce(func(os.Signal) { panic("in OnForce") })
		notifyAndHang(context.Background(), onForce)
	},
	"closed standard error": func() {
		_ = os.Stderr.Close()
		notifyAndHang(context.Background())
	},
	"forced from a source": func() { // which takes no SIGPIPE
		source := make(chan os.Signal)
		_, cancel := signals.NotifyContext(context.Background(), signals.Source(source))
		defer cancel()
		source <- syscall.SIGTERM
		source <- syscall.SIGINT
		select {}
	},

	"released": func() {
		_, cancel := signals.NotifyContext(context.Background())
		cancel()
		fmt.Println("ready")
		select {}
	},
	"released after the first": func() {
		ctx, cancel := signals.NotifyContext(context.Background())
		raise(syscall.SIGTERM)
		<-ctx.Done()
		cancel()
		fmt.Println("ready")
		select {}
	},
	"released beside a setup": func() {
		stop := signals.SetupSignalHandler()
		onForce := signals.OnForce(func(os.Signal) {})
		ctx, cancel := signals.NotifyContext(context.Background(), onForce)
		cancel()
		cancel()
		<-ctx.Done()
		fmt.Println("ready")
		<-stop
		fmt.Println("asked")
		select {}
	},
	"parent ended": func() {
		parent, cancelParent := context.WithCancel(context.Background())
		ctx, cancel := signals.NotifyContext(parent)
		defer cancel()
		cancelParent()
		<-ctx.Done()
		raiseSeen(syscall.SIGTERM)
		fmt.Println("ready")
		select {}
	},
	"ignored SIGINT": func() {
		_, cancel := signals.NotifyContext(context.Background(), signals.Signals(os.Interrupt))
		defer cancel()
		handled := func(context.Context, os.Signal) { fmt.Println("handled") }
		stop := signals.Handle(context.Background(), handled, os.Interrupt)
		defer stop()
		both, cancelBoth := signals.NotifyContext(context.Background())
		defer cancelBoth()
		fmt.Println("ready", signal.Ignored(os.Interrupt))
		<-both.Done()
		fmt.Println(context.Cause(both))
	},
	"ignored SIGINT and SIGHUP": func() {
		sigs := []os.Signal{os.Interrupt, syscall.SIGHUP, syscall.SIGTERM}
		ignored := func() {
			for _, sig := range sigs {
				fmt.Println(sig, signal.Ignored(sig))
			}
		}
		_, cancel := signals.NotifyContext(context.Background(), signals.Signals(sigs...))
		handled := func(_ context.Context, sig os.Signal) { fmt.Println("handled", sig) }
		stop := signals.Handle(context.Background(), handled, syscall.SIGHUP)
		ignored()
		stop()
		cancel()
		ignored()
		select {}
	},

	"Handle after ctx": func() {
		ctx, cancel := context.WithCancel(context.Background())
		stop := signals.Handle(ctx, func(context.Context, os.Signal) {}, syscall.SIGHUP)
		cancel()
		raiseSeen(syscall.SIGHUP)
		fmt.Println("alive")
		stop()
		stop()
		fmt.Println("ready")
		select {}
	},
	"Handle panics": func() {
		fn := func(context.Context, os.Signal) { panic("not recovered") }
		signals.Handle(context.Background(), fn, syscall.SIGHUP)
		fmt.Println("ready")
		select {}
	},

	"drain, log on standard output": func() { drain(os.Stdout, os.Stderr) },
	"drain, log on standard error":  func() { drain(os.Stderr, os.Stdout) },
	"broken pipe, released": func() {
		_, cancel := signals.NotifyContext(context.Background())
		_, err := fmt.Println("taken")
		fmt.Fprintln(os.Stderr, errors.Is(err, syscall.EPIPE))
		cancel()
		fmt.Println("released")
		fmt.Fprintln(os.Stderr, "alive")
	},
	"broken pipe, one of two released": func() {
		_, cancel := signals.NotifyContext(context.Background())
		signals.SetupSignalHandler()
		cancel()
		_, err := fmt.Println("taken")
		fmt.Fprintln(os.Stderr, errors.Is(err, syscall.EPIPE))
	},
	"broken pipe, Handle alone": func() {
		fn := func(context.Context, os.Signal) {}
		defer signals.Handle(context.Background(), fn, syscall.SIGHUP)()
		fmt.Println("not taken")
		fmt.Fprintln(os.Stderr, "alive")
	},
	"broken pipe, Source": func() {
		source := signals.Source(make(chan os.Signal))
		_, cancel := signals.NotifyContext(context.Background(), source)
		defer cancel()
		fmt.Println("not taken")
		fmt.Fprintln(os.Stderr, "alive")
	},
	"broken pipe, ignored": func() {
		signal.Ignore(syscall.SIGPIPE)
		_, cancel := signals.NotifyContext(context.Background())
		fmt.Fprintln(os.Stderr, "ignored:", signal.Ignored(syscall.SIGPIPE))
		cancel()
		fmt.Fprintln(os.Stderr, "ignored:", signal.Ignored(syscall.SIGPIPE))
	},
	"broken pipe, children": func() {
		signals.SetupSignalHandler()
		out, err := exec.Command("/bin/sh", "-c", "kill -PIPE $$; echo alive").CombinedOutput()
		fmt.Printf("%s%v\n", out, err)
	},
}

func setupContext() { signals.SetupSignalContext() }
func setupHandler() { signals.SetupSignalHandler() }

func twice(first, second func()) {
	first()
	defer func() { fmt.Println(recover()) }()
	second()
}

// notifyAndHang says "ready", at the first signal "asked", and does not end.
func notifyAndHang(ctx context.Context, opts ...signals.Option) {
	ctx, cancel := signals.NotifyContext(ctx, opts...)
	defer cancel()
	fmt.Println("ready")
	<-ctx.Done()
	fmt.Println("asked")
	select {}
}

// drain is a service that logs while it stops. The test reads said, and decides whether log can be
// written.
func drain(log, said *os.File) {
	ctx := signals.SetupSignalContext()
	fmt.Fprintln(said, "ready")
	<-ctx.Done()
	_, err := fmt.Fprintln(log, "stopping")
	fmt.Fprintln(said, "broken:", errors.Is(err, syscall.EPIPE))
	fmt.Fprintln(said, "finished")
}
