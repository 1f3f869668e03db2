//go:build unix

package systemd_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A recorder is the service manager's end of NOTIFY_SOCKET.
type recorder struct {
	t       *testing.T
	address string
	conn    *net.UnixConn
}

// socketPath is short: a path of a Unix socket has 104 bytes at most on some systems, which
// t.TempDir may exceed.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "notify")
}

// record sets NOTIFY_SOCKET, and no watchdog.
func record(t *testing.T) *recorder {
	t.Helper()
	return recordAt(t, socketPath(t))
}

func recordAt(t *testing.T, address string) *recorder {
	t.Helper()
	for _, name := range []string{"WATCHDOG_USEC", "WATCHDOG_PID"} {
		t.Setenv(name, "")
	}
	t.Setenv("NOTIFY_SOCKET", address)
	r := &recorder{t: t, address: address}
	r.listen()
	t.Cleanup(r.close)
	return r
}

// close removes the file as well, which package net leaves for datagram sockets.
func (r *recorder) close() {
	r.conn.Close()
	_ = os.Remove(r.address)
}

func (r *recorder) listen() {
	r.t.Helper()
	var err error
	r.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: r.address, Net: "unixgram"})
	require.NoError(r.t, err)
}

// received returns the datagrams that are in the queue, without waiting for any: one that was sent
// is there at once, so this works inside a synctest bubble too.
func (r *recorder) received() []string {
	r.t.Helper()
	raw, err := r.conn.SyscallConn()
	require.NoError(r.t, err)
	var datagrams []string
	buf := make([]byte, 8192)
	for {
		var n int
		require.NoError(r.t, raw.Read(func(fd uintptr) bool {
			n, err = syscall.Read(int(fd), buf)
			return true
		}))
		if errors.Is(err, syscall.EAGAIN) {
			return datagrams
		}
		require.NoError(r.t, err)
		datagrams = append(datagrams, string(buf[:n]))
	}
}

// next waits for a datagram.
func (r *recorder) next() string {
	r.t.Helper()
	require.NoError(r.t, r.conn.SetReadDeadline(time.Now().Add(time.Minute))) // never reached unless a test fails
	buf := make([]byte, 8192)
	n, err := r.conn.Read(buf)
	require.NoError(r.t, err)
	return string(buf[:n])
}

// fill fills the queue, so that nothing more is taken until something is read.
func (r *recorder) fill() {
	r.t.Helper()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: r.address, Net: "unixgram"})
	require.NoError(r.t, err)
	defer conn.Close()
	raw, err := conn.SyscallConn()
	require.NoError(r.t, err)
	for err == nil { // without a deadline, which a starved machine misses while there still is room
		require.NoError(r.t, raw.Write(func(fd uintptr) bool {
			_, err = syscall.Write(int(fd), []byte("full"))
			return true
		}))
	}
	require.ErrorIs(r.t, err, syscall.EAGAIN)
}

// transcript, inside a synctest bubble, returns what arrives in each second from now on, with the
// second: "5s READY=1". A datagram's lines are joined by " | ".
func (r *recorder) transcript(seconds int) []string {
	r.t.Helper()
	var lines []string
	for second := range seconds + 1 {
		synctest.Wait()
		for _, datagram := range r.received() {
			lines = append(lines, fmt.Sprintf("%ds %s", second, oneLine(datagram)))
		}
		if second < seconds {
			time.Sleep(time.Second)
		}
	}
	return lines
}

func oneLine(datagram string) string {
	return strings.ReplaceAll(strings.TrimSuffix(datagram, "\n"), "\n", " | ")
}
