// Command ginserver is a complete HTTP service on gin: its middlewares are chosen by name in a
// config file, all its answers have one shape, its metrics and profiles are on a listener that only
// this machine reaches, and it stops without dropping a request.
//
//	go run -C examples ./ginserver
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
	"time"

	"github.com/gin-gonic/gin"
	ginjson "github.com/gin-gonic/gin/codec/json"

	"github.com/gracekit/gracekit/examples/ginserver/admin"
	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp): // the flag package has printed it
	case err != nil:
		fmt.Fprintln(os.Stderr, "ginserver:", oneLine(err))
		os.Exit(1)
	}
}

// run is main with an error.
func run(args []string, stdout, stderr io.Writer) error {
	opts, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if opts.printConfig {
		_, err = stdout.Write(defaultConfig)
		return err
	}
	cfg, err := loadConfig(opts)
	if err != nil {
		return err
	}
	gin.SetMode(gin.ReleaseMode) // gin's own mode is about what it prints itself; we have a logger
	ginjson.API = ginCodec{}
	level, err := cfg.level()
	if err != nil {
		return err
	}
	log := slog.New(reqid.LogHandler(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})))

	gs := shutdown.New(
		shutdown.Grace(cfg.Shutdown.Grace), shutdown.Delay(cfg.Shutdown.Delay),
		shutdown.Linger(cfg.Shutdown.Linger), shutdown.Logger(log),
	)
	service, err := newService(cfg, log, gs.Draining())
	if err != nil {
		return err
	}

	// Listening comes before anything runs: if a port is in use there is nothing to undo.
	public, err := net.Listen("tcp", cfg.Server.Address)
	if err != nil {
		return fmt.Errorf("server.address: %w", err)
	}
	private, err := admin.Listen(cfg.Server.AdminAddress)
	if err != nil {
		return errors.Join(fmt.Errorf("server.adminAddress: %w", err), public.Close())
	}
	assemble(gs, cfg, log, service, public, private)
	err = gs.Run(context.Background())
	fmt.Fprint(stdout, gs.Report())
	return err
}

// assemble tells gs what runs, and in which order it stops. What gs refuses comes out of its Run.
func assemble(
	gs *shutdown.GracefulShutdown, cfg config, log *slog.Logger, service *service,
	public, private net.Listener,
) {
	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	srv := &http.Server{
		Handler:           service.engine,
		ReadHeaderTimeout: 5 * time.Second,
		// The end of a context ends neither the reading of a body nor the writing of an answer.
		// These do, one after the other: when ReadTimeout is over net/http cancels the context, so
		// a request that took too long would count as a client that has gone; and whose body came
		// too slowly could not be told so any more.
		ReadTimeout:    cfg.Server.RequestTimeout + 5*time.Second,
		WriteTimeout:   cfg.Server.RequestTimeout + 10*time.Second,
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 32 << 10, // 1 MiB without it, which one request could make us log, and each connection hold
		ErrorLog:       errorLog,
	}
	gs.AddManager(posixsignal.New())
	gs.AddCallback(
		shutdown.Callback{
			Name: "background", Phase: shutdown.PhaseWork, Func: service.api.background.Wait,
		},
		shutdown.Closer("notes", service.api.notes),
	)
	gs.GoHTTP("api", srv, public)
	admin.Serve(gs, private, service.checks, service.metrics.Handler(), errorLog)
	gs.Go("checks", service.checks.Run)
	gs.Go("announce", func(ctx context.Context) error { return announce(ctx, log, public, private) })
}
