package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

// database stands for what a service has to close.
type database struct{}

func (database) Close() error { return nil }

// A whole service. What an Add… or Go… refuses comes out of Run.
func Example() {
	ctx, handler, db := context.Background(), http.NotFoundHandler(), database{}

	l, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	gs := shutdown.New(shutdown.Logger(slog.Default()))
	gs.AddManager(posixsignal.New())
	gs.AddCallback(shutdown.Closer("mysql", db))
	gs.GoHTTP("api", &http.Server{Handler: handler}, l)
	if err := gs.Run(ctx); err != nil { // returns when a signal has asked and the stop is complete
		log.Fatal(err)
	}
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
		fmt.Println(err)
		return
	}

	gs.Shutdown(errors.New("tired"))
	fmt.Println("error:", gs.Wait())
	// Output:
	// drain the queue
	// close the database
	// flush logs
	// error: drain the queue (work): 3 messages left
}

// A consumer of a queue takes no job after the request to stop, and finishes the one in progress.
func ExampleGracefulShutdown_Go() {
	ctx, stop := context.WithCancel(context.Background())
	gs := shutdown.New()
	jobs := make(chan func(context.Context), 1)
	jobs <- func(ctx context.Context) {
		stop() // the stop begins in the middle of the job
		<-gs.Draining()
		fmt.Println("job is done:", ctx.Err())
	}
	gs.Go("consumer", func(ctx context.Context) error {
		for {
			select {
			case <-gs.Draining():
				return nil
			case job := <-jobs:
				jobCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
				job(jobCtx)
				cancel()
			}
		}
	})
	gs.AddCallback(shutdown.Callback{Name: "database", Phase: shutdown.PhaseStore,
		Func: func(context.Context) error { fmt.Println("database is closed"); return nil }})
	fmt.Println(gs.Run(ctx))
	// Output:
	// job is done: <nil>
	// database is closed
	// <nil>
}

// A callback that hangs is given up at its deadline, and the stop goes on.
func ExampleCallbackError() {
	gs := shutdown.New()
	hang := make(chan struct{})
	defer close(hang)
	if err := gs.AddCallback(
		shutdown.Callback{Name: "flush", Phase: shutdown.PhaseFlush, Func: func(context.Context) error {
			fmt.Println("flushed")
			return nil
		}},
		shutdown.Callback{Name: "queue", Timeout: 50 * time.Millisecond, Func: func(context.Context) error {
			<-hang
			return nil
		}},
	); err != nil {
		fmt.Println(err)
		return
	}
	gs.Shutdown(nil)
	err := gs.Wait()
	if failed, ok := errors.AsType[*shutdown.CallbackError](err); ok {
		fmt.Println(failed.Name, "timed out:", errors.Is(err, shutdown.ErrTimeout))
	}
	// Output:
	// flushed
	// queue timed out: true
}

// The next process of the service has the same socket. What connects from the stop on waits for it
// in the socket's queue.
func ExampleGracefulShutdown_HoldListener() {
	l, err := net.Listen("tcp", "127.0.0.1:8080") // or systemd.Listeners
	if err != nil {
		log.Fatal(err)
	}
	gs := shutdown.New()
	held, err := gs.HoldListener(l)
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: 5 * time.Second}
	err = errors.Join(
		gs.AddManager(posixsignal.New()),
		gs.AddHTTPServer("api", srv),
		gs.Go("http", func(context.Context) error { return srv.Serve(held) }),
	)
	if err == nil {
		err = gs.Run(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}

// Hijacked connections are waited for by nobody but a Tracker. It tells them to leave one by one,
// so that the clients do not all come back in one instant.
func ExampleTracker() {
	gs := shutdown.New()
	sockets := shutdown.Tracker{Over: 5 * time.Second}
	gs.AddCallback(shutdown.Callback{
		Name: "websockets", Phase: shutdown.PhaseIngress, Func: sockets.Wait,
	})

	// In the handler, when the connection is established:
	leave, done, ok := sockets.Stream()
	if !ok {
		return // shutting down: refuse
	}
	go func() {
		defer done()
		<-leave
		fmt.Println("telling the client to come again elsewhere")
	}()

	gs.Shutdown(nil)
	fmt.Println(gs.Wait())
	// Output:
	// telling the client to come again elsewhere
	// <nil>
}

// catalog is a manager that has the service listed where others look for it, from its start to the
// beginning of its stop. It never asks for the stop itself.
type catalog struct{}

func (catalog) Name() string { return "catalog" }

func (catalog) Start(context.Context, func(reason error)) error {
	fmt.Println("listed")
	return nil
}

func (catalog) ShutdownStart(_ context.Context, reason error) error {
	fmt.Println("no longer listed:", reason)
	return nil
}

// A manager may ask for the stop, be told of it, or both.
func ExampleManager() {
	gs := shutdown.New()
	if err := gs.AddManager(catalog{}); err != nil {
		fmt.Println(err)
		return
	}
	if err := gs.AddCallback(shutdown.Closer("db", database{})); err != nil {
		fmt.Println(err)
		return
	}
	if err := gs.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	gs.Shutdown(errors.New("an update"))
	fmt.Println("error:", gs.Wait())
	// Output:
	// listed
	// no longer listed: an update
	// error: <nil>
}

// A cloud that takes machines away says so some time before; the notice has to be fetched.
func ExamplePoll() {
	notice := func(context.Context) (bool, error) {
		_, err := os.Stat("/run/maintenance")
		if errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	gs := shutdown.New()
	if err := gs.AddManager(shutdown.Poll("maintenance", 5*time.Second, notice)); err != nil {
		log.Fatal(err)
	}
}

// What took how long, and what went wrong.
func ExampleReport_String() {
	fmt.Print(shutdown.Report{ // of GracefulShutdown.Report
		Reason:  errors.New("signals: received terminated"),
		Manager: "posixsignal",
		Start:   time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Total:   1212 * time.Millisecond,
		Steps: []shutdown.Step{
			{Stage: "delay", State: shutdown.StateOK, Duration: 500 * time.Millisecond},
			{Stage: "linger", State: shutdown.StateOK, Start: 500 * time.Millisecond, Duration: 110 * time.Millisecond},
			{Name: "api", Phase: shutdown.PhaseIngress, State: shutdown.StateOK, Start: 610 * time.Millisecond, Duration: 600 * time.Millisecond},
			{Name: "mysql", Phase: shutdown.PhaseStore, State: shutdown.StateError, Start: 1210 * time.Millisecond, Duration: 2 * time.Millisecond,
				Err: &shutdown.CallbackError{Name: "mysql", Phase: shutdown.PhaseStore, Err: errors.New("connection lost")}},
		},
	})
	// Output:
	// shutdown: signals: received terminated, by posixsignal, 1.21s
	//   delay           |#################                       | 500ms   ok
	//   linger          |                 ###                    | 110ms   ok
	//   ingress  api    |                    ####################| 600ms   ok
	//   store    mysql  |                                       #| 2ms     error: connection lost
}
