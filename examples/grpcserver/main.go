// Command grpcserver is a complete gRPC service, and its client: short calls and long streams, the
// standard health service, request IDs both ways, and a stop at which no call fails and every
// stream goes on elsewhere.
//
//	go run -C examples ./grpcserver
//	go run -C examples ./grpcserver client visit
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
	"os"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gracekit/gracekit/examples/grpcserver/client"
	"github.com/gracekit/gracekit/examples/grpcserver/demo"
	"github.com/gracekit/gracekit/examples/grpcserver/grpchealth"
	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "client" {
		err = client.Run(os.Args[2:], os.Stdout, os.Stderr)
	} else {
		err = run(os.Args[1:], os.Stdout, os.Stderr)
	}
	switch {
	case errors.Is(err, flag.ErrHelp): // it was printed
	case err != nil:
		fmt.Fprintln(os.Stderr, "grpcserver:", err)
		os.Exit(1)
	}
}

// run is the server: main with an error, so that its defers run whatever happens.
func run(args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if cfg.healthcheck {
		return healthcheck(cfg.addr, cfg.service)
	}
	log := slog.New(reqid.LogHandler(slog.NewTextHandler(stderr, nil))) // every record of a call carries its ID

	// Listening comes first and by itself: if the port is in use there is nothing to undo.
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	defer listener.Close() // GoGRPC has closed it already, unless something fails before
	gs := shutdown.New(shutdown.Grace(cfg.grace), shutdown.Delay(cfg.delay), shutdown.Logger(log))

	// GracefulStop waits for every call, and a stream may go on for ever. So the streams are told
	// to end, just when GracefulStop tells the clients to leave. Not as soon as gs.Draining is
	// closed: until the clients have left, a new stream would come here again. And not by
	// gs.Context: that ends when GracefulStop has returned.
	streams, endStreams := context.WithCancel(context.Background())
	defer endStreams()

	checks, err := newChecks(cfg, log)
	if err != nil {
		return err
	}
	checks.DrainOn(gs.Draining()) // NOT_SERVING from the first moment of a shutdown
	healthServer, err := grpchealth.New(checks, streams,
		grpchealth.Service{Name: demo.Demo_ServiceDesc.ServiceName},
		grpchealth.Service{Name: livez, Kind: health.Live}) // for liveness probes: draining is no reason to be killed
	if err != nil {
		return err
	}

	service := &service{log: log, name: cfg.nameOr(listener.Addr().String()), streams: streams, ignoreStop: cfg.ignoreStop}
	if cfg.next != "" {
		conn, err := client.Dial([]string{cfg.next})
		if err != nil {
			return fmt.Errorf("-next: %w", err)
		}
		service.next = demo.NewDemoClient(conn)
		gs.AddCallback(shutdown.Closer("next", conn))
	}
	srv := newServer(cfg, log)
	demo.RegisterDemoServer(srv, service)
	grpc_health_v1.RegisterHealthServer(srv, healthServer)

	// What one of these refuses comes out of Run.
	gs.AddManager(posixsignal.New())
	gs.AddCallback(shutdown.Callback{
		Name: "streams", Phase: shutdown.PhaseIngress,
		Func: func(context.Context) error { endStreams(); return nil },
	})
	// A stream that goes on in spite of that is cut while there is time left for what comes after.
	gs.GoGRPC("grpc", srv, listener, shutdown.DrainTimeout(cfg.grace/2))
	gs.Go("checks", checks.Run)
	gs.Go("announce", func(ctx context.Context) error { return announce(ctx, log, listener) })
	err = gs.Run(context.Background())
	fmt.Fprint(stdout, gs.Report())
	return err
}
