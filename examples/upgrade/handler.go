//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gracekit/gracekit/health"
)

// version is set when a new version is built: go build -ldflags "-X main.version=2".
var version = "1"

// newChecks says what has to be well before this process may replace another one.
func newChecks(store string) (*health.Registry, error) {
	return health.New(health.Check{Name: "store", Period: time.Second, Probe: func(context.Context) error {
		if store == "" {
			return nil
		}
		_, err := os.Stat(store)
		return err
	}})
}

func newHandler(checks *health.Registry) http.Handler {
	mux := http.NewServeMux()
	// There is no checks.DrainOn here: an old process that drains is no reason to take the address
	// out of a balancer.
	mux.Handle("/readyz", checks.Handler(health.Ready))
	mux.Handle("/livez", checks.Handler(health.Live))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "version %s, process %d\n", version, os.Getpid())
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Server", fmt.Sprintf("process %d", os.Getpid()))
		_, _ = w.Write(body)
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<20)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		text := r.URL.Query().Get("for")
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > 10*time.Second {
			http.Error(w, fmt.Sprintf("for=%.20q: want a duration from 0s to 10s, such as 1.5s", text), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(d):
			fmt.Fprintf(w, "version %s, process %d: that took %v\n", version, os.Getpid(), d)
		case <-r.Context().Done(): // the client is gone
		}
	})
	return mux
}
