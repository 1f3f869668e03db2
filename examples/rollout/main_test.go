//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

// Replicas and minders are the test binary, run again.
func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"rollout": main})
	if isChild, err := runChild(); isChild {
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The race detector waits for a second at the exit by default, which is not the replicas' time.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	_ = flag.Set("test.parallel", "4") // the processes mostly wait; -parallel goes before it
	os.Exit(m.Run())
}

// short returns the flags of a run of about a second, and more flags.
func short(more ...string) []string {
	return append([]string{
		"-replacements", "2", "-requests", "1", "-lag", "100ms", "-delay", "400ms",
		"-quiet", "100ms", "-clients", "2", "-parallel", "2", "-rate", "200", "-work", "5ms",
	}, more...)
}

// rollout returns no row if the experiment could not be made.
func rollout(t *testing.T, args ...string) (row, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), short(append(args, "-json", "-require")...), &stdout, &stderr)
	var printed struct{ Rows []row }
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &printed))
	if len(printed.Rows) == 0 {
		require.Error(t, err)
		return row{}, err
	}
	require.Len(t, printed.Rows, 1)
	return printed.Rows[0], err
}

// rolloutInTime is rollout on a machine that keeps up with the load. Where a request takes fifty
// times as long as its work, others take longer than a stop can wait.
func rolloutInTime(t *testing.T, good func(row) bool, args ...string) row {
	t.Helper()
	const most = seconds(0.25)
	for try := 1; ; try++ {
		r, err := rollout(t, args...)
		if r.Requests > 0 { // or there is no row
			if good(r) {
				return r
			}
			require.Greater(t, r.Slowest, most, "the machine has kept up, but %v: %+v", err, r)
		}
		require.Less(t, try, 3, "%v: %+v", err, r)
	}
}

// Many at the same time: the processes mostly wait.
func TestGracekitLosesNothing(t *testing.T) {
	tests := [][]string{
		{"-traffic", trafficHTTP1},
		{"-traffic", trafficHTTP1New},
		{"-traffic", trafficHTTP10},
		{"-traffic", trafficHTTP2},
		{"-traffic", trafficHTTP2Shared},
		{"-traffic", trafficHTTP3Again},
		{"-traffic", trafficUnary},
		{"-traffic", trafficStream},
		{"-traffic", trafficHTTP1New, "-load", loadOpen}, // see README for idle connections
		{"-traffic", trafficHTTP2Shared, "-load", loadOpen},
		{"-traffic", trafficHTTP1, "-mode", modeSamePort},
		{"-via", viaUnaware, "-traffic", trafficHTTP1New},
		{"-via", viaUnaware, "-traffic", trafficHTTP1New, "-load", loadOpen, "-mode", modeSamePort},
		{"-via", viaHAProxy, "-traffic", trafficHTTP1},
		{"-via", viaHAProxy, "-traffic", trafficHTTP2},
		{"-via", viaHAProxy, "-traffic", trafficHTTP1, "-mode", modeSamePort},
		{"-via", viaNginx, "-traffic", trafficHTTP1New},
		{"-via", viaNginx, "-traffic", trafficHTTP1New, "-mode", modeSamePort},
		{"-via", viaNginxReload, "-traffic", trafficHTTP1New},
		{"-via", viaNginxReload, "-traffic", trafficHTTP1New, "-mode", modeSamePort},
		{"-via", viaCaddy, "-traffic", trafficHTTP1},
		{"-via", viaCaddy, "-traffic", trafficHTTP2},
		{"-via", viaCaddy, "-traffic", trafficHTTP1, "-mode", modeSamePort},
	}
	for _, args := range tests {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if args[0] == "-via" {
				skipUnlessInstalled(t, args[1])
			}
			t.Parallel()
			nothingLost := func(r row) bool { return r.Failures == 0 }
			r := rolloutInTime(t, nothingLost, append(args, "-stop", stopGracekit)...)
			assert.Equal(t, 2, r.Replacements)
			assert.Positive(t, r.Requests)
			assert.Positive(t, r.P99)
			assert.Positive(t, r.QuietP99)
			assert.GreaterOrEqual(t, r.StopMax, seconds(0.4), "the delay was not waited for")
		})
	}
}

func skipUnlessInstalled(t *testing.T, via string) {
	t.Helper()
	if err := installed(via); err != nil {
		t.Skip(err)
	}
}

// quic-go tells its clients to leave, and they do. It refuses what is on its way then, so a request
// that cannot be sent twice is lost.
func TestHTTP3ClientsAreToldToLeave(t *testing.T) {
	rolloutInTime(t, func(r row) bool {
		return r.Failures == r.Kinds["GOAWAY"] && r.Failures < r.Requests/20 && r.StopMax < 3
	}, "-traffic", trafficHTTP3, "-stop", stopGracekit)
}

