package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/shutdown"
)

// serveHealth serves the health endpoints until the ticks are finished: a liveness probe that failed before would have the process killed
// in the middle of one. That is why this server is not given to AddHTTPServer, which would close it first.
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
	return gs.Go("health", func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- srv.Serve(listener) }() // until srv.Close
		log.Info("started", "pid", os.Getpid(), "health", "http://"+listener.Addr().String()+"/livez",
			"stop", "Ctrl-C or SIGTERM; a second one forces")
		select {
		case err := <-served:
			return err
		case <-ctx.Done(): // it goes on serving
			return nil
		}
	})
}
