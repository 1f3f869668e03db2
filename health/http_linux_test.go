package health_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

// If nothing comes back from 127.0.0.1, half of the time is left for ::1. Linux drops what does not
// fit into a full queue.
func TestHTTPTriesBothLoopbacks(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	go func() { _ = http.Serve(l, answer(200, "ok")) }()
	t.Cleanup(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	v4 := &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	if err := syscall.Bind(fd, v4); err != nil {
		t.Skip(err) // something else has the port there
	}
	require.NoError(t, syscall.Listen(fd, 0))
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for { // until its queue is full
		c, err := net.DialTimeout("tcp", address, 500*time.Millisecond)
		if err != nil {
			break
		}
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	assert.NoError(t, health.HTTP(fmt.Sprintf("http://:%d/", port))(ctx))
}
