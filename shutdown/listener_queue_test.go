//go:build unix

package shutdown_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// What waits in the listener's queue when that is closed is answered. The test fills the queue
// while the goroutine that accepts is held up, and lets it go on once the socket is closed.
func TestGoHTTPServesTheQueueOfItsListener(t *testing.T) {
	for _, tt := range []struct {
		name   string
		linger time.Duration
		opts   []shutdown.ServerOption
	}{
		{"after Delay", 20 * sec, nil},
		{"in a later phase", 20 * sec, []shutdown.ServerOption{shutdown.InPhase(shutdown.PhaseFlush)}},
		{"without Linger", 0, nil},
		{"without Linger, in a later phase", 0,
			[]shutdown.ServerOption{shutdown.InPhase(shutdown.PhaseFlush)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			address := l.Addr().String()
			accept := make(chan struct{})
			srv := &http.Server{
				Handler: answers("ok"),
				ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
					<-accept
					return ctx
				},
			}
			gs := newService(t, shutdown.Linger(tt.linger))
			require.NoError(t, gs.GoHTTP("api", srv, l, tt.opts...))
			gs.start()
			var conns []*conn
			for range 20 {
				c := dial(t, address)
				c.send("/")
				conns = append(conns, c)
			}
			gs.Shutdown(nil)
			require.Eventually(t, func() bool {
				c, err := net.Dial("tcp", address)
				if err == nil {
					_ = c.Close()
				}
				return err != nil
			}, 20*sec, ms, "the listener is not closed")
			close(accept)
			for _, c := range conns {
				resp, body := c.receive()
				assert.Equal(t, "ok", body)
				assert.True(t, resp.Close)
			}
			require.NoError(t, gs.Wait())
		})
	}
}

// If nothing has ever accepted, what waits in the queue is refused and does not hang.
func TestQueueOfAListenerThatWasNeverServed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which closes what nobody holds
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gs := newService(t)
	require.NoError(t, gs.GoHTTP("api", &http.Server{Handler: answers("ok")}, l))
	c := dial(t, l.Addr().String())
	c.send("/")
	require.NoError(t, gs.stop())
	c.expectClosed()
}

// Taking the queue leaves no descriptor open.
func TestQueueLeavesNoDescriptor(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	open := func() int {
		entries, err := os.ReadDir("/dev/fd")
		require.NoError(t, err)
		return len(entries)
	}
	before := open()
	const stops = 50
	for range stops {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		gs := newService(t)
		require.NoError(t, gs.GoHTTP("api", &http.Server{Handler: answers("ok")}, l))
		gs.start()
		require.NoError(t, gs.stop())
	}
	assert.Less(t, open(), before+stops, "one is left for each stop")
}

// net/http has read a request, and is just about to look whether the server shuts down.
func TestRequestJustReadIsAnsweredWithoutLinger(t *testing.T) {
	answered := func() bool {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		read, goOn := make(chan struct{}), make(chan struct{})
		gs := newService(t, shutdown.Linger(0))
		require.NoError(t, gs.GoHTTP("api", &http.Server{
			Handler: answers("ok"),
			ConnState: func(_ net.Conn, state http.ConnState) {
				if state == http.StateActive {
					close(read)
					<-goOn
				}
			},
		}, l))
		gs.start()
		c := dial(t, l.Addr().String())
		c.send("/")
		<-read
		gs.Shutdown(nil)
		<-time.After(20 * ms)
		close(goOn)
		_, err = c.r.Peek(1)
		require.NoError(t, gs.Wait())
		return err == nil
	}
	for try := 1; !answered(); try++ { // that takes less than the 100ms there are, on most machines
		require.Less(t, try, 20, "no request was answered")
	}
}

// A listener that embeds one of package net has all of its methods, but its Accept is not passed
// by.
func TestQueueOfAnEmbeddedListenerIsLeftAlone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var log strings.Builder
	gs := newService(t, shutdown.Logger(textLogger(&log)))
	embedding := struct{ *net.TCPListener }{l.(*net.TCPListener)}
	require.NoError(t, gs.GoHTTP("api", &http.Server{Handler: answers("ok")}, embedding))
	gs.start()
	require.NoError(t, gs.stop())
	assert.Contains(t, log.String(), "what waits in the listener's queue when it is closed will be lost")
	for _, row := range gs.Report().Steps {
		assert.NotEqual(t, "close", row.Stage)
	}
}

// BaseContext gets the listener that the caller has given, whatever is done to it.
func TestBaseContextGetsTheCallersListener(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	for name, l := range map[string]net.Listener{"TCP": tcp, "another": newListener()} {
		t.Run(name, func(t *testing.T) {
			got := make(chan net.Listener, 1)
			gs := newService(t)
			require.NoError(t, gs.GoHTTP("api", &http.Server{
				Handler: answers("ok"),
				BaseContext: func(l net.Listener) context.Context {
					got <- l
					return context.Background()
				},
			}, l))
			gs.start()
			assert.Same(t, l, <-got)
			require.NoError(t, gs.stop())
		})
	}
}
