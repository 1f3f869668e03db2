package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/gracekit/gracekit/health"
)

// newChecks says what has to be well before requests come in. A real service asks its database
// here.
func newChecks(notes *noteStore, draining <-chan struct{}) (*health.Registry, error) {
	checks, err := health.New(
		health.Check{Name: "notes", Kind: health.Ready | health.Startup, Probe: health.Ping(notes), Period: 5 * time.Second},
	)
	if err != nil {
		return nil, err
	}
	checks.DrainOn(draining) // /readyz is 503 from the first moment of a shutdown
	return checks, nil
}

const readyWithin = 30 * time.Second

// announce waits until the server answers on both listeners, as a balancer would ask it, and only
// then says that it is up. A server that is not ready in time ends with an error, which stops the
// service.
func announce(ctx context.Context, log *slog.Logger, public, private net.Listener) error {
	waitCtx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	begin := time.Now()
	for _, listener := range []net.Listener{private, public} {
		if err := health.Wait(waitCtx, health.Listener(listener, "/readyz")); err != nil {
			if ctx.Err() != nil {
				return nil // the service stops before it was up; the report says why
			}
			return err
		}
	}
	log.Info("listening", "url", "http://"+public.Addr().String(), "admin", "http://"+private.Addr().String(),
		"ready_after", time.Since(begin).Round(100*time.Microsecond), "pid", os.Getpid(), "stop", "Ctrl-C or SIGTERM; a second one forces")
	return nil
}
