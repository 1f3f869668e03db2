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
	require.ErrorContains(t, err, "(connection): it is a socket that does not listen; ")

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
	unknown := "it is a socket of a family that package net does not know: " +
		"address family not supported by protocol"
	_, err = systemd.TakeSocket(fd, "netlink")
	require.ErrorContains(t, err, "(netlink): "+unknown)
	require.NoError(t, syscall.Close(fd), "it is still open")

	if fd, err = syscall.Socket(vsock, syscall.SOCK_STREAM, 0); err != nil {
		t.Skip("this machine has no AF_VSOCK: ", err)
	}
	defer syscall.Close(fd)
	if err = syscall.Listen(fd, 1); err != nil {
		t.Skip("this machine has no AF_VSOCK: ", err)
	}
	_, err = systemd.TakeSocket(fd, "vsock")
	require.ErrorContains(t, err, "(vsock): "+unknown)
}

func TestTakeSocketTellsWhatElseItIs(t *testing.T) {
	pipe, writer, err := os.Pipe()
	require.NoError(t, err)
	defer pipe.Close()
	defer writer.Close()
	dir, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer dir.Close()
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	tests := []struct {
		file *os.File
		want string
	}{
		{pipe, "a pipe"},
		{dir, "a directory"},
		{null, "a device"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			fd := duplicate(t, tt.file)
			_, err := systemd.TakeSocket(fd, "other")
			require.ErrorIs(t, err, syscall.ENOTSOCK)
			require.ErrorContains(t, err, "(other): it is no socket but "+tt.want+": ")
			require.NoError(t, syscall.Close(fd), "it is still open")
		})
	}
}
