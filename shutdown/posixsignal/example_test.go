package posixsignal_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

// A program that stops at the first Ctrl-C or SIGTERM, in order and within Grace. A second one does not wait for that.
func Example() {
	gs := shutdown.New(shutdown.Grace(10 * time.Second))
	err := errors.Join(
		gs.AddManager(posixsignal.New()),
		gs.Go("worker", func(ctx context.Context) error {
			<-ctx.Done() // it works until it is told to stop
			return nil
		}),
	)
	if err == nil {
		err = gs.Run(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}

// In tests the signals come from the test, and the stop tells which one asked for it.
func ExampleSource() {
	signals := make(chan os.Signal, 1)
	gs := shutdown.New()
	if err := gs.AddManager(posixsignal.New(posixsignal.Source(signals))); err != nil {
		fmt.Println(err)
		return
	}
	signals <- os.Interrupt
	fmt.Println("error:", gs.Run(context.Background()))

	if err, ok := errors.AsType[*posixsignal.Error](gs.Report().Reason); ok {
		fmt.Println("stopped by:", err.Signal)
	}
	// Output:
	// error: <nil>
	// stopped by: interrupt
}

// Wrappers such as npm deliver one Ctrl-C twice. Within half a second that counts as one.
func ExampleForceWindow() {
	gs := shutdown.New()
	if err := gs.AddManager(posixsignal.New(posixsignal.ForceWindow(500 * time.Millisecond))); err != nil {
		log.Fatal(err)
	}
}
