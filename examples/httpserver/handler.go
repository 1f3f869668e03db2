package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

func newHandler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Hello. Try /slow?for=3s, and press Ctrl-C while it runs.")
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		d, err := slowFor(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		log.DebugContext(r.Context(), "slow request begins", "for", d)
		select {
		case <-time.After(d):
			fmt.Fprintf(w, "That took %v.\n", d)
		case <-r.Context().Done(): // the client is gone
		}
	})
	return mux
}

// slowFor returns how long the client wants to wait: ?for=3s, 2 seconds by default.
func slowFor(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("for")
	if text == "" {
		return 2 * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > 10*time.Second {
		return 0, fmt.Errorf("for=%.20q: want a duration from 0s to 10s, such as 1.5s", text)
	}
	return d, nil
}
