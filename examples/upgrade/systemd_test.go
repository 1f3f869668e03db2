//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The service manager is told when the first process is ready, and of each upgrade which process is
// the main one.
func TestServiceManagerFollows(t *testing.T) {
	dir, err := os.MkdirTemp("", "up") // a short path: those of Unix sockets are limited
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close()
	next := func() string {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(within)))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		require.NoError(t, err)
		return string(buf[:n])
	}
	t.Setenv("NOTIFY_SOCKET", address)

	s := start(t)
	require.Equal(t, "READY=1\n", next())
	for n := range 3 {
		old := s.waitForGeneration(n + 1)
		s.installGood()
		s.signal(old, syscall.SIGHUP)
		require.Equal(t, fmt.Sprintf("MAINPID=%d\n", s.waitForGeneration(n+2)), next())
		// What the old one says of its end, systemd does not heed: it is not the main process any
		// more.
		require.Contains(t, next(), fmt.Sprintf("STOPPING=1\nSTATUS=Stopping: replaced by process %d\n", s.waitForGeneration(n+2)))
		assert.Equal(t, 0, s.waitForExit(old), "exit status")
	}
	s.stop()
	require.Contains(t, next(), "STOPPING=1\nSTATUS=Stopping: signals: received ")
}
