//go:build unix

package signals_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/signals"
)

func advKill(sig syscall.Signal) { _ = syscall.Kill(os.Getpid(), sig) }

var adversaryChildren = map[string]func(){
	"burst": func() { // nobody reads while it comes
		ctx, cancel := signals.NotifyContext(context.Background(), signals.OnForce(func(sig os.Signal) {
			fmt.Println("forced")
			os.Exit(3)
		}))
		defer cancel()
		for range 2 {
			advKill(syscall.SIGTERM)
			advKill(syscall.SIGINT)
		}
		<-ctx.Done()
		select {}
	},
	"setup then burst": func() {
		stop := signals.SetupSignalHandler()
		advKill(syscall.SIGTERM)
		advKill(syscall.SIGINT)
		<-stop
		select {}
	},
	"busy": func() { // every P is busy; the second signal must force
		runtime.GOMAXPROCS(1)
		signals.SetupSignalHandler()
		fmt.Println("ready")
		for {
			_ = fmt.Sprint(1)
		}
	},
	"request many": func() {
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
	"request against signal": func() {
		ctx := signals.SetupSignalContext()
		go advKill(syscall.SIGTERM)
		requested := signals.RequestShutdown()
		<-ctx.Done()
		_, signalled := signals.FromContext(ctx)
		fmt.Println("one:", requested != signalled)
		time.Sleep(time.Hour) // if both came, the signal is the second: it forces; if only it came first: nothing more comes
	},
	"request after signal": func() {
		ctx := signals.SetupSignalContext()
		fmt.Println("ready")
		<-ctx.Done()
		for range 5 {
			fmt.Println(signals.RequestShutdown())
		}
		sig, ok := signals.FromContext(ctx)
		fmt.Println(sig, ok)
		os.Exit(5)
	},
	"twice context": func() { advTwice(func() { signals.SetupSignalContext() }, func() { signals.SetupSignalContext() }) },
	"twice handler": func() { advTwice(func() { signals.SetupSignalHandler() }, func() { signals.SetupSignalHandler() }) },
	"twice mixed":   func() { advTwice(func() { signals.SetupSignalContext() }, func() { signals.SetupSignalHandler() }) },
	"many setups": func() {
		var ok, panicked atomic.Int32
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				defer func() {
					if v := recover(); v != nil {
						panicked.Add(1)
						if !strings.Contains(fmt.Sprint(v), "adversary_unix_test.go:") {
							fmt.Println("no place in:", v)
						}
					}
				}()
				signals.SetupSignalHandler()
				ok.Add(1)
			})
		}
		all.Wait()
		fmt.Println(ok.Load(), panicked.Load())
	},
	"still works after the panic": func() {
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
	"setup beside notify": func() { // the release of one does not take from the other
		stop := signals.SetupSignalHandler()
		ctx, cancel := signals.NotifyContext(context.Background(), signals.OnForce(func(os.Signal) {}))
		cancel()
		cancel()
		<-ctx.Done()
		fmt.Println("ready")
		<-stop
		fmt.Println("asked")
		select {}
	},
	"released after the first": func() {
		ctx, cancel := signals.NotifyContext(context.Background())
		advKill(syscall.SIGTERM)
		<-ctx.Done()
		cancel()
		fmt.Println("ready")
		select {}
	},
	"parent ended": func() {
		parent, cancelParent := context.WithCancel(context.Background())
		ctx, cancel := signals.NotifyContext(parent)
		defer cancel()
		cancelParent()
		<-ctx.Done()
		witness := make(chan os.Signal, 1)
		signal.Notify(witness, syscall.SIGTERM)
		advKill(syscall.SIGTERM) // asks only
		<-witness                // or the kernel makes one of this and the next
		fmt.Println("ready")
		select {}
	},
	"nohup term": func() { // SIGINT and SIGHUP ignored by the parent
		_, cancel := signals.NotifyContext(context.Background(), signals.Signals(os.Interrupt, syscall.SIGHUP, syscall.SIGTERM))
		stop := signals.Handle(context.Background(), func(_ context.Context, sig os.Signal) { fmt.Println("handled", sig) }, syscall.SIGHUP)
		fmt.Println(signal.Ignored(os.Interrupt), signal.Ignored(syscall.SIGHUP), signal.Ignored(syscall.SIGTERM))
		stop()
		cancel()
		fmt.Println(signal.Ignored(os.Interrupt), signal.Ignored(syscall.SIGHUP), signal.Ignored(syscall.SIGTERM))
		select {}
	},
	"handle": func() {
		ctx, cancel := context.WithCancel(context.Background())
		stop := signals.Handle(ctx, func(context.Context, os.Signal) {}, syscall.SIGHUP)
		cancel()
		witness := make(chan os.Signal, 1)
		signal.Notify(witness, syscall.SIGHUP)
		advKill(syscall.SIGHUP) // after ctx: without effect, it does not kill
		<-witness
		signal.Stop(witness)
		fmt.Println("alive")
		stop()
		stop()
		fmt.Println("ready")
		select {}
	},
	"handle panics": func() {
		signals.Handle(context.Background(), func(context.Context, os.Signal) { panic("not recovered") }, syscall.SIGHUP)
		fmt.Println("ready")
		select {}
	},
	"onforce panics": func() {
		_, cancel := signals.NotifyContext(context.Background(), signals.OnForce(func(os.Signal) { panic("in OnForce") }))
		defer cancel()
		fmt.Println("ready")
		select {}
	},
	"stderr closed": func() { // the line cannot be written: the exit has to come all the same
		_ = os.Stderr.Close()
		stop := signals.SetupSignalHandler()
		fmt.Println("ready")
		<-stop
		fmt.Println("asked")
		select {}
	},
	"force window": func() {
		ctx, cancel := signals.NotifyContext(context.Background(), signals.ForceWindow(time.Hour))
		defer cancel()
		for range 10 {
			advKill(syscall.SIGINT)
			time.Sleep(time.Millisecond)
		}
		<-ctx.Done()
		fmt.Println("alive")
	},
}

