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

// waitUntilHealthy stands for the service's own check, such as a request to itself.
func waitUntilHealthy(context.Context) error { return nil }

// A whole service, which runs under systemd with or without a socket unit, and without systemd.
func Example() {
	main := func() error {
		sockets, err := systemd.Listeners()
		if err != nil {
			return err
		}
		var l net.Listener
		if len(sockets) > 0 {
			l = sockets[0].Listener
		} else if l, err = net.Listen("tcp", "127.0.0.1:8080"); err != nil {
			return err
		}
		srv := &http.Server{Handler: http.DefaultServeMux}

		gs := shutdown.New(shutdown.Grace(25 * time.Second))
		if l, err = gs.HoldListener(l); err != nil { // what connects while this process stops waits for the next one
			return err
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
		if err != nil {
			return err
		}
		return gs.Run(context.Background())
	}
	_ = main
}

// The name says which socket is which; their order is that of the socket unit.
func ExampleListeners() {
	sockets, err := systemd.Listeners()
	if err != nil {
		log.Fatal(err)
	}
	listeners := make(map[string]net.Listener)
	for _, s := range sockets {
		listeners[s.Name] = s.Listener
	}
	fmt.Println(len(listeners))
	// Output: 0
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
	_ = gs.AddManager(systemd.New(systemd.Watchdog(check)))
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
	hup <- syscall.SIGHUP

	<-hup
	fmt.Println(reload())
	// Output: <nil>
}
