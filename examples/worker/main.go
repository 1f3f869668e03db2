// Command worker runs periodic jobs and stops between ticks, never in one: on SIGTERM the ticks in
// progress are finished, no new one begins, and a journal on disk holds it to that over any number
// of restarts.
//
//	go run -C examples/worker .
//
// Copy this directory to begin a worker of your own.
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
	"time"

	"github.com/gracekit/gracekit/health"
	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) { // the flag package has printed the help
		return
	}
	fmt.Fprintln(os.Stderr, "worker:", err)
	os.Exit(1)
}

// run is main with an error: its defers run whatever happens.
func run(args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if cfg.history {
		return printHistory(stdout, cfg.journal)
	}

	// Every record of a tick carries its ID, because its context does.
	log := slog.New(reqid.LogHandler(slog.NewTextHandler(stderr, nil)))

	// What can fail comes first, one after the other: there is nothing to undo yet but the step
	// before.
	journal, err := openJournal(cfg.journal)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return errors.Join(err, journal.Close())
	}

	// When a tick was given up, the journal still has to be closed, on a slow disk too. Grace and
	// Tail together are less than the 30s after which Kubernetes kills.
	gs := shutdown.New(shutdown.Grace(cfg.grace), shutdown.Tail(4*time.Second), shutdown.Logger(log))
	if err := assemble(gs, cfg, log, journal, listener); err != nil {
		return errors.Join(err, listener.Close(), journal.Close())
	}
	err = gs.Run(context.Background())

	report := gs.Report()
	if report.Stacks != nil { // something had to be given up: this is where it hangs
		fmt.Fprintf(stderr, "%s\n", report.Stacks)
	}
	fmt.Fprint(stdout, report)
	return err
}

// assemble tells gs what runs, and in which order it stops:
//
//	the signal     no tick begins any more
//	PhaseWork      ticks in progress are finished; one that Grace is too short for is given up, and named
//	PhaseStore     the journal is closed: nobody writes to it any more
//	PhaseFlush     the health endpoints, which answer until the end: whoever finds no liveness
//	               any more may kill the process in the middle of a tick
func assemble(gs *shutdown.GracefulShutdown, cfg config, log *slog.Logger, journal *journal, listener net.Listener) error {
	checks := []health.Check{
		{Name: "journal", Kind: health.Ready, Probe: health.Ping(journal.db), Period: health.OnDemand, Failures: 1},
	}
	// What one of these refuses comes out of Run.
	gs.AddManager(posixsignal.New())
	gs.AddCallback(shutdown.Closer("journal", journal))
	for _, j := range newJobs(cfg, &receiver{db: journal.db}) {
		r, err := newRunner(j, cfg.timeout, journal, log, gs.Draining())
		if err != nil {
			return err
		}
		gs.Go(j.name, r.loop)
		checks = append(checks, health.Check{Name: j.name, Kind: health.Live, Probe: r.alive, Period: health.OnDemand, Failures: 1})
	}
	registry, err := health.New(checks...)
	if err != nil {
		return err
	}
	registry.DrainOn(gs.Draining())
	gs.Go("checks", registry.Run)
	gs.GoHTTP("health", newHealthServer(registry, log), listener,
		shutdown.InPhase(shutdown.PhaseFlush), shutdown.DrainTimeout(5*time.Second))
	gs.Go("announce", func(ctx context.Context) error { return announce(ctx, log, listener) })
	return nil
}
