//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"main": main, "marked": mainThenMark})
	os.Exit(m.Run())
}

// A server is a process under test. Its log is its standard error.
type server struct {
	*testproc.Process
	url string
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	args = append([]string{"-addr", testproc.FreeAddress(t)}, args...)
	p := testproc.Start(t, "main", args...)
	return &server{Process: p, url: p.Stderr.Await(`msg=listening url=(\S+)/ `)[1]}
}

// get returns the body of a 200.
func get(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

func TestSIGTERMDuring200SlowRequests(t *testing.T) {
	s := start(t, "-linger", "10s") // for requests that are late on a busy machine
	const clients = 200
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()

	// First all at once, so that each client has a connection that is kept alive.
	together := func(path string, started func()) {
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				started()
				body, err := get(client, s.url+path)
				assert.NoError(t, err)
				assert.NotEmpty(t, body)
			})
		}
		wg.Wait()
	}
	together("/slow?for=100ms", func() {})

	var started sync.WaitGroup
	started.Add(clients)
	go func() {
		started.Wait()
		time.Sleep(300 * time.Millisecond) // so that the requests are on their way, not only the goroutines
		s.Signal(syscall.SIGTERM)
	}()
	together("/slow?for=1s", started.Done)

	assert.Equal(t, 0, s.Wait(), "exit status; log:\n%s", &s.Stderr)
	assert.Contains(t, s.Stdout.String(), "received terminated")
	assert.Regexp(t, `ingress +http +\|.*#.*\| .* ok`, s.Stdout.String())
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	s := start(t)
	failed := make(chan error)
	go func() { _, err := get(http.DefaultClient, s.url+"/slow?for=10s"); failed <- err }()
	inFlight(t, s)
	s.Signal(syscall.SIGTERM)
	s.Stderr.Await(`shutdown begins`)
	s.Signal(os.Interrupt)
	assert.Equal(t, 1, s.Wait(), "exit status")
	assert.Error(t, <-failed)
	assert.Contains(t, s.Stderr.String(), "received interrupt while shutting down: exiting at once")
	assert.NotContains(t, s.Stderr.String(), "shutdown complete")
}

// inFlight switches debug messages on with SIGHUP, which must not end the server, and waits for the
// one of /slow: that of a second request, since the first may have begun before.
func inFlight(t *testing.T, s *server) {
	t.Helper()
	s.Signal(syscall.SIGHUP)
	s.Stderr.Await(`log level changed`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/slow?for=10s", nil)
	require.NoError(t, err)
	go func() {
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	s.Stderr.Await(`slow request begins`)
}

func TestAnnouncesOnlyWhenReady(t *testing.T) {
	s := start(t)
	body, err := get(http.DefaultClient, s.url+"/readyz")
	assert.NoError(t, err)
	assert.Equal(t, "ok\n", body)
	assert.Regexp(t, `msg=listening url=\S+ ready_after=\S+ pid=\d+ `, s.Stderr.String())
	for _, path := range []string{"/livez", "/startupz", "/readyz/store", "/livez?verbose"} {
		_, err := get(http.DefaultClient, s.url+path)
		assert.NoError(t, err, path)
	}

	healthcheck := func() (output string, status int) {
		addr := strings.TrimPrefix(s.url, "http://")
		stdout, stderr, status := testproc.New(t, "main", "-healthcheck", "-addr", addr).Run()
		return stdout + stderr, status
	}
	output, status := healthcheck()
	assert.Equal(t, 0, status, "exit status")
	assert.Empty(t, output)

	s.Signal(syscall.SIGTERM)
	assert.Equal(t, 0, s.Wait(), "exit status")
	output, status = healthcheck()
	assert.Equal(t, 1, status, "exit status")
	assert.Regexp(t, `^httpserver: .*connection refused\n$`, output)
}

func TestReadinessEndsWithTheFirstMomentOfAShutdown(t *testing.T) {
	s := start(t, "-delay", "10s", "-grace", "20s")
	s.Signal(syscall.SIGTERM)
	s.Stderr.Await(`shutdown begins`)
	_, err := get(http.DefaultClient, s.url+"/readyz")
	require.ErrorContains(t, err, "503 Service Unavailable")
	_, err = get(http.DefaultClient, s.url+"/livez")
	assert.NoError(t, err, "a failing liveness probe would end the drain")
	_, err = get(http.DefaultClient, s.url+"/")
	assert.NoError(t, err, "the server serves as before")
	s.Signal(os.Interrupt)
	assert.Equal(t, 1, s.Wait(), "exit status")
}

// A stop before the server was up is a clean one.
func TestStopBeforeReady(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	require.NoError(t, err)
	defer silent.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(errors.New("received terminated")) })
	var log strings.Builder
	assert.NoError(t, announce(ctx, slog.New(slog.NewTextHandler(&log, nil)), silent))
	assert.Empty(t, log.String())
}

