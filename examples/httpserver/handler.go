package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/reqid"
)

func newHandler(log *slog.Logger, s *store, checks *health.Registry, self *http.Client) http.Handler {
	mux := http.NewServeMux()
	mountChecks(mux, checks)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "saying hello", "visit", s.visit())
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
	mux.HandleFunc("GET /relay", func(w http.ResponseWriter, r *http.Request) {
		if err := relay(r.Context(), w, self); err != nil {
			log.ErrorContext(r.Context(), "relay failed", "error", err)
			http.Error(w, "the other service does not answer", http.StatusBadGateway)
		}
	})
	// The ID outermost, so that everything inside can log it; the access log outside of the
	// authentication, whose user it sees.
	return reqid.Middleware()(accessLog(log, authenticate(mux)))
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

// selfClient calls this very server, in place of some other service: the request ID goes along to
// the hosts that are named here, and to no others.
func selfClient(listener net.Listener) *http.Client {
	addr := listener.Addr().String()
	if local, err := health.Loopback(addr); err == nil {
		addr = local
	}
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: reqid.Transport(&http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}, reqid.Hosts("self.internal")),
	}
}

func relay(ctx context.Context, w io.Writer, self *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://self.internal/", nil)
	if err != nil {
		return err
	}
	resp, err := self.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}
