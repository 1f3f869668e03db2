package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gracekit/gracekit/health"
)

func newHealthServer(registry *health.Registry, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	for path, kind := range map[string]health.Kind{"/livez": health.Live, "/readyz": health.Ready} {
		handler := registry.Handler(kind, health.Details()) // operators only: the listener is on loopback
		mux.Handle(path, handler)
		mux.Handle(path+"/{name}", handler)
	}
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// announce says that the worker is up when its own endpoints do: a check counts as failed until it
// has been run. A worker that is stopped before is never announced.
func announce(ctx context.Context, log *slog.Logger, listener net.Listener) error {
	for _, path := range []string{"/livez", "/readyz"} {
		if err := health.Wait(ctx, health.Listener(listener, path)); err != nil {
			return nil //nolint:nilerr // it stops before it was up; the report says why
		}
	}
	log.Info("started", "pid", os.Getpid(), "health", "http://"+listener.Addr().String()+"/livez",
		"stop", "Ctrl-C or SIGTERM; a second one forces")
	return nil
}
