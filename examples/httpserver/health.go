package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gracekit/gracekit/health"
)

// newChecks says what has to be well before requests come in. A real service asks its database
// here.
func newChecks(s *store) (*health.Registry, error) {
	return health.New(
		health.Check{Name: "store", Kind: health.Ready | health.Startup, Probe: health.Ping(s), Period: 5 * time.Second},
	)
}

// mountChecks serves the three endpoints, and each check below them: /readyz/store.
func mountChecks(mux *http.ServeMux, checks *health.Registry) {
	for path, kind := range map[string]health.Kind{"/livez": health.Live, "/readyz": health.Ready, "/startupz": health.Startup} {
		handler := checks.Handler(kind)
		mux.Handle(path, handler)
		mux.Handle(path+"/{name}", handler)
	}
}

const readyWithin = 30 * time.Second

// announce waits until the server answers its own /readyz, as a balancer would ask it, and only
// then says that it is up. A server that is not ready in time ends with an error, which stops the
// service.
func announce(ctx context.Context, log *slog.Logger, listener net.Listener) error {
	waitCtx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	begin := time.Now()
	if err := health.Wait(waitCtx, health.Listener(listener, "/readyz")); err != nil {
		if ctx.Err() != nil {
			return nil // the service stops before it was up; the report says why
		}
		return err
	}
	log.Info("listening", "url", "http://"+listener.Addr().String()+"/", "ready_after", time.Since(begin).Round(100*time.Microsecond),
		"pid", os.Getpid(), "stop", "Ctrl-C or SIGTERM; a second one forces")
	return nil
}

// healthcheck asks a running server once, for container images that have no shell and no curl:
//
//	HEALTHCHECK CMD ["/httpserver", "-healthcheck", "-addr", ":8080"]
func healthcheck(addr string) error {
	local, err := health.Loopback(addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return health.HTTP("http://" + local + "/readyz")(ctx)
}
