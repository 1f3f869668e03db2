// Command rollout is an experiment: it replaces the replicas of a service, one after the other,
// while clients go on calling it, and counts the requests that get lost and the time that a stop
// takes, for several ways of stopping a replica and behind several balancers.
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
	"time"

	"github.com/go-analyze/charts"

	"github.com/gracekit/gracekit/signals"
)

func main() {
	if isChild, err := runChild(); isChild {
		if err != nil {
			fmt.Fprintln(os.Stderr, "rollout, child process:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signals.NotifyContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp): // the flag package has printed it
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "rollout:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "rollout:", err)
		os.Exit(1)
	}
}

// run prints the table, or JSON, to stdout and its progress to stderr. Its error says that the
// experiment could not be made, or that gracekit has lost a request.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	progress := &lockedWriter{w: stderr} // the replicas write to it, too
	experiments, err := cfg.experiments(progress)
	if err != nil {
		return err
	}
	chart, err := createPicture("-svg", cfg.svg)
	if err != nil {
		return err
	}
	defer chart.Close()
	timeline, err := createPicture("-timeline", cfg.timeline)
	if err != nil {
		return err
	}
	defer timeline.Close()

	rows, err := runAll(ctx, cfg, experiments, progress)
	err = errors.Join(err, printRows(cfg, rows, stdout))
	if chart != nil && len(rows) > 0 {
		err = errors.Join(err, writeChart(rows, chart))
	}
	if timeline != nil && len(rows) > 0 {
		err = errors.Join(err, writeTimeline(rows, timeline))
	}
	return errors.Join(err, lost(rows))
}

// createPicture opens the file of a flag at once, so that a wrong path does not cost a long run.
func createPicture(name, path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s is %q, want a file that can be written: %w", name, path, err)}
	}
	return f, nil
}

func writeChart(rows []row, picture io.Writer) error {
	svg, err := drawChart(rows, charts.ChartOutputSVG)
	if err != nil {
		return err
	}
	_, err = picture.Write(svg)
	return err
}

// runAll returns the rows that there are, even with an error.
func runAll(ctx context.Context, cfg config, all []experiment, progress io.Writer) ([]row, error) {
	var rows []row
	for _, e := range all {
		for _, stop := range cfg.stop {
			r, err := runRow(ctx, cfg, e, stop, progress)
			if err != nil {
				return rows, fmt.Errorf("%s, %s: %w", e, stop, err)
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// runRow makes one experiment with one way of stopping: a fresh set of replicas, clients that call
// them, a quiet time, and all the replacements.
func runRow(
	ctx context.Context, cfg config, e experiment, stop string, progress io.Writer,
) (_ row, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.timeout,
		fmt.Errorf("not done within -timeout %v", cfg.timeout))
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // it says why; the error of what was interrupted does not
		}
	}()
	service, err := startService(ctx, cfg, e, stop, progress)
	if err != nil {
		return row{}, err
	}
	defer service.close()

	clients, err := startClients(ctx, cfg, e, service.balancer)
	if err != nil {
		return row{}, err
	}
	r := row{experiment: e, Stop: stop}
	if r.quiet, err = clients.measureQuiet(ctx, cfg.quiet); err == nil {
		err = service.replaceAll(ctx, cfg, clients, func(stop time.Duration) {
			r.stops = append(r.stops, stop)
			requests, failures := clients.count()
			fmt.Fprintf(progress, "%s, %s: replacement %d, %d requests, %d lost\n",
				e, r.Stop, len(r.stops), requests, failures)
		})
	}
	r.during, r.report = clients.stop(), service.report
	if err == nil && r.quiet.failures > 0 {
		err = fmt.Errorf("%d requests failed before anything was replaced: %v",
			r.quiet.failures, r.quiet.errors)
	}
	if err != nil {
		return row{}, err
	}
	r.summarize()
	return r, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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

// lost is what makes the program fail: the other ways of stopping are here to lose requests,
// gracekit is not.
func lost(rows []row) error {
	var errs []error
	for _, r := range rows {
		if r.Stop == stopGracekit && r.Failures > 0 {
			errs = append(errs, fmt.Errorf("%s: %d of %d requests were lost with gracekit",
				r.experiment, r.Failures, r.Requests))
		}
	}
	return errors.Join(errs...)
}
