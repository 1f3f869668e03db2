// Command bench runs the packages of gracekit beside the libraries that people use for the same job, and prints a table for each
// package:
//
//	go run -C examples/internal/bench .
//
// What is lost is shown like what is won.
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

// run prints the tables to stdout and its progress to stderr. Tables that are complete are printed even if a later one fails.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	testing.Init() // the flags that testing.Benchmark looks at
	if err := flag.Set("test.benchtime", cfg.benchtime); err != nil {
		return fmt.Errorf("-benchtime: %w", err)
	}
	report := report{Environment: environment(cfg)}
	for _, name := range cfg.packages {
		var t table
		if t, err = measurePackage(ctx, cfg, name, stderr); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
		if len(t.Scenarios) > 0 {
			report.Tables = append(report.Tables, t)
		}
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