func advTwice(first, second func()) {
	first()
	defer func() { fmt.Println(recover()) }()
	second()
}

func TestAdversaryProcessBurst(t *testing.T) {
	for range 10 {
		out, status := start(t, "burst").wait()
		require.Equal(t, 3, status, out)
		p := start(t, "setup then burst")
		_, status = p.wait()
		require.Equal(t, 1, status, &p.stderr)
		require.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line: %q", &p.stderr)
	}
}

func TestAdversaryProcessForcesWhileBusy(t *testing.T) {
	p := start(t, "busy")
	p.expect("ready")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	_, status := p.wait()
	assert.Equal(t, 1, status)
}

func TestAdversaryProcessRequestShutdown(t *testing.T) {
	t.Run("a thousand at once", func(t *testing.T) {
		p := start(t, "request many")
		p.expect("first: 1")
		_, status := p.wait()
		assert.Equal(t, 0, status, "it never forces: %s", &p.stderr)
	})
	t.Run("against a signal", func(t *testing.T) {
		for range 20 {
			p := start(t, "request against signal")
			if line := p.line(); line != "" { // else the signal was the second, and has forced
				require.Equal(t, "one: true", line)
				_ = p.cmd.Process.Signal(syscall.SIGTERM)
			}
			_, status := p.wait()
			require.Equal(t, 1, status)
		}
	})
	t.Run("after a signal", func(t *testing.T) {
		p := start(t, "request after signal")
		p.expect("ready")
		p.signal(syscall.SIGINT)
		p.expect("false", "false", "false", "false", "false", "interrupt true")
		_, status := p.wait()
		assert.Equal(t, 5, status)
	})
}

func TestAdversaryProcessSecondSetup(t *testing.T) {
	for _, child := range []string{"twice context", "twice handler", "twice mixed"} {
		out, status := start(t, child).wait()
		assert.Equal(t, 0, status)
		assert.Regexp(t, `^signals: .*/adversary_unix_test\.go:\d+`, out, child)
	}
	p := start(t, "many setups")
	p.expect("1 99")
	_, _ = p.wait()
	p = start(t, "still works after the panic")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("asked")
	p.signal(syscall.SIGTERM)
	_, status := p.wait()
	assert.Equal(t, 1, status)
}

func TestAdversaryProcessRelease(t *testing.T) {
	p := start(t, "setup beside notify")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("asked")
	p.signal(syscall.SIGINT)
	_, status := p.wait()
	assert.Equal(t, 1, status)

	p = start(t, "released after the first")
	p.expect("ready")
	p.signal(syscall.SIGINT)
	_, status = p.wait()
	assert.Equal(t, -int(syscall.SIGINT), status, "the default disposition is not back")

	p = start(t, "parent ended")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	_, status = p.wait()
	assert.Equal(t, 1, status)
}

