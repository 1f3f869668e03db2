package shutdown_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// serveHTTP2 starts a service and returns a client of it that speaks HTTP/2 without TLS. A request
// says how long it takes.
func serveHTTP2(t *testing.T, gs service) (l *listener, request func(takes time.Duration) error) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	l = gs.serveInMemory(&http.Server{
		Protocols: protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			takes, err := time.ParseDuration(string(text))
			assert.NoError(t, err)
			time.Sleep(takes)
			_, _ = w.Write(text)
		}),
	})
	gs.start()
	transport := &http.Transport{DialContext: l.dialContext, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return l, func(takes time.Duration) error {
		_, err := post(&http.Client{Transport: transport}, "http://test", takes.String())
		return err
	}
}

// What is on its way when a connection is told to leave would be lost: net/http throws it away.
func TestHTTP2IsToldToLeaveInAQuietMoment(t *testing.T) {
	type request struct{ at, takes, answered time.Duration } // all after the trigger
	inLinger := []shutdown.Option{shutdown.Linger(sec)}
	tests := []struct {
		name     string
		options  []shutdown.Option
		requests []request
	}{
		{
			"one request is held back until it is sure that no other comes", inLinger,
			[]request{{1 * ms, 5 * ms, 106 * ms}},
		},
		{
			"one that comes meanwhile is served, and they wait for each other", inLinger,
			[]request{{1 * ms, 5 * ms, 156 * ms}, {51 * ms, 5 * ms, 156 * ms}},
		},
		{
			"a client that never stops sending is told after a while", inLinger,
			[]request{
				{1 * ms, 0, 301 * ms}, {51 * ms, 0, 301 * ms}, {101 * ms, 0, 301 * ms},
				{151 * ms, 0, 301 * ms}, {201 * ms, 0, 301 * ms}, {251 * ms, 0, 301 * ms},
				{295 * ms, 0, 301 * ms},
			},
		},
		{
			"one that takes long is not waited for", inLinger,
			[]request{{1 * ms, 5 * ms, 106 * ms}, {2 * ms, 600 * ms, 602 * ms}},
		},
		{
			"when the server shuts down, holding back is over",
			[]shutdown.Option{shutdown.Linger(50 * ms)},
			[]request{{1 * ms, 5 * ms, 50 * ms}},
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t, tt.options...)
			l, post := serveHTTP2(t, gs)
			require.NoError(t, post(0))
			gs.Shutdown(nil)
			begin := time.Now()
			for _, r := range tt.requests {
				go func() {
					time.Sleep(r.at)
					assert.NoError(t, post(r.takes))
					const tick = float64(10 * ms)
					assert.InDelta(t, r.answered, time.Since(begin), tick, "the one at %v", r.at)
				}()
			}
			require.NoError(t, gs.Wait())
			assert.EqualValues(t, 1, l.dialed.Load(), "connections")
		})
	}
}

func TestHTTP2ClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec), shutdown.Linger(sec))
		l, post := serveHTTP2(t, gs)
		begin := time.Now()
		require.NoError(t, post(0))
		gs.Shutdown(nil)
		time.Sleep(500 * ms)
		require.NoError(t, post(0))
		assert.Equal(t, 500*ms, time.Since(begin), "held back before Delay was over")
		require.EqualValues(t, 1, l.dialed.Load(), "told to leave before Delay was over")
		time.Sleep(501 * ms)
		require.NoError(t, post(0))
		require.NoError(t, gs.Wait())
		assert.Less(t, lingered(gs.Report()), 500*ms, "the connection is still there")
	})
}

func TestHTTP2WithTLS(t *testing.T) {
	gs := newService(t, shutdown.Linger(time.Hour), shutdown.Grace(3*time.Hour))
	entered, goOn := make(chan struct{}), make(chan struct{})
	var connections atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(entered)
			<-goOn
		}
		_, pushes := w.(http.Pusher)
		_, hijacks := w.(http.Hijacker)
		fmt.Fprint(w, r.Proto, " pushes ", pushes, " hijacks ", hijacks, " ", r.RemoteAddr)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	defer srv.Close()
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	require.NoError(t, gs.AddHTTPServer("h2", srv.Config))
	srv.StartTLS()
	gs.start()
	get := func(path string) string {
		resp, err := srv.Client().Get(srv.URL + path)
		if !assert.NoError(t, err) {
			return ""
		}
		defer resp.Body.Close()
		assert.Empty(t, resp.Header.Get("Connection"), "not in HTTP/2 (RFC 9113, 8.2.2)")
		body, err := io.ReadAll(resp.Body)
		assert.NoError(t, err)
		return string(body)
	}
	first := get("/")
	assert.True(t, strings.HasPrefix(first, "HTTP/2.0 pushes true hijacks false "), first)
	require.Equal(t, first, get("/"), "one connection")
	waited := make(chan string)
	go func() { waited <- get("/wait") }()
	<-entered
	require.EqualValues(t, 1, connections.Load())
	gs.Shutdown(nil)
	assert.Equal(t, first, get("/"), "the response that comes with GOAWAY")
	next := first
	for n := 0; next == first && n < 100; n++ { // until the client has heard of GOAWAY
		next = get("/")
	}
	for range 4 {
		assert.NotEqual(t, first, next, "it goes on with a connection it was told to leave")
		next = get("/")
	}
	close(goOn)
	assert.Equal(t, first, <-waited, "the one in flight")
	srv.Client().Transport.(*http.Transport).CloseIdleConnections()
	require.NoError(t, gs.Wait())
}
