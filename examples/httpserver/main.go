// Command httpserver is a complete HTTP service on the standard library: it says when it is really
// up, follows each request through its logs, and stops without dropping one.
//
//	go run -C examples ./httpserver
//
// Copy this directory to begin a service of your own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/signals"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp): // the flag package has printed it
	case err != nil:
		fmt.Fprintln(os.Stderr, "httpserver:", err)
		os.Exit(1)
	}
}

// run is main with an error: its defers run whatever happens, and a test can call it.
func run(args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if cfg.healthcheck {
		return healthcheck(cfg.addr)
	}

	// Every record whose context belongs to a request carries its ID and user.
	level := new(slog.LevelVar)
	log := slog.New(reqid.LogHandler(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})))

	// SIGHUP is not about stopping: it switches debug messages on and off.
	stopHandling := signals.Handle(context.Background(), func(context.Context, os.Signal) {
		if level.Level() == slog.LevelDebug {
			level.Set(slog.LevelInfo)
		} else {
			level.Set(slog.LevelDebug)
		}
		log.Warn("log level changed", "level", level)
	}, syscall.SIGHUP)
	defer stopHandling()

	gs := shutdown.New(shutdown.Grace(cfg.grace), shutdown.Delay(cfg.delay), shutdown.Linger(cfg.linger), shutdown.Logger(log))
	store := new(store)
	checks, err := newChecks(store)
	if err != nil {
		return err
	}
	checks.DrainOn(gs.Draining()) // /readyz is 503 from the first moment of a shutdown

	// Listening comes before anything runs: if the port is in use there is nothing to undo.
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           newHandler(log, store, checks, selfClient(listener)),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	// What one of these refuses comes out of Run.
	gs.AddManager(posixsignal.New())
	gs.AddCallback(shutdown.Closer("store", store))
	gs.GoHTTP("http", srv, listener)
	gs.Go("checks", checks.Run)
	gs.Go("announce", func(ctx context.Context) error { return announce(ctx, log, listener) })
	err = gs.Run(context.Background())
	fmt.Fprint(stdout, gs.Report())
	return err
}
