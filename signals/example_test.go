package signals_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/signals"
)

// work stands for what the program does: it ends when ctx does.
func work(ctx context.Context) {
	for i := 1; ctx.Err() == nil; i++ {
		fmt.Println("piece", i)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// A program that works until the first Ctrl-C or SIGTERM, finishes what it has begun, and tells by
// its exit status which signal it was. A second one does not wait for that.
func Example() {
	ctx := signals.SetupSignalContext()
	work(ctx)

	fmt.Println("stopped:", context.Cause(ctx))
	if err, ok := errors.AsType[*signals.Error](context.Cause(ctx)); ok {
		os.Exit(err.ExitCode())
	}
}

// For code that wants a channel, as Kubernetes' does.
func ExampleSetupSignalHandler() {
	stop := signals.SetupSignalHandler()
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Println("tick")
		case <-stop:
			return
		}
	}
}

// Something in the program asks it to stop, in the way that an operator would.
func ExampleRequestShutdown() {
	ctx := signals.SetupSignalContext()
	time.AfterFunc(time.Hour, func() { signals.RequestShutdown() }) // a licence that ends, say
	work(ctx)
	fmt.Println("stopped:", context.Cause(ctx))
}

// NotifyContext with a Source: in tests the signals come from the test.
func ExampleNotifyContext() {
	source := make(chan os.Signal, 1)
	ctx, cancel := signals.NotifyContext(context.Background(), signals.Source(source))
	defer cancel()

	source <- os.Interrupt
	<-ctx.Done()

	fmt.Println(context.Cause(ctx))
	if sig, ok := signals.FromContext(ctx); ok {
		fmt.Println(sig == os.Interrupt)
	}
	// Output:
	// signals: received interrupt
	// true
}

// A wrapper that takes its time to deliver one Ctrl-C twice. Within half a second that counts as
// one.
func ExampleForceWindow() {
	ctx := signals.SetupSignalContext(signals.ForceWindow(500 * time.Millisecond))
	work(ctx)
}

// A program that gets its signals from a channel can be tested without real ones.
func ExampleHandleFrom() {
	source := make(chan os.Signal) // nil outside of a test
	reloaded := make(chan os.Signal)
	reload := func(_ context.Context, sig os.Signal) { reloaded <- sig }
	stop := signals.HandleFrom(context.Background(), source, reload, os.Interrupt)
	defer stop()

	source <- os.Interrupt
	fmt.Println("reloaded by:", <-reloaded)
	// Output: reloaded by: interrupt
}

// OnForce says what a second signal does in place of the exit. Whoever replaces it has to end the
// program.
func ExampleOnForce() {
	source := make(chan os.Signal) // of the operating system, but for this example
	forced := make(chan struct{})
	ctx, cancel := signals.NotifyContext(context.Background(), signals.Source(source),
		signals.OnForce(func(sig os.Signal) {
			fmt.Println("giving up on a clean stop:", sig)
			close(forced) // os.Exit(1), after what must not be lost is written
		}))
	defer cancel()

	source <- os.Interrupt
	<-ctx.Done()
	source <- syscall.SIGTERM
	<-forced
	// Output: giving up on a clean stop: terminated
}

// The exit status tells the caller which signal ended the program, as it would if the signal had
// killed it.
func ExampleError_ExitCode() {
	source := make(chan os.Signal, 1)
	ctx, cancel := signals.NotifyContext(context.Background(), signals.Source(source))
	defer cancel()
	source <- os.Interrupt
	<-ctx.Done()

	if err, ok := errors.AsType[*signals.Error](context.Cause(ctx)); ok {
		fmt.Println(err.ExitCode())
	}
	// Output: 130
}
