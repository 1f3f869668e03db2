package signals_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gracekit/gracekit/signals"
)

// The first Ctrl-C ends the context, and the program finishes what it has begun. A second one does not wait for that.
func ExampleSetupSignalContext() {
	main := func() {
		ctx := signals.SetupSignalContext()
		for {
			select {
			case <-ctx.Done():
				fmt.Println("stopping:", context.Cause(ctx))
				return
			case <-time.After(time.Minute):
				fmt.Println("tick")
			}
		}
	}
	_ = main
}

// NotifyContext with a Source: in tests the signals come from the test.
func ExampleNotifyContext() {
	source := make(chan os.Signal, 1)
	ctx, cancel := signals.NotifyContext(context.Background(), signals.Source(source))
	defer cancel()

	source <- os.Interrupt
	<-ctx.Done()

	sig, _ := signals.FromContext(ctx)
	fmt.Println(context.Cause(ctx))
	fmt.Println(sig == os.Interrupt)
	// Output:
	// signals: received interrupt
	// true
}

// Wrappers such as npm deliver one Ctrl-C twice. Within half a second it counts once; OnForce logs before it exits.
func ExampleForceWindow() {
	ctx, cancel := signals.NotifyContext(context.Background(),
		signals.ForceWindow(500*time.Millisecond),
		signals.OnForce(func(sig os.Signal) {
			fmt.Println("giving up on a clean stop:", sig)
			os.Exit(1)
		}))
	defer cancel()
	_ = ctx
}

// The exit status tells the caller which signal ended the program, as it would if the signal had killed it.
func ExampleError_ExitCode() {
	source := make(chan os.Signal, 1)
	ctx, cancel := signals.NotifyContext(context.Background(), signals.Source(source))
	defer cancel()
	source <- os.Interrupt
	<-ctx.Done()

	if sig, ok := signals.FromContext(ctx); ok {
		err := &signals.Error{Signal: sig}
		fmt.Println(err.ExitCode())
	}
	// Output: 130
}
