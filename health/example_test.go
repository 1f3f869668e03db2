package health_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gracekit/gracekit/health"
)

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

// A program waits for its own server. If Serve fails, its error ends the wait at once, and is in the error of Wait.
func ExampleWait_ownServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &http.Server{}
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

func ExamplePermanent() {
	login := func(context.Context) error {
		return health.Permanent(errors.New("wrong password"))
	}
	err := health.Wait(context.Background(), login)
	e, _ := errors.AsType[*health.WaitError](err)
	fmt.Println(e.Attempts, e.Cause, e.Last)
	// Output: 1 health: permanent failure wrong password
}

func ExampleOnAttempt() {
	attempts := 0
	flaky := func(context.Context) error {
		if attempts++; attempts < 3 {
			return errors.New("not yet")
		}
		return nil
	}
	err := health.Wait(context.Background(), flaky, health.OnAttempt(func(a health.Attempt) {
		fmt.Println(a.Number, a.Err)
	}))
	fmt.Println(err)
	// Output:
	// 1 not yet
	// 2 not yet
	// 3 <nil>
	// <nil>
}

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

func ExampleRegistry() {
	registry, err := health.New(
		health.Check{Name: "mysql", Probe: health.Ping(db{})},
		health.Check{Name: "mail", Probe: health.TCP("localhost:0"), Optional: true, Failures: 1},
		health.Check{Name: "migrations", Probe: func(context.Context) error { return nil }, Kind: health.Startup},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	for path, kind := range map[string]health.Kind{"/livez": health.Live, "/readyz": health.Ready, "/startupz": health.Startup} {
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

type db struct{} // stands for *sql.DB

func (db) PingContext(context.Context) error { return nil }
