//go:build !js

package systemd_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

// A whole service, which runs under systemd with or without a socket unit, and without systemd.
func Example() {
	l, err := listen()
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: 5 * time.Second}

	gs := shutdown.New(shutdown.Grace(25 * time.Second))
	if l, err = gs.HoldListener(l); err != nil { // what connects while this process stops waits for the next one
		log.Fatal(err)
	}
	err = errors.Join(
		gs.AddManager(posixsignal.New(), systemd.New()),
		gs.AddHTTPServer("api", srv),
		gs.Go("http", func(context.Context) error { return srv.Serve(l) }),
		gs.Go("ready", func(ctx context.Context) error {
			if err := waitUntilHealthy(ctx); err != nil {
				return err
			}
			return systemd.Ready()
		}),
	)
	if err == nil {
		err = gs.Run(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}

// listen returns the listener that systemd has passed, or one of its own.
func listen() (net.Listener, error) {
	sockets, err := systemd.Listeners()
	switch {
	case err != nil:
		return nil, err
	case len(sockets) == 0:
		return net.Listen("tcp", "127.0.0.1:8080")
	case len(sockets) > 1 || sockets[0].Listener == nil:
		return nil, errors.New("want one stream socket from the socket unit")
	}
	return sockets[0].Listener, nil
}

// waitUntilHealthy stands for the service's own check, such as health.Wait.
func waitUntilHealthy(context.Context) error { return nil }

// The name says which socket is which; their order is that of the socket unit.
func ExampleListeners() {
	sockets, err := systemd.Listeners()
	if err != nil {
		log.Fatal(err)
	}
	listeners := make(map[string]net.Listener)
	for _, s := range sockets {
		if s.Listener == nil {
			log.Fatalf("%s: not a stream socket", s.Name)
		}
		listeners[s.Name] = s.Listener
	}
	fmt.Println(len(listeners)) // none without systemd
	// Output: 0
}

// Connections outlive a restart: the service stores each one, and takes them over when it starts
// again. The names say which is which.
func ExampleStore() {
	sockets, files, err := systemd.Passed()
	if err != nil {
		log.Print(err) // about what is missing; the rest is there
	}
	serve := func(session string, conn net.Conn) {
		// … and when the session has ended: systemd.Unstore(session)
	}
	for _, f := range files {
		conn, err := net.FileConn(f) // a duplicate
		f.Close()
		if err != nil {
			log.Printf("%s is no connection: %v", f.Name(), err)
			continue
		}
		go serve(f.Name(), conn)
	}
	for _, s := range sockets {
		go func() {
			for n := 1; ; n++ {
				conn, err := s.Listener.Accept()
				if err != nil {
					return
				}
				session := fmt.Sprintf("%s-%d-%d", s.Name, os.Getpid(), n)
				if err := systemd.Store(session, conn.(syscall.Conn)); err != nil {
					log.Print(err) // it will not outlive the process
				}
				go serve(session, conn)
			}
		}()
	}
	fmt.Println(len(sockets), len(files)) // none without systemd
	// Output: 0 0
}

// A loop that turns regularly says so; when it has not for too long, systemd restarts the service.
func ExampleWatchdog() {
	turns := make(chan struct{}) // the loop receives from it each time it turns
	check := func(ctx context.Context) error {
		select {
		case turns <- struct{}{}:
			return nil
		case <-ctx.Done():
			return errors.New("the event loop does not turn")
		}
	}
	gs := shutdown.New()
	if err := gs.AddManager(systemd.New(systemd.Watchdog(check))); err != nil {
		log.Fatal(err)
	}
}

// Type=notify-reload: "systemctl reload" sends SIGHUP and waits until Ready.
func ExampleReloading() {
	reload := func() error {
		if err := systemd.Reloading(); err != nil {
			return err
		}
		// … read the configuration; if it is bad, say so and go on with the old one …
		return systemd.Ready()
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	hup <- syscall.SIGHUP // as systemd does

	<-hup
	fmt.Println(reload()) // without systemd there is nobody to tell
	// Output: <nil>
}

// A start that takes longer than TimeoutStartSec asks for more time as long as it makes progress.
func ExampleExtendTimeout() {
	migrations := []func() error{ /* … */ }
	for i, migrate := range migrations {
		// No migration takes as long as two minutes, so one that does hangs.
		err := errors.Join(
			systemd.ExtendTimeout(2*time.Minute),
			systemd.Status(fmt.Sprintf("migration %d of %d", i+1, len(migrations))),
			migrate(),
		)
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(systemd.Ready())
	// Output: <nil>
}
