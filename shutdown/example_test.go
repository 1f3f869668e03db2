package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

type database struct{}

func (database) Close() error { return nil }

// A whole service: what asks, what answers, and main's own defers, which still run.
func Example() {
	main := func() error {
		db := database{}
		srv := &http.Server{Addr: "127.0.0.1:8080"}

		gs := shutdown.New(
			shutdown.Grace(25*time.Second),
			shutdown.Delay(5*time.Second),
			shutdown.Logger(slog.Default()),
		)
		err := errors.Join(
			gs.AddManager(posixsignal.New()),
			gs.AddHTTPServer("api", srv),
			gs.AddCallback(shutdown.Closer("db", db)),
			gs.Go("http", func(context.Context) error { return srv.ListenAndServe() }),
		)
		if err != nil {
			return err
		}
		err = gs.Run(context.Background())
		fmt.Fprint(os.Stderr, gs.Report())
		return err
	}
	_ = main
}

// Callbacks run by phase; an error does not keep later ones from running.
func ExampleGracefulShutdown_AddCallback() {
	gs := shutdown.New()
	say := func(name string, phase shutdown.Phase, err error) shutdown.Callback {
		return shutdown.Callback{Name: name, Phase: phase, Func: func(context.Context) error {
			fmt.Println(name)
			return err
		}}
	}
	if err := gs.AddCallback(
		say("flush logs", shutdown.PhaseFlush, nil),
		say("drain the queue", shutdown.PhaseWork, errors.New("3 messages left")),
		say("close the database", shutdown.PhaseStore, nil),
	); err != nil {
		log.Fatal(err)
	}

	gs.Shutdown(errors.New("tired"))
	fmt.Println("error:", gs.Wait())
	// Output:
	// drain the queue
	// close the database
	// flush logs
	// error: drain the queue (work): 3 messages left
}

// A component that fails stops the service, and its error comes out of Run.
func ExampleGracefulShutdown_Go() {
	gs := shutdown.New()
	_ = gs.Go("consumer", func(context.Context) error { return errors.New("broker is gone") })
	_ = gs.Go("ticker", func(ctx context.Context) error {
		<-ctx.Done() // ends when PhaseWork begins
		fmt.Println("ticker stops because of", context.Cause(ctx))
		return nil
	})
	fmt.Println(gs.Run(context.Background()))
	// Output:
	// ticker stops because of component consumer: broker is gone
	// component consumer: broker is gone
}

// Hijacked connections are waited for by nobody but a Tracker.
func ExampleTracker() {
	gs := shutdown.New()
	var sockets shutdown.Tracker
	_ = gs.AddCallback(shutdown.Callback{Name: "websockets", Phase: shutdown.PhaseWork, Func: sockets.Wait})

	done, ok := sockets.Add()
	if !ok {
		return // shutting down: refuse
	}
	go func() {
		defer done()
		<-gs.Draining()
		fmt.Println("telling the client to come again elsewhere")
	}()

	gs.Shutdown(nil)
	fmt.Println(gs.Wait())
	// Output:
	// telling the client to come again elsewhere
	// <nil>
}

// A cloud that takes machines away says so some time before; the notice has to be fetched.
func ExamplePoll() {
	notice := func(context.Context) (bool, error) {
		_, err := os.Stat("/run/maintenance")
		return err == nil, nil
	}
	gs := shutdown.New()
	_ = gs.AddManager(shutdown.Poll("maintenance", 5*time.Second, notice))
}
