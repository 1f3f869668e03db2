// Command httpserver is a complete HTTP service on the standard library that stops without dropping a request.
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
	level := new(slog.LevelVar)
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))

	// SIGHUP is not about stopping: it switches debug messages on and off.
	stopHandling := signals.Handle(context.Background(), func(context.Context, os.Signal) {
		level.Set(map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug, slog.LevelDebug: slog.LevelInfo}[level.Level()])
		log.Warn("log level changed", "level", level)
	}, syscall.SIGHUP)
	defer stopHandling()

	// Listening comes first and by itself: if the port is in use there is nothing to undo.
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           newHandler(log),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}

	gs := shutdown.New(shutdown.Grace(cfg.grace), shutdown.Delay(cfg.delay), shutdown.Logger(log))
	err = errors.Join(
		gs.AddManager(posixsignal.New()),
		gs.AddHTTPServer("http", srv),
		// A real service closes its database here: gs.AddCallback(shutdown.Closer("db", db))
		gs.Go("serve", func(context.Context) error { return srv.Serve(listener) }),
		gs.Go("announce", func(context.Context) error {
			log.Info("listening", "url", "http://"+listener.Addr().String()+"/", "pid", os.Getpid(), "stop", "Ctrl-C or SIGTERM; a second one forces")
			return nil
		}),
	)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	err = gs.Run(context.Background())
	fmt.Fprint(stdout, gs.Report())
	return err
}
