package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/gracekit/gracekit/examples/grpcserver/client"
	"github.com/gracekit/gracekit/examples/grpcserver/grpchealth"
	"github.com/gracekit/gracekit/health"
)

// livez is the name of the service that liveness probes ask for.
const livez = "livez"

// newChecks says what has to be well before calls come in. A real service asks its database here:
// health.Ping(db).
func newChecks(cfg config, log *slog.Logger) (*health.Registry, error) {
	var list []health.Check
	if cfg.maintenance != "" {
		list = append(list, health.Check{Name: "maintenance", Probe: noFile(cfg.maintenance), Period: cfg.checkEvery, Failures: 1})
	}
	checks, err := health.New(list...)
	if err != nil {
		return nil, err
	}
	checks.OnChange(func(e health.Event) {
		attrs := []any{"check", e.Check, "from", e.From, "to", e.To} // no check has changed when draining begins
		if e.Err != nil {
			attrs = append(attrs, "error", e.Err)
		}
		log.Info("health changed", attrs...)
	})
	return checks, nil
}

func noFile(name string) health.Probe {
	return func(context.Context) error {
		_, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%s exists", name)
		}
		return err
	}
}

const aliveWithin = 30 * time.Second

// announce waits until the server answers, and only then says that it is up. One that is not up in
// time ends with an error, which stops the service. Whether it is ready may change at any time;
// that is in the log, too.
func announce(ctx context.Context, log *slog.Logger, listener net.Listener) error {
	probe, stop, err := probe(listener.Addr().String(), livez)
	if err != nil {
		return err
	}
	defer stop()
	waitCtx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	if err := health.Wait(waitCtx, probe); err != nil {
		if ctx.Err() != nil {
			return nil // the service stops before it was up; the report says why
		}
		return err
	}
	log.Info("listening", "addr", listener.Addr(), "pid", os.Getpid(), "stop", "Ctrl-C or SIGTERM; a second one forces")
	return nil
}

// healthcheck asks a running server once, for container images that have no shell and no
// grpc_health_probe:
//
//	HEALTHCHECK CMD ["/grpcserver", "-healthcheck", "-addr", ":50051"]
func healthcheck(addr, service string) error {
	probe, stop, err := probe(addr, service)
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return probe(ctx)
}

// probe returns a probe of a server on this machine, with a connection of its own that stop closes.
func probe(addr, service string) (_ health.Probe, stop func(), err error) {
	local, err := health.Loopback(addr)
	if err != nil {
		return nil, nil, fmt.Errorf("-addr: %w", err)
	}
	conn, err := client.DialPlain(local)
	if err != nil {
		return nil, nil, err
	}
	return grpchealth.Probe(conn, service), func() { _ = conn.Close() }, nil
}
