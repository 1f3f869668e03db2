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
	"github.com/gracekit/gracekit/signals"
)

// A program that stops at the first Ctrl-C or SIGTERM, in order and within Grace. A second one does
// not wait for that.
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

// The options are those of package signals. In a test the signals come from the test, and the
// service's context tells which one asked for the stop.
func ExampleNew() {
	source := make(chan os.Signal, 1)
	gs := shutdown.New()
	if err := gs.AddManager(posixsignal.New(signals.Source(source))); err != nil {
		fmt.Println(err)
		return
	}
	source <- os.Interrupt
	fmt.Println("error:", gs.Run(context.Background()))

	if sig, ok := signals.FromContext(gs.Context()); ok {
		fmt.Println("stopped by:", sig)
	}
	// Output:
	// error: <nil>
	// stopped by: interrupt
}

// The first Ctrl-C drains, the second cuts the drain short but still flushes, the third exits.
func ExampleSecondHurries() {
	gs := shutdown.New()
	if err := gs.AddManager(posixsignal.New(posixsignal.SecondHurries())); err != nil {
		log.Fatal(err)
	}
}
