package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// shutdownScenarios make the experiment of examples/rollout, as a process of its own: its replicas
// are processes, too.
func shutdownScenarios(ctx context.Context, cfg config, progress io.Writer) ([]scenario, error) {
	names := []struct{ stop, name, module string }{
		{"kill", "SIGKILL", ""},
		{"shutdown", "http.Server.Shutdown", ""},
		{"sleep", "sleep, then http.Server.Shutdown", ""},
		{"gracekit", "gracekit shutdown", gracekit},
	}
	args := map[string][]string{
		rolloutShort: {"-replacements", "4", "-requests", "2000", "-lag", "100ms", "-delay", "400ms"},
		rolloutFull:  {},
	}[cfg.rollout]
	s := scenario{name: "keep a service up over HTTP/1 while its replicas are replaced", unit: lost, rounds: 1}
	for _, n := range names {
		c := contestant{name: n.name, module: n.module}
		switch {
		case cfg.rollout == rolloutOff:
			c.skip = "-rollout off"
		case runtime.GOOS == "windows" || runtime.GOOS == "js":
			c.skip = "it needs SIGTERM"
		}
		s.contestants = append(s.contestants, c)
	}
	selected := cfg.selected("shutdown", s)
	if cfg.list || s.contestants[0].skip != "" || len(selected) == 0 {
		return []scenario{s}, nil
	}
	var stops []string
	for _, n := range names {
		if slices.ContainsFunc(selected, func(c contestant) bool { return c.name == n.name }) {
			stops = append(stops, n.stop)
		}
	}
	args = append(args, "-stop", strings.Join(stops, ","))

	fmt.Fprintf(progress, "shutdown: rollout -json %v\n", args)
	rows, err := rollout(ctx, args, progress)
	if err != nil {
		return nil, err
	}
	for i, n := range names {
		c := &s.contestants[i]
		r := rows[n.stop]
		c.note = fmt.Sprintf("%d of %d requests, %d replacements, p99 %.1fms, stop %.2fs", r.Failures, r.Requests, r.Replacements, 1000*r.P99, r.StopMean)
		c.sample = func(context.Context) (float64, error) {
			if r.Requests == 0 {
				return 0, errors.New("rollout made no requests")
			}
			return float64(r.Failures), nil
		}
	}
	return []scenario{s}, nil
}

type rolloutRow struct {
	Stop         string
	Replacements int
	Requests     int
	Failures     int
	P99          float64 `json:"p99Seconds"`
	StopMean     float64 `json:"stopMeanSeconds"`
}

func rollout(ctx context.Context, args []string, progress io.Writer) (map[string]rolloutRow, error) {
	const module = "../.." // of the examples; go run -C starts this program in its own directory
	if _, err := os.Stat(module + "/rollout/main.go"); err != nil {
		return nil, fmt.Errorf("want to be started in examples/internal/bench, or with -rollout off: %w", err)
	}
	dir, err := os.MkdirTemp("", "gracekit-rollout-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "rollout")
	build := exec.CommandContext(ctx, "go", "build", "-C", module, "-o", program, "./rollout")
	build.Stdout, build.Stderr = progress, progress
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("building rollout: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"-json"}, args...)...) // not by go run, which would not pass an interrupt on
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, progress
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	runErr := cmd.Run() // fails, too, if gracekit has lost a request; then there are rows
	var printed struct{ Rows []rolloutRow }
	if err := json.Unmarshal(out.Bytes(), &printed); err != nil || len(printed.Rows) == 0 {
		return nil, fmt.Errorf("rollout printed no rows: %w", errors.Join(runErr, err))
	}
	rows := make(map[string]rolloutRow)
	for _, r := range printed.Rows {
		rows[r.Stop] = r
	}
	return rows, nil
}