func TestOneRequestThroughAllTheLogs(t *testing.T) {
	s := start(t)
	do := func(path, user, id string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		require.NoError(t, err)
		if user != "" {
			req.SetBasicAuth(user, "demo")
		}
		if id != "" {
			req.Header["X-Request-ID"] = []string{id}
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	assert.Equal(t, "from-the-client", do("/relay", "alice", "from-the-client").Header.Get("X-Request-ID"))
	fresh := do("/", "", "not \"valid\"").Header.Get("X-Request-ID")
	assert.Regexp(t, `^[0-9a-f]{32}$`, fresh)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/", nil)
	require.NoError(t, err)
	req.SetBasicAuth("mallory", "wrong")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	s.Signal(syscall.SIGTERM)
	require.Equal(t, 0, s.Wait(), "exit status")

	log := s.Stderr.String()
	// The call to itself is made without a user; its ID is that of the request that caused it.
	assert.Regexp(t, `msg="saying hello" requestID=from-the-client visit=1\n`, log)
	assert.Regexp(t, `msg=request requestID=from-the-client method=GET path=/ status=200 `, log)
	assert.Regexp(t, `msg=request requestID=from-the-client username=alice method=GET path=/relay status=200 `, log)
	assert.Regexp(t, `msg=request requestID=`+fresh+` method=GET path=/ status=200 `, log)
	assert.Regexp(t, `msg=request requestID=[0-9a-f]{32} method=GET path=/ status=401 `, log)
	assert.NotContains(t, log, "valid")
	assert.NotContains(t, log, "mallory")
	assert.NotContains(t, log, "/readyz", "the probes are debug messages")
}

func TestRoutes(t *testing.T) {
	s := start(t, "-delay", "10ms", "-grace", "5s")
	for path, want := range map[string]string{
		"/":             "Hello. Try /slow?for=3s, and press Ctrl-C while it runs.\n",
		"/slow?for=1ms": "That took 1ms.\n",
	} {
		body, err := get(http.DefaultClient, s.url+path)
		assert.NoError(t, err)
		assert.Equal(t, want, body)
	}
	for path, want := range map[string]string{
		"/nothing":        "404 Not Found: 404 page not found\n",
		"/slow?for=1h":    `400 Bad Request: for="1h": want a duration from 0s to 10s, such as 1.5s` + "\n",
		"/slow?for=-1s":   `400 Bad Request: for="-1s": want a duration from 0s to 10s, such as 1.5s` + "\n",
		"/slow?for=<b>ab": `400 Bad Request: for="<b>ab": want a duration from 0s to 10s, such as 1.5s` + "\n",
	} {
		_, err := get(http.DefaultClient, s.url+path)
		assert.EqualError(t, err, want)
	}
	s.Signal(os.Interrupt)
	assert.Equal(t, 0, s.Wait(), "exit status")
	assert.Contains(t, s.Stdout.String(), "delay")
}

func TestBadStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"port in use", []string{"-addr", taken.Addr().String()}, "httpserver: listen tcp " + taken.Addr().String() + ": bind: address already in use\n"},
		{"no port", []string{"-addr", "localhost"}, "httpserver: listen tcp: address localhost: missing port in address\n"},
		{"unknown flag", []string{"-nonsense"}, "httpserver: flag provided but not defined: -nonsense (-help lists the flags)\n"},
		{"not a duration", []string{"-grace", "soon"}, `httpserver: invalid value "soon" for flag -grace: parse error (-help lists the flags)` + "\n"},
		{"an argument", []string{"start"}, `httpserver: unexpected argument "start" (-help lists the flags)` + "\n"},
		{"no grace", []string{"-grace", "0s"}, "httpserver: -grace is 0s, must be positive\n"},
		{"negative delay", []string{"-delay", "-1s"}, "httpserver: -delay is -1s, must not be negative\n"},
		{"negative linger", []string{"-linger", "-1s"}, "httpserver: -linger is -1s, must not be negative\n"},
		{"too long a delay", []string{"-delay", "30s"}, "httpserver: -delay is 30s, which leaves nothing of -grace 25s to stop in\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := testproc.New(t, "main", tt.args...).Run()
			assert.Equal(t, 1, status, "exit status")
			assert.Equal(t, tt.want, stderr)
			assert.Empty(t, stdout)
		})
	}
}

func TestHelp(t *testing.T) {
	stdout, stderr, status := testproc.New(t, "main", "-help").Run()
	assert.Equal(t, 0, status, "exit status")
	assert.Contains(t, stdout+stderr, "usage: httpserver [flags]\n")
	assert.Contains(t, stdout+stderr, "-addr host:port\n")
}
