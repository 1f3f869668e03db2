//go:build unix

package main

import (
	"errors"
	"github.com/gracekit/gracekit/examples/ginserver/admin"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/internal/stoptest"
	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/shutdown"
)

// Clients that keep their connections alive go on with POSTs, which net/http never repeats by
// itself, until an answer tells them to leave.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	// It lingers only until the clients have left, but they may not get to run for a while.
	s := start(t, "limit: {perSecond: 1e6, burst: 1000000}\nshutdown: {linger: 10s}")
	require.Equal(t, 201, s.createNote("x").status)
	http.DefaultClient.CloseIdleConnections()
	var answered, leaving atomic.Int64
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for {
				resp, err := (&http.Client{Transport: transport}).Post(s.url+"/v1/notes/1/export", "", nil)
				if !assert.NoError(t, err, "a request was lost") {
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				assert.NoError(t, err)
				resp.Body.Close()
				assert.Equal(t, http.StatusAccepted, resp.StatusCode)
				answered.Add(1)
				if resp.Close { // a balancer sends the next one elsewhere
					leaving.Add(1)
					return
				}
			}
		})
	}
	require.Eventually(t, func() bool { return answered.Load() > 200 }, 20*time.Second, time.Millisecond)
	s.Signal(syscall.SIGTERM)
	clients.Wait()
	assert.Equal(t, int64(20), leaving.Load(), "clients were not told to leave")
	assert.Equal(t, 0, s.Wait(), "exit status; log:\n%s", s.Stderr.String())
	assert.Regexp(t, `(?s)ingress +api .* ok\n.*work +background .* ok\n.*store +notes .* ok\n.*flush +admin .* ok\n`, s.Stdout.String())
}

// A stop can be watched: the admin listener goes on while a request is in flight and the public one
// is closed.
func TestTheStopCanBeWatched(t *testing.T) {
	t.Parallel()
	s := start(t, "log: {level: info}")
	body, rest := io.Pipe()
	answers := make(chan *http.Response, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/notes", body)
	require.NoError(t, err)
	req.SetBasicAuth("alice", "demo")
	req.Header.Set("Content-Type", "application/json")
	go func() {
		resp, err := http.DefaultClient.Do(req)
		assert.NoError(t, err)
		answers <- resp
	}()
	_, err = io.WriteString(rest, `{"text":`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		resp, err := http.Get(s.admin + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(text), "\nhttp_requests_in_flight 1\n")
	}, 20*time.Second, 5*time.Millisecond)

	s.Signal(syscall.SIGTERM)
	require.Eventually(t, func() bool { // the listener is closed
		conn, err := net.Dial("tcp", s.url[len("http://"):])
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, 20*time.Second, 5*time.Millisecond)
	got := s.getAdmin("/metrics").body
	assert.Contains(t, got, "\nhttp_requests_in_flight 1\n")
	assert.Contains(t, got, "\nshutdown_draining 1\n")
	assert.Equal(t, 503, s.getAdmin("/readyz").status)
	assert.Equal(t, 200, s.getAdmin("/livez").status, "a failing liveness probe would end the drain")

	_, err = io.WriteString(rest, `"late"}`)
	require.NoError(t, err)
	require.NoError(t, rest.Close())
	resp := <-answers
	require.NotNil(t, resp)
	defer resp.Body.Close()
	assert.Equal(t, 201, resp.StatusCode)
	assert.Equal(t, 0, s.Wait(), "exit status; log:\n%s", s.Stderr.String())
}

// The last scrape of a stop is one that has seen nearly all of it.
func TestMetricsAnswerWhileTheStoreCloses(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	gs := shutdown.New(shutdown.Watch(func(step shutdown.Step) {
		if step.Name == "notes" && step.State == shutdown.StateRunning {
			close(closing)
		}
	}))
	cfg, err := loadConfig(options{})
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	service, err := newService(cfg, log, gs.Draining())
	require.NoError(t, err)
	public, err := net.Listen("tcp", testproc.FreeAddress(t))
	require.NoError(t, err)
	private, err := admin.Listen(testproc.FreeAddress(t))
	require.NoError(t, err)
	assemble(gs, cfg, log, service, public, private)
	require.NoError(t, gs.Start(t.Context()))

	service.api.notes.mu.Lock() // so that Close takes its time
	gs.Shutdown(nil)
	<-closing
	_, err = net.Dial("tcp", public.Addr().String())
	assert.ErrorIs(t, err, syscall.ECONNREFUSED, "the API is closed")
	resp, err := http.Get("http://" + private.Addr().String() + "/metrics")
	if assert.NoError(t, err) {
		text, err := io.ReadAll(resp.Body)
		assert.NoError(t, err)
		assert.NoError(t, resp.Body.Close())
		assert.Contains(t, string(text), "\nshutdown_draining 1\n")
	}
	service.api.notes.mu.Unlock()
	assert.NoError(t, gs.Wait())
	_, err = net.Dial("tcp", private.Addr().String())
	assert.ErrorIs(t, err, syscall.ECONNREFUSED, "the admin server is closed, too")
}

// Who takes a profile gets what there is, and does not hold the stop up.
func TestProfileEndsWithTheStop(t *testing.T) {
	t.Parallel()
	s := start(t, "log: {level: info}")
	resp, err := http.Get(s.admin + "/debug/pprof/trace?seconds=60") // its header comes at once
	require.NoError(t, err)
	defer resp.Body.Close()
	s.Signal(syscall.SIGTERM)
	trace, err := io.ReadAll(resp.Body)
	assert.NoError(t, err)
	assert.NotEmpty(t, trace)
	assert.Equal(t, 0, s.Wait(), "exit status; log:\n%s", s.Stderr.String())
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, flag := range []string{"-address", "-admin-address"} {
		p := testproc.New(t, "main", "-config", writeConfig(t, "shutdown: {delay: 20s, grace: 40s}"),
			"-address", "127.0.0.1:0", "-admin-address", "127.0.0.1:0", flag, taken.Addr().String())
		stoptest.PortInUse(t, p, 20*time.Second)
	}
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, "shutdown: {delay: 10s}\nlog: {level: info}")
	s.Signal(syscall.SIGTERM)
	s.Stderr.Await(`shutdown begins`)
	assert.Equal(t, 503, s.get("/readyz").status)
	assert.Equal(t, 200, s.get("/v1/notes").status, "the server serves as before")
	s.Signal(syscall.SIGINT)
	assert.Equal(t, 1, s.Wait(), "exit status")
	assert.NotContains(t, s.Stderr.String(), "shutdown complete")
}
