//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The replicas are the test binary, run again.
func TestMain(m *testing.M) {
	if os.Getenv(replicaVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func rollout(t *testing.T, args ...string) row {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), append(args, "-json"), &stdout, &stderr)
	require.NoError(t, err, "%s\n%s", stderr.String(), stdout.String())
	var printed struct{ Rows []row }
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &printed))
	require.Len(t, printed.Rows, 1)
	return printed.Rows[0]
}

// All kinds of traffic at the same time: the processes mostly wait.
func TestGracekitLosesNothing(t *testing.T) {
	for _, traffic := range allTraffic {
		t.Run(traffic, func(t *testing.T) {
			t.Parallel()
			r := rollout(t, "-traffic", traffic, "-stop", "gracekit", "-replacements", "2", "-requests", "500", "-clients", "2")
			assert.Zero(t, r.Failures, r.Errors)
			assert.Equal(t, 2, r.Replacements)
			assert.GreaterOrEqual(t, r.Requests, 500)
			assert.Positive(t, r.P99)
			assert.GreaterOrEqual(t, r.DrainMax, seconds(1), "the delay was not waited for")
		})
	}
}

// An experiment that finds no failures anywhere would prove nothing.
func TestKillLosesRequests(t *testing.T) {
	for _, traffic := range allTraffic {
		t.Run(traffic, func(t *testing.T) {
			t.Parallel()
			r := rollout(t, "-traffic", traffic, "-stop", "kill", "-replacements", "3", "-requests", "500")
			assert.Positive(t, r.Failures)
			assert.NotEmpty(t, r.Errors)
		})
	}
}

func TestShutdownAloneLosesRequests(t *testing.T) {
	// With a longer lag, each worker is refused many times: no luck is needed.
	r := rollout(t, "-stop", "shutdown", "-replacements", "2", "-requests", "500", "-lag", "500ms")
	assert.Positive(t, r.Failures)
}

func TestTable(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-stop", "kill,shutdown", "-replacements", "1", "-requests", "10"}, &stdout, &stderr))
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	require.Len(t, lines, 3)
	assert.Regexp(t, `^traffic  way of stopping  replacements  requests  failures +p99 +drain \(mean\)  drain \(max\)$`, lines[0])
	assert.Regexp(t, `^http1    kill +1 +\d+ +\d+ +[\d.]+ ms +[\d.]+ s +[\d.]+ s$`, lines[1])
	assert.Regexp(t, `^http1    Shutdown +1 `, lines[2])
	assert.Contains(t, stderr.String(), "http1        kill      replacement 1 of 1, ")
}

func TestLostRequestsOfGracekitAreAnError(t *testing.T) {
	assert.NoError(t, lost([]row{{Stop: stopKill, Failures: 3}, {Stop: stopGracekit}}))
	assert.EqualError(t, lost([]row{{Traffic: trafficHTTP2, Stop: stopGracekit, Failures: 3, Requests: 100}}),
		"http2: gracekit has lost 3 of 100 requests")
}

func TestStopsEarly(t *testing.T) {
	t.Run("at the end of its context", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var stdout bytes.Buffer
		stderr := writerFunc(func(p []byte) (int, error) { // the first line of progress
			cancel(errors.New("enough"))
			return len(p), nil
		})
		err := run(ctx, []string{"-stop", "kill", "-replacements", "1000"}, &stdout, stderr)
		assert.EqualError(t, err, "http1, kill: enough")
		assert.Contains(t, stdout.String(), "traffic  way of stopping", "what there is, is printed")
	})
	t.Run("after -timeout", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), []string{"-stop", "kill", "-replacements", "1000", "-timeout", "1s"}, &stdout, &stderr)
		assert.EqualError(t, err, "http1, kill: not done within -timeout 1s")
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestFlags(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-nonsense"}, "flag provided but not defined: -nonsense (-help lists the flags)"},
		{"an argument", []string{"now"}, `unexpected argument "now" (-help lists the flags)`},
		{"unknown traffic", []string{"-traffic", "http1,http3"}, `-traffic has "http3", want some of http1,http2,grpc-unary,grpc-stream, or all`},
		{"unknown way", []string{"-stop", ""}, `-stop has "", want some of kill,shutdown,sleep,gracekit, or all`},
		{"nobody left", []string{"-replicas", "1"}, "-replicas is 1, want 2 to 100"},
		{"no replacement", []string{"-replacements", "0"}, "-replacements is 0, want 1 to 1000"},
		{"no end", []string{"-requests", "3000000"}, "-requests is 3000000, want 1 to 2000000"},
		{"negative lag", []string{"-lag", "-1s"}, "-lag is -1s, must not be negative"},
		{"negative work", []string{"-work", "-1s"}, "-work is -1s, must not be negative"},
		{"no time", []string{"-timeout", "0s"}, "-timeout is 0s, must be positive"},
		{"delay too short", []string{"-delay", "200ms"}, "-delay is 200ms, must be more than -lag 200ms: nothing can save requests that are sent to a replica that is gone"},
		{"delay too long", []string{"-delay", "25s"}, "-delay is 25s, which leaves nothing of the 25s that a replica has to stop in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			_, err := parseFlags(tt.args, &stderr)
			assert.EqualError(t, err, tt.want)
			assert.Empty(t, stderr.String())
		})
	}

	t.Run("help", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		assert.ErrorIs(t, run(t.Context(), []string{"-help"}, &stdout, &stderr), flag.ErrHelp)
		assert.Contains(t, stderr.String(), "usage: rollout [flags]\n")
		assert.Contains(t, stderr.String(), "-lag duration\n")
	})
	t.Run("defaults", func(t *testing.T) {
		cfg, err := parseFlags(nil, os.Stderr)
		require.NoError(t, err)
		assert.Equal(t, []string{trafficHTTP1}, cfg.traffic)
		assert.Equal(t, allStops, cfg.stop)
		assert.Equal(t, 20, cfg.replacements)
	})
}

func TestPercentile(t *testing.T) {
	var all []time.Duration
	assert.Zero(t, percentile(all, 99))
	for n := 200; n >= 1; n-- {
		all = append(all, time.Duration(n))
	}
	assert.EqualValues(t, 198, percentile(all, 99))
	assert.EqualValues(t, 1, percentile(all[:1], 99))
}
