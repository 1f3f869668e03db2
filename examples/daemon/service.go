//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/shutdown/systemd"
	"github.com/gracekit/gracekit/signals"
)

// serve is the service, in the foreground and detached. What can go wrong comes first, while
// standard error is still that of whoever started it, and in the order in which the least has to be
// undone.
func serve(cfg config, starter *starter) (err error) {
	if cfg.detach {
		syscall.Umask(int(cfg.umask))
		if err := os.Chdir(cfg.chdir); err != nil { // "/", so that no file system is kept from being unmounted
			return err
		}
	}
	s := &service{
		config: cfg,
		log:    slog.New(reqid.LogHandler(slog.NewTextHandler(os.Stderr, nil))),
		ready:  make(chan struct{}),
	}
	settings, err := readSettings(cfg.configFile)
	if err != nil {
		return err
	}
	s.settings.Store(settings)

	// SIGHUP is taken before the pid file says where to send it, and is never given back: it would
	// kill a process that is about to end.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals.Handle(ctx, s.reload, syscall.SIGHUP)

	if cfg.pidFile != "" {
		pid, err := lockPIDFile(cfg.pidFile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, pid.remove()) }()
	}
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	if cfg.detach || cfg.logFile != "" {
		if err := redirect(cmp.Or(cfg.logFile, os.DevNull)); err != nil {
			return errors.Join(fmt.Errorf("log file: %w", err), listener.Close())
		}
	}
	return s.run(listener, starter)
}

type service struct {
	config   config
	log      *slog.Logger
	settings atomic.Pointer[settings]
	ready    chan struct{} // closed when the service serves, and has said so
}

// run serves until SIGTERM. It closes the listener.
func (s *service) run(listener net.Listener, starter *starter) error {
	gs := shutdown.New(shutdown.Grace(s.config.grace), shutdown.Logger(s.log))
	checks, err := health.New()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	checks.DrainOn(gs.Draining())
	srv := &http.Server{
		Handler:           s.handler(checks),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	// What one of these refuses comes out of Run.
	gs.AddManager(posixsignal.New(), systemd.New())
	gs.GoHTTP("http", srv, listener)
	gs.Go("announce", func(ctx context.Context) error {
		return s.announce(ctx, listener, starter)
	})
	err = gs.Run(context.Background())
	fmt.Fprint(os.Stdout, gs.Report())
	return err
}

// announce says that the service is up, when it is: to the log, to systemd, or to the process that
// has started it with -detach.
func (s *service) announce(ctx context.Context, listener net.Listener, starter *starter) error {
	waitCtx, cancel := context.WithTimeout(ctx, s.config.startTimeout)
	defer cancel()
	if err := health.Wait(waitCtx, health.Listener(listener, "/readyz")); err != nil {
		if ctx.Err() != nil {
			return nil // it stops before it was up
		}
		return err
	}
	url := "http://" + listener.Addr().String() + "/"
	s.log.Info("listening", "url", url, "pid", os.Getpid())
	err := errors.Join(systemd.Ready(), starter.serves(url))
	close(s.ready) // not sooner: systemd has to get READY before the RELOADING of a reload that waits
	return err
}

// reload answers SIGHUP. It opens the log file again, for logrotate, and reads the settings again.
// If they are bad, the old ones stay: a typing error must not stop a service that runs.
//
// A SIGHUP that comes before the service serves is answered then, since systemd takes the end of a
// reload for the end of the start.
func (s *service) reload(ctx context.Context, _ os.Signal) {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return
	}
	s.tellSystemd(systemd.Reloading())
	if s.config.logFile != "" {
		if err := redirect(s.config.logFile); err != nil {
			s.log.Error("log file not opened again, the old one stays", "error", err)
		}
	}
	if settings, err := readSettings(s.config.configFile); err != nil {
		s.log.Error("settings not reloaded, the old ones stay", "error", err)
	} else {
		s.settings.Store(settings)
		s.log.Info("reloaded", "greeting", settings.Greeting)
	}
	s.tellSystemd(systemd.Ready())
}

func (s *service) tellSystemd(err error) {
	if err != nil {
		s.log.Warn("systemd was not told", "error", err)
	}
}

func (s *service) handler(checks *health.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s.log.InfoContext(r.Context(), "greeting")
		fmt.Fprintf(w, "%s, this is pid %d.\n", s.settings.Load().Greeting, os.Getpid())
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(cmp.Or(r.URL.Query().Get("for"), "2s"))
		if err != nil || d < 0 || d > 10*time.Second {
			http.Error(w, fmt.Sprintf("for=%.20q: want a duration from 0s to 10s, such as 1.5s", r.URL.Query().Get("for")), http.StatusBadRequest)
			return
		}
		s.log.InfoContext(r.Context(), "slow request begins", "for", d)
		select {
		case <-time.After(d):
			fmt.Fprintf(w, "That took %v.\n", d)
		case <-r.Context().Done(): // the client is gone
		}
	})
	handler := reqid.Middleware()(mux)

	probes := http.NewServeMux() // outside: no ID and no record for what comes every few seconds
	probes.Handle("/livez", checks.Handler(health.Live))
	probes.Handle("/readyz", checks.Handler(health.Ready))
	probes.Handle("/", handler)
	return probes
}