func TestAdversaryProcessNohup(t *testing.T) {
	p := start(t, "nohup term", `trap "" INT HUP;`)
	p.expect("true true false", "true true false")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGHUP)
	p.signal(syscall.SIGTERM)
	rest, status := p.wait()
	assert.Equal(t, -int(syscall.SIGTERM), status)
	assert.Empty(t, rest)
}

func TestAdversaryProcessHandle(t *testing.T) {
	p := start(t, "handle")
	p.expect("alive", "ready")
	p.signal(syscall.SIGHUP)
	_, status := p.wait()
	assert.Equal(t, -int(syscall.SIGHUP), status, "the default disposition is not back")

	p = start(t, "handle panics")
	p.expect("ready")
	p.signal(syscall.SIGHUP)
	_, status = p.wait()
	assert.Equal(t, 2, status, "a panic is recovered")
	assert.Contains(t, p.stderr.String(), "not recovered")
}

func TestAdversaryProcessForceDetails(t *testing.T) {
	p := start(t, "onforce panics")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGINT)
	_, status := p.wait()
	assert.Equal(t, 2, status)
	assert.Contains(t, p.stderr.String(), "in OnForce")

	p = start(t, "stderr closed")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("asked")
	p.signal(syscall.SIGTERM)
	_, status = p.wait()
	assert.Equal(t, 1, status)

	p = start(t, "force window")
	p.expect("alive")
	_, status = p.wait()
	assert.Equal(t, 0, status)
}

func TestAdversaryHandleInProcess(t *testing.T) {
	t.Run("coalesces, loses none of the kinds", func(t *testing.T) {
		var inside atomic.Int32
		var mu sync.Mutex
		seen := map[os.Signal]int{}
		entered, goOn := make(chan struct{}, 100), make(chan struct{})
		stop := signals.Handle(t.Context(), func(ctx context.Context, sig os.Signal) {
			assert.EqualValues(t, 1, inside.Add(1))
			mu.Lock()
			seen[sig]++
			mu.Unlock()
			entered <- struct{}{}
			<-goOn
			inside.Add(-1)
		}, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
		defer stop()
		witness := make(chan os.Signal, 1000)
		signal.Notify(witness, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
		defer signal.Stop(witness)
		send := func(sig syscall.Signal) {
			advKill(sig)
			require.Equal(t, os.Signal(sig), <-witness) // so the kernel does not merge two
		}
		send(syscall.SIGUSR1)
		<-entered
		for range 50 {
			send(syscall.SIGUSR1)
			send(syscall.SIGUSR2)
		}
		send(syscall.SIGHUP)
		close(goOn)
		for range 3 {
			<-entered
		}
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, map[os.Signal]int{syscall.SIGUSR1: 2, syscall.SIGUSR2: 1, syscall.SIGHUP: 1}, seen)
	})
	t.Run("stop inside fn, and the context ends", func(t *testing.T) {
		done := make(chan error)
		var stop func()
		ready := make(chan struct{})
		stop = signals.Handle(t.Context(), func(ctx context.Context, sig os.Signal) {
			<-ready
			stop()
			<-ctx.Done()
			done <- ctx.Err()
		}, syscall.SIGUSR1)
		close(ready)
		keep := make(chan os.Signal, 1)
		signal.Notify(keep, syscall.SIGUSR1)
		defer signal.Stop(keep)
		advKill(syscall.SIGUSR1)
		assert.ErrorIs(t, <-done, context.Canceled)
	})
	t.Run("panics", func(t *testing.T) {
		for _, sig := range []os.Signal{syscall.SIGKILL, nil} {
			assert.Panics(t, func() { signals.Handle(t.Context(), func(context.Context, os.Signal) {}, sig)() }, "%v", sig)
			assert.Panics(t, func() { signals.Signals(sig) }, "%v", sig)
		}
	})
	t.Run("no goroutine is left", func(t *testing.T) {
		before := runtime.NumGoroutine()
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			stop := signals.Handle(ctx, func(context.Context, os.Signal) {}, syscall.SIGUSR1)
			_, release := signals.NotifyContext(ctx, signals.Signals(syscall.SIGUSR2))
			cancel()
			stop()
			release()
		}
		for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+2; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
			}
		}
	})
}
