package health_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gracekit/gracekit/health"
)

// A service with health endpoints, which waits until it answers, and tells balancers before it
// stops.
func Example() {
	registry, err := health.New(health.Check{Name: "mysql", Probe: health.Ping(db{})})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/livez", registry.Handler(health.Live))
	mux.Handle("/readyz", registry.Handler(health.Ready))

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ctx, end := context.WithCancelCause(context.Background())
	go func() { end(srv.Serve(l)) }() // a server that fails ends everything
	checked := make(chan error, 1)
	go func() { checked <- registry.Run(ctx) }()

	soon, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := health.Wait(soon, health.Listener(l, "/readyz")); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the service is up")

	registry.Drain() // from now on /readyz says 503, and /livez still 200
	fmt.Println("the service is", registry.Report(health.Ready).State)
	// Package shutdown does this, and more. Not with ctx, which ends when Serve returns.
	if err := srv.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := <-checked; err != nil { // Run has returned: ctx ended with srv.Serve
		log.Fatal(err)
	}
	// Output:
	// the service is up
	// the service is draining
}

type db struct{} // stands for *sql.DB

func (db) PingContext(context.Context) error { return nil }

// Wait for a server that needs some time to come up.
func ExampleWait() {
	ready := time.Now().Add(20 * time.Millisecond)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if time.Now().Before(ready) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := health.Wait(ctx, health.HTTP(srv.URL+"/readyz")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("up")
	// Output: up
}

// A program waits for its own server. If Serve fails, its error ends the wait at once, and is in
// the error of Wait.
func ExampleWait_ownServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second}
	l.Close() // something goes wrong

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ctx, died := context.WithCancelCause(ctx)
	go func() { died(srv.Serve(l)) }()

	err = health.Wait(ctx, health.Listener(l, "/readyz"))
	fmt.Println("the server died:", errors.Is(err, net.ErrClosed))
	if e, ok := errors.AsType[*health.WaitError](err); ok {
		fmt.Println("the deadline passed:", errors.Is(e.Cause, context.DeadlineExceeded))
	}
	// Output:
	// the server died: true
	// the deadline passed: false
}

// A wrong password does not become right by waiting.
func ExamplePermanent() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	login := func(context.Context) error {
		return health.Permanent(errors.New("wrong password"))
	}
	err := health.Wait(ctx, login)
	if e, ok := errors.AsType[*health.WaitError](err); ok {
		fmt.Printf("%d attempt, %v: %v\n", e.Attempts, e.Cause, e.Last)
	}
	// Output: 1 attempt, health: permanent failure: wrong password
}

// What Wait sees, for a log or a progress line.
func ExampleOnAttempt() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	attempts := 0
	flaky := func(context.Context) error {
		if attempts++; attempts < 3 {
			return errors.New("not yet")
		}
		return nil
	}
	err := health.Wait(ctx, flaky, health.OnAttempt(func(a health.Attempt) {
		fmt.Println(a.Number, a.Err)
	}))
	fmt.Println(err)
	// Output:
	// 1 not yet
	// 2 not yet
	// 3 <nil>
	// <nil>
}

// The address of a server, as a client on the same machine needs it.
func ExampleLoopback() {
	for _, addr := range []string{":8080", "[::]:8080", "10.0.0.0:8080", ":0"} {
		fmt.Println(health.Loopback(addr))
	}
	// Output:
	// 127.0.0.1:8080 <nil>
	// 127.0.0.1:8080 <nil>
	// 10.0.0.0:8080 <nil>
	//  health: Loopback(":0"): port 0 stands for a port that the kernel chooses: use Listener, or the listener's Addr
}

// Three endpoints, the single checks below them, and what they answer.
func ExampleRegistry() {
	registry, err := health.New(
		health.Check{Name: "mysql", Probe: health.Ping(db{})},
		health.Check{Name: "mail", Probe: health.TCP("localhost:0"), Optional: true, Failures: 1},
		health.Check{Name: "migrations", Probe: func(context.Context) error { return nil },
			Kind: health.Startup},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	for path, kind := range map[string]health.Kind{"/livez": health.Live, "/readyz": health.Ready,
		"/startupz": health.Startup} {
		h := registry.Handler(kind)
		mux.Handle(path, h)
		mux.Handle(path+"/{name}", h)
	}

	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- registry.Run(ctx) }()
	<-registry.Ready()

	ask := func(target string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		fmt.Print(target, " ", w.Code, " ", w.Body)
	}
	ask("/readyz")
	registry.Drain() // or DrainOn(shutdown.Draining())
	ask("/readyz?exclude=mysql,mail")
	ask("/livez")

	cancel()
	fmt.Println(<-stopped)
	// Output:
	// /readyz 200 ok
	// /readyz?exclude=mysql,mail 503 ready: draining
	// /livez 200 ok
	// <nil>
}

// OnChange feeds logs, metrics, or a gRPC health service.
func ExampleRegistry_OnChange() {
	registry, err := health.New(health.Check{Name: "mysql", Probe: health.Ping(db{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	changed := make(chan health.Event, 8)
	registry.OnChange(func(e health.Event) { changed <- e })

	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- registry.Run(ctx) }()

	e := <-changed
	fmt.Println(e.Check, e.From, "->", e.To)
	cancel()
	<-stopped
	// Output: mysql pending -> up
}
