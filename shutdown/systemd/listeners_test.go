//go:build unix

package systemd_test

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown/systemd"
)

// duplicate returns a descriptor that belongs to nobody, as the ones that systemd passes.
func duplicate(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	require.NoError(t, err)
	return fd
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestTakeSocket(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer udp.Close()
	s, err := systemd.TakeSocket(duplicate(t, file(t, udp)), "dns")
	require.NoError(t, err)
	defer s.PacketConn.Close()
	assert.Equal(t, "dns", s.Name)
	assert.Nil(t, s.Listener)
	assert.Equal(t, udp.LocalAddr(), s.PacketConn.LocalAddr())

	seqpacket, err := net.Listen("unixpacket", socketPath(t))
	if err == nil { // not every system has it
		defer seqpacket.Close()
		s, err = systemd.TakeSocket(duplicate(t, file(t, seqpacket)), "control")
		require.NoError(t, err)
		defer s.Listener.Close()
		assert.Equal(t, seqpacket.Addr(), s.Listener.Addr())
		assert.Nil(t, s.PacketConn)
	}

	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	require.NoError(t, err)
	defer plain.Close()
	_, err = systemd.TakeSocket(int(plain.Fd()), "stored")
	require.ErrorIs(t, err, syscall.ENOTSOCK)
	_, err = plain.WriteString("still open")
	require.NoError(t, err)

	conn := dial(t, listenTCP(t))
	_, err = systemd.TakeSocket(int(file(t, conn).Fd()), "connection")
	require.ErrorContains(t, err, "(connection): it does not listen; Accept=yes in a socket unit is not supported")

	_, err = systemd.TakeSocket(1_000_000, "none")
	require.EqualError(t, err, "systemd: descriptor 1000000 (none): it is not open")
}

// Sockets of families that package net does not know.
func TestUnknownFamilies(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the numbers are those of Linux")
	}
	const netlink, vsock = 16, 40 // linux/socket.h
	fd, err := syscall.Socket(netlink, syscall.SOCK_RAW, 0)
	require.NoError(t, err)
	_, err = systemd.TakeSocket(fd, "netlink")
	require.ErrorContains(t, err, "(netlink): file file+net netlink: ")

	if fd, err = syscall.Socket(vsock, syscall.SOCK_STREAM, 0); err != nil {
		t.Skip("this machine has no AF_VSOCK: ", err)
	}
	if err = syscall.Listen(fd, 1); err != nil {
		_ = syscall.Close(fd)
		t.Skip("this machine has no AF_VSOCK: ", err)
	}
	_, err = systemd.TakeSocket(fd, "vsock")
	require.ErrorContains(t, err, "(vsock): ")
}
