package integration_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// Ten thousand WebSockets do not come back in one instant: they are told to leave evenly over five
// seconds, each with a close frame.
func TestWebSocketsLeaveEvenly(t *testing.T) { synctest.Test(t, testWebSocketsLeaveEvenly) }

func testWebSocketsLeaveEvenly(t *testing.T) {
	const webSockets, seconds = 10_000, 5
	i := &instance{GracefulShutdown: shutdown.New(), name: "old"}
	i.streams.Over = seconds * time.Second
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: webSocketHandler(i, acceptGorilla)}
	require.NoError(t, i.GoHTTP("api", srv, l))
	require.NoError(t, i.AddCallback(shutdown.Callback{
		Name: "streams", Phase: shutdown.PhaseIngress, Func: i.streams.Wait,
	}))
	require.NoError(t, i.Start(t.Context()))

	var begin time.Time
	var left [seconds]atomic.Int64 // in each second
	var clients sync.WaitGroup
	for range webSockets {
		dialer := gorilla.Dialer{NetDialContext: l.dial, ReadBufferSize: 256, WriteBufferSize: 256}
		c, _, err := dialer.DialContext(t.Context(), "ws://example.com", nil)
		require.NoError(t, err)
		clients.Go(func() {
			defer c.Close()
			_, _, err := c.ReadMessage()
			assert.True(t, gorilla.IsCloseError(err, gorilla.CloseGoingAway), "its end: %v", err)
			left[min(time.Since(begin)/time.Second, seconds-1)].Add(1)
		})
	}
	synctest.Wait()
	require.Equal(t, webSockets, i.streams.Len())
	begin = time.Now()
	i.Shutdown(nil)
	require.NoError(t, i.Wait(), "%s", i.Report())
	clients.Wait()
	for second := range left {
		const even = webSockets / seconds
		assert.InDelta(t, even, left[second].Load(), 0.2*even, "in second %d", second)
	}
}

// A pipeListener accepts in memory, where ten thousand connections need no files.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	l.conns <- server
	return client, nil
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
