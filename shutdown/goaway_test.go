package shutdown_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// pipes is a listener in memory, so that HTTP/2 runs on the clock of a synctest bubble.
type pipes struct {
	dialed   atomic.Int32
	accepted chan net.Conn
	closed   context.Context
	close    context.CancelFunc
}

func listenPipes() *pipes {
	p := &pipes{accepted: make(chan net.Conn)}
	p.closed, p.close = context.WithCancel(context.Background())
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accepted <- server:
		p.dialed.Add(1)
		return client, nil
	case <-p.closed.Done():
		return nil, errors.New("connection refused")
	}
}

// http2Service is a server and a client of it that speak HTTP/2 without TLS. A request says how long it takes.
func http2Service(t *testing.T, gs *shutdown.GracefulShutdown) (listener *pipes, post func(takes time.Duration) error) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Protocols: protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			takes, err := time.ParseDuration(string(text))
			assert.NoError(t, err)
			time.Sleep(takes)
			_, _ = io.WriteString(w, "done")
		}),
	}
	listener = listenPipes()
	require.NoError(t, gs.AddHTTPServer("api", srv))
	require.NoError(t, gs.Go("serve", func(context.Context) error { return srv.Serve(listener) }))
	require.NoError(t, gs.Start(context.Background()))

	transport := &http.Transport{DialContext: listener.dial, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return listener, func(takes time.Duration) error {
		// A body that is nothing but a Reader cannot be sent a second time.
		body := struct{ io.Reader }{strings.NewReader(takes.String())}
		resp, err := (&http.Client{Transport: transport}).Post("http://test", "text/plain", body)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
}

const ms = time.Millisecond

// What is on its way when a connection is told to leave would be lost: net/http throws it away.
func TestHTTP2IsToldToLeaveInAQuietMoment(t *testing.T) {
	type request struct{ at, takes, answered time.Duration } // all after the trigger
	tests := []struct {
		name     string
		options  []shutdown.Option
		requests []request
	}{
		{"one request is held back until it is sure that no other comes",
			[]shutdown.Option{shutdown.Delay(time.Second)},
			[]request{{1 * ms, 5 * ms, 106 * ms}}},
		{"one that comes meanwhile is served, and they wait for each other",
			[]shutdown.Option{shutdown.Delay(time.Second)},
			[]request{{1 * ms, 5 * ms, 156 * ms}, {51 * ms, 5 * ms, 156 * ms}}},
		{"a client that never stops sending is told after a while",
			[]shutdown.Option{shutdown.Delay(time.Second)},
			[]request{
				{1 * ms, 0, 301 * ms}, {51 * ms, 0, 301 * ms}, {101 * ms, 0, 301 * ms}, {151 * ms, 0, 301 * ms},
				{201 * ms, 0, 301 * ms}, {251 * ms, 0, 301 * ms}, {295 * ms, 0, 301 * ms},
			}},
		{"one that takes long is not waited for",
			[]shutdown.Option{shutdown.Delay(time.Second)},
			[]request{{1 * ms, 5 * ms, 106 * ms}, {2 * ms, 600 * ms, 602 * ms}}},
		{"when the server shuts down, holding back is over",
			[]shutdown.Option{shutdown.Delay(50 * ms), shutdown.Linger(0)},
			[]request{{1 * ms, 5 * ms, 50 * ms}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New(tt.options...)
				listener, post := http2Service(t, gs)
				require.NoError(t, post(0))
				gs.Shutdown(nil)
				begin := time.Now()
				for _, r := range tt.requests {
					go func() {
						time.Sleep(r.at)
						assert.NoError(t, post(r.takes))
						assert.InDelta(t, r.answered, time.Since(begin), float64(10*ms), "the request at %v", r.at) // one tick
					}()
				}
				require.NoError(t, gs.Wait())
				assert.EqualValues(t, 1, listener.dialed.Load(), "connections")
			})
		})
	}
}

func TestHTTP2ClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(time.Second))
		listener, post := http2Service(t, gs)
		before := time.Now()
		require.NoError(t, post(0))
		assert.Zero(t, time.Since(before), "held back before the trigger")
		gs.Shutdown(nil)
		require.NoError(t, post(0))
		require.NoError(t, post(0))
		assert.Greater(t, listener.dialed.Load(), int32(1), "the client goes on with a connection it was told to leave")
		require.NoError(t, gs.Wait())
		assert.Less(t, gs.Report().Linger, 500*ms, "connections that were told to leave are still there")
	})
}

func TestConnContextKeepsWorking(t *testing.T) {
	type key struct{}
	gs := shutdown.New()
	srv := &http.Server{
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key{}, "mine") },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "mine", r.Context().Value(key{}))
		}),
	}
	addr := serve(t, gs, srv)
	require.NoError(t, gs.Start(t.Context()))
	c := dial(t, addr)
	c.send("/")
	assert.Equal(t, http.StatusOK, c.receive().StatusCode)
	_ = c.Close()
	gs.Shutdown(nil)
	require.NoError(t, gs.Wait())
}
