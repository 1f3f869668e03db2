// Command bench runs the packages of gracekit beside the libraries that people use for the same
// job, and prints a table for each package:
//
//	go run -C examples/internal/bench .
//
// It also draws the tables (-svg) and writes their figures into the pages of this repository
// (-write).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/gracekit/gracekit/signals"
)

func main() {
	ctx, stop := signals.NotifyContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) { // the help has been printed
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run prints the tables to stdout and its progress to stderr. Tables that are complete are printed
// even if a later one fails.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	testing.Init() // the flags that testing.Benchmark looks at
	if err := flag.Set("test.benchtime", cfg.benchtime); err != nil {
		return fmt.Errorf("-benchtime: %w", err)
	}
	documents, err := prepare(ctx, cfg)
	if err != nil {
		return err
	}
	report, err := measureTables(ctx, cfg, stderr)
	if err == nil && !cfg.list {
		err = publish(report, cfg, documents)
	}
	switch {
	case err == nil && len(report.Tables) == 0:
		return fmt.Errorf("-run %q matches nothing (-list shows the names)", cfg.run)
	case cfg.list:
		printNames(report, stdout)
		return err
	case cfg.json:
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = errors.Join(err, encoder.Encode(report))
	case cfg.markdown:
		printMarkdown(report, stdout)
	default:
		printText(report, stdout)
	}
	return errors.Join(err, report.failed())
}

// prepare finds out before the long run whether its figures can be written where they should be.
func prepare(ctx context.Context, cfg config) ([]document, error) {
	if cfg.svg != "" {
		if err := os.MkdirAll(cfg.svg, 0o755); err != nil {
			return nil, fmt.Errorf("-svg: %w", err)
		}
	}
	documents, err := readDocuments(cfg.write)
	if err != nil || len(documents) == 0 {
		return nil, err
	}
	cfg.list = true
	names, err := measureTables(ctx, cfg, io.Discard)
	if err != nil {
		return nil, err
	}
	for _, d := range documents {
		if _, err := d.fill(names); err != nil {
			return nil, err
		}
	}
	return documents, nil
}

// publish draws the pictures and fills in the documents.
func publish(r report, cfg config, documents []document) error {
	var errs []error
	if cfg.svg != "" {
		errs = append(errs, writeCharts(r, cfg.svg))
	}
	for _, d := range documents {
		text, err := d.fill(r)
		if err == nil {
			err = os.WriteFile(d.path, []byte(text), 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// measureTables returns the tables that are complete even if a later one fails.
func measureTables(ctx context.Context, cfg config, progress io.Writer) (report, error) {
	r := report{Environment: environment(cfg)}
	for _, name := range cfg.packages {
		t, err := measurePackage(ctx, cfg, name, progress)
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		if len(t.Scenarios) > 0 {
			r.Tables = append(r.Tables, t)
		}
	}
	return r, nil
}

// The packages in the order of their tables. A builder's goroutines end with ctx.
var builders = []struct {
	name, title string
	build       func(ctx context.Context, cfg config, progress io.Writer) ([]scenario, error)
}{
	{"concurrent", "a function for each of many items", concurrentScenarios},
	{"health", "notice that something is up, and say so", healthScenarios},
	{"jsonx", "JSON, engine of this build: " + jsonEngine, jsonScenarios},
	{"objectmeta", "IDs to show to the world", objectmetaScenarios},
	{"reqid", "an ID for each request", reqidScenarios},
	{"shutdown", "requests lost while replicas are replaced", shutdownScenarios},
}

func packageNames() (names []string) {
	for _, b := range builders {
		names = append(names, b.name)
	}
	return names
}

func measurePackage(ctx context.Context, cfg config, name string, progress io.Writer) (table, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, b := range builders {
		if b.name != name {
			continue
		}
		t := table{Package: b.name, Title: b.title}
		scenarios, err := b.build(ctx, cfg, progress)
		if err != nil {
			return t, err
		}
		for _, s := range scenarios {
			s.contestants = cfg.selected(name, s)
			if len(s.contestants) == 0 {
				continue
			}
			result, err := s.measure(ctx, cfg, name, progress)
			if err != nil {
				return t, err
			}
			t.Scenarios = append(t.Scenarios, result)
		}
		return t, nil
	}
	return table{}, fmt.Errorf("no such package") // parseFlags lets none through
}
