package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/shutdown"
)

// serveHealth serves the health endpoints until the ticks are finished: whoever finds no liveness any more may kill the process in the middle
// of one. That is why this server is not given to AddHTTPServer, which would close it first.
func serveHealth(gs *shutdown.GracefulShutdown, registry *health.Registry, log *slog.Logger, listener net.Listener) error {
	mux := http.NewServeMux()
	for path, kind := range map[string]health.Kind{"/livez": health.Live, "/readyz": health.Ready} {
		handler := registry.Handler(kind, health.Details(true)) // operators only: the listener is on loopback
		mux.Handle(path, handler)
		mux.Handle(path+"/{name}", handler)
	}
	srv := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	err := gs.AddCallback(shutdown.Callback{
		Name: "health", Phase: shutdown.PhaseFlush,
		Func: func(context.Context) error { return srv.Close() }, // a probe that is cut loses nothing
	})
	if err != nil {
		return err
	}
	announceErr := gs.Go("announce", func(ctx context.Context) error {
		announce(ctx, log, listener)
		return nil
	})
	return errors.Join(announceErr, gs.Go("health", func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- srv.Serve(listener) }() // until srv.Close
		select {
		case err := <-served:
			return err
		case <-ctx.Done(): // it goes on serving
			return nil
		}
	}))
}

// announce says that the worker is up when its own endpoints do: a check counts as failed until it has been run. A worker that is stopped before
// is never announced.
func announce(ctx context.Context, log *slog.Logger, listener net.Listener) {
	for _, path := range []string{"/livez", "/readyz"} {
		if health.Wait(ctx, health.Listener(listener, path)) != nil {
			return
		}
	}
	log.Info("started", "pid", os.Getpid(), "health", "http://"+listener.Addr().String()+"/livez",
		"stop", "Ctrl-C or SIGTERM; a second one forces")
}
