//go:build unix

package shutdown_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// shared returns two listeners with one socket, as two processes have them.
func shared(t *testing.T) (ours, next net.Listener) {
	t.Helper()
	ours, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	return ours, share(t, ours)
}

// share returns another listener with the socket of l. It does without Fd of l.File, which would
// put the socket into blocking mode: see HoldListener.
func share(t *testing.T, l net.Listener) net.Listener {
	t.Helper()
	raw, err := l.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	var fd int
	controlErr := raw.Control(func(original uintptr) { fd, err = syscall.Dup(int(original)) })
	require.NoError(t, errors.Join(controlErr, err))
	f := os.NewFile(uintptr(fd), "shared")
	defer f.Close()
	other, err := net.FileListener(f)
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close() })
	return other
}

func TestHeldListenerLeavesItsQueueToTheNextProcess(t *testing.T) {
	ours, next := shared(t)
	gs := newService(t)
	release := gs.holdStop()
	held := gs.holdListener(ours)
	gs.start()

	accepted, ended := make(chan net.Conn, 1), make(chan error, 1)
	go func() {
		for {
			c, err := held.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	connect := func() string { return dial(t, ours.Addr().String()).LocalAddr().String() }
	before := connect()
	assert.Equal(t, before, (<-accepted).RemoteAddr().String())
	gs.Shutdown(nil)
	during := connect()
	assert.Equal(t, during, (<-accepted).RemoteAddr().String(), "Delay accepts")

	release()
	require.NoError(t, gs.Wait())
	after := connect()
	// Never reached unless the test fails.
	require.NoError(t, next.(*net.TCPListener).SetDeadline(time.Now().Add(10*sec)))
	c, err := next.Accept()
	require.NoError(t, err)
	assert.Equal(t, after, c.RemoteAddr().String(), "what connects after Delay")

	require.NoError(t, held.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	_, err = held.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	connect() // the socket is still there
}

// Services follow each other on one socket under requests that may not be sent twice. Without
// HoldListener some are lost.
func TestHandoverLosesNothing(t *testing.T) {
	next, current := shared(t)
	start := func(l net.Listener) service {
		gs := newService(t, shutdown.Linger(5*sec)) // it ends when all is answered
		echo := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }
		gs.serveOn(&http.Server{Handler: http.HandlerFunc(echo)}, gs.holdListener(l))
		gs.start()
		return gs
	}
	serving := start(current)

	var clients sync.WaitGroup
	var done atomic.Bool
	stop := func() { done.Store(true); clients.Wait() }
	t.Cleanup(stop) // a failure ends the test, but not its goroutines
	url := "http://" + next.Addr().String()
	var requests atomic.Int64
	fifty := make(chan struct{}) // sent to after each fifty requests, if somebody waits
	for i := range 8 {
		transport := &http.Transport{DisableKeepAlives: i%2 == 0}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			for !done.Load() {
				_, err := post(&http.Client{Transport: transport}, url, "payload")
				assert.NoError(t, err)
				if requests.Add(1)%50 == 0 {
					select {
					case fifty <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	for range 10 {
		<-fifty
		<-fifty
		current, next = next, share(t, next)
		successor := start(current)
		serving.Shutdown(nil)
		require.NoError(t, serving.Wait())
		serving = successor
	}
	stop()
	require.NoError(t, serving.stop())
}