// An experiment that finds no failures anywhere would prove nothing.
func TestOtherWaysLoseRequests(t *testing.T) {
	tests := [][]string{
		// With four replacements of two replicas, each connection meets one.
		{"-stop", stopKill, "-traffic", trafficHTTP1},
		{"-stop", stopKill, "-traffic", trafficHTTP2},
		{"-stop", stopKill, "-traffic", trafficHTTP3},
		{"-stop", stopKill, "-traffic", trafficUnary},
		{"-stop", stopKill, "-traffic", trafficStream},
		// Without kept-alive connections, each client is refused many times: no luck is needed.
		{"-stop", stopShutdown, "-traffic", trafficHTTP1New},
		{"-stop", stopFx, "-traffic", trafficHTTP10},
		{"-stop", stopShutdown, "-traffic", trafficHTTP2Shared, "-load", loadOpen},
	}
	for _, args := range tests {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			var r row
			var err error
			for range 3 { // which requests are lost is luck
				r, err = rollout(t, append(args, "-replicas", "2", "-replacements", "4")...)
				if r.Failures > 0 && (args[1] == stopKill || r.Kinds["refused"] > 0) {
					assert.NotEmpty(t, r.Errors)
					return
				}
			}
			t.Errorf("got %d failures, %v, want some that were refused: %v", r.Failures, r.Errors, err)
		})
	}
}

func TestLostRequestsOfGracekitAreAnError(t *testing.T) {
	h2 := experiment{viaOwn, modeSurge, trafficHTTP2, loadClosed}
	assert.NoError(t, lost([]row{{Stop: stopKill, Failures: 3}, {Stop: stopGracekit}}))
	assert.EqualError(t, lost([]row{{experiment: h2, Stop: stopGracekit, Failures: 3, Requests: 100}}),
		"own http2: 3 of 100 requests were lost with gracekit")
}

func TestStopsEarly(t *testing.T) {
	t.Run("at the end of its context", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var stdout bytes.Buffer
		stderr := writerFunc(func(p []byte) (int, error) { // the first line of progress
			cancel(errors.New("enough"))
			return len(p), nil
		})
		err := run(ctx, short("-stop", "kill", "-replacements", "1000"), &stdout, stderr)
		assert.EqualError(t, err, "own http1, kill: enough")
		assert.Contains(t, stdout.String(), "way of stopping", "what there is, is printed")
	})
	t.Run("after -timeout", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		args := short("-stop", "kill", "-replacements", "1000", "-timeout", "1s")
		err := run(t.Context(), args, &stdout, &stderr)
		assert.EqualError(t, err, "own http1, kill: not done within -timeout 1s")
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// The minder of a balancer removes its directory when the balancer has ended.
func TestNothingIsLeft(t *testing.T) {
	for _, via := range []string{viaHAProxy, viaNginx, viaCaddy} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
			t.Run(via+", "+sig.String(), func(t *testing.T) {
				skipUnlessInstalled(t, via)
				t.Parallel()
				dir := t.TempDir()
				p := testproc.New(t, "rollout", short("-via", via, "-replacements", "1000")...)
				p.Cmd.Env = append(p.Cmd.Env, "TMPDIR="+dir)
				p.Start()
				p.Stderr.Await("replacement 1")
				assert.NotEmpty(t, below(t, dir))
				p.Signal(sig)
				if status := p.Wait(); sig == syscall.SIGINT {
					assert.Equal(t, 1, status, p.Stderr.String())
				}
				assert.Eventually(t, func() bool { return len(below(t, dir)) == 0 },
					10*time.Second, 10*time.Millisecond, "%v", below(t, dir))
			})
		}
	}
}

func below(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	return names
}

func TestExitStatus(t *testing.T) {
	p := testproc.New(t, "rollout", "-delay", "5")
	stdout, stderr, status := p.Run()
	assert.Equal(t, 2, status)
	assert.Empty(t, stdout)
	assert.Equal(t, "rollout: "+
		"-delay is \"5\", want a duration such as 1s (-help lists the flags)\n", stderr)
}

func TestMissingBalancer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-via", "haproxy,nginx-reload"}, &stdout, &stderr))
	const notFound = "executable file not found in $PATH"
	assert.Equal(t, `haproxy: skipped: haproxy is not installed: exec: "haproxy": `+notFound+"\n"+
		`nginx-reload: skipped: nginx is not installed: exec: "nginx": `+notFound+"\n",
		stderr.String())

	err := run(t.Context(), []string{"-via", "caddy", "-require"}, &stdout, &stderr)
	assert.EqualError(t, err, `-require: caddy is not installed: exec: "caddy": `+notFound)
}

func TestBalancerThatDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	broken := "#!/bin/sh\necho no such thing >&2\nexit 1\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "caddy"), []byte(broken), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), short("-via", "caddy", "-stop", "kill"), &stdout, &stderr)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "caddy http1, kill: caddy: it does not run\nno such thing\n")
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.ErrorIs(t, run(t.Context(), []string{"-help"}, &stdout, &stderr), flag.ErrHelp)
	assert.Contains(t, stderr.String(), "usage: rollout [flags]\n")
	assert.Contains(t, stderr.String(), "-lag duration\n")
}
