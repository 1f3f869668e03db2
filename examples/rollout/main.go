// Command rollout is an experiment: it replaces the replicas of a service, one after the other, while clients go on calling it, and
// counts the requests that get lost, for several ways of stopping a replica.
//
//	go run -C examples ./rollout
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/gracekit/gracekit/signals"
)

// replicaVariable is set in the environment of the processes that this program starts: its replicas are itself.
const replicaVariable = "ROLLOUT_REPLICA"

func main() {
	if os.Getenv(replicaVariable) != "" {
		if err := runReplica(os.Args[1:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "replica:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signals.NotifyContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp): // the flag package has printed it
	case err != nil:
		fmt.Fprintln(os.Stderr, "rollout:", err)
		os.Exit(1)
	}
}

// run prints the table, or JSON, to stdout and its progress to stderr. Its error says that the experiment could not be made,
// or that gracekit has lost a request.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	progress := &lockedWriter{w: stderr} // the replicas write to it, too
	var rows []row
	for _, traffic := range cfg.traffic {
		for _, stop := range cfg.stop {
			r, err := runRow(ctx, cfg, traffic, stop, progress)
			if err != nil {
				return errors.Join(fmt.Errorf("%s, %s: %w", traffic, stop, err), printRows(cfg, rows, stdout))
			}
			rows = append(rows, r)
		}
	}
	return errors.Join(printRows(cfg, rows, stdout), lost(rows))
}

// runRow makes one experiment: a fresh set of replicas, clients that call them, and all the replacements.
func runRow(ctx context.Context, cfg config, traffic, stop string, progress io.Writer) (_ row, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.timeout, fmt.Errorf("not done within -timeout %v", cfg.timeout))
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // that says why; what it has broken off does not
		}
	}()
	service, err := startService(ctx, cfg, traffic, stop, progress)
	if err != nil {
		return row{}, err
	}
	defer service.kill()

	clients, err := startClients(ctx, cfg, traffic, service.balancer.dial)
	if err != nil {
		return row{}, err
	}
	var drains []seconds
	for n := range cfg.replacements {
		var drain seconds
		if drain, err = service.replace(ctx, n%cfg.replicas); err != nil {
			break
		}
		drains = append(drains, drain)
		requests, failures := clients.count()
		fmt.Fprintf(progress, "%-11s  %-8s  replacement %d of %d, %d requests, %d failures\n",
			traffic, stop, n+1, cfg.replacements, requests, failures)
	}
	if err == nil {
		err = clients.waitFor(ctx, cfg.requests)
	}
	result := clients.stop()
	if err != nil {
		return row{}, err
	}
	return newRow(traffic, stop, result, drains), nil
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func printRows(cfg config, rows []row, w io.Writer) error {
	if !cfg.json {
		printTable(rows, w)
		return nil
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Rows []row `json:"rows"`
	}{rows})
}

// lost is what makes the program fail: the other ways of stopping are here to lose requests, gracekit is not.
func lost(rows []row) error {
	var errs []error
	for _, r := range rows {
		if r.Stop == stopGracekit && r.Failures > 0 {
			errs = append(errs, fmt.Errorf("%s: gracekit has lost %d of %d requests", r.Traffic, r.Failures, r.Requests))
		}
	}
	return errors.Join(errs...)
}
