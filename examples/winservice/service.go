package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gracekit/gracekit/shutdown"
)

// serve is the service itself, the same on every system. m asks for the stop; ready, which may be
// nil, is called when it serves.
func serve(log *slog.Logger, addr string, m shutdown.Manager, ready func()) error {
	gs := shutdown.New(shutdown.Logger(log))
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: newHandler(), ReadHeaderTimeout: 5 * time.Second}
	gs.AddManager(m)
	gs.GoHTTP("http", srv, listener)
	if err := gs.Start(context.Background()); err != nil {
		gs.Shutdown(err)
		return err
	}
	if ready != nil {
		ready()
	}
	return gs.Wait()
}

func newHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello")
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		select { // something to be in flight during a stop
		case <-time.After(3 * time.Second):
			fmt.Fprintln(w, "done")
		case <-r.Context().Done():
		}
	})
	return mux
}
