//go:build unix

package systemd_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

// duplicate returns a descriptor that belongs to nobody, as the ones that systemd passes.
func duplicate(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	require.NoError(t, err)
	return fd
}

// passed returns the service's share of a socket, and the one that systemd keeps.
func passed(t *testing.T) (systemd.Socket, net.Listener) {
	t.Helper()
	l := listenTCP(t)
	s, err := systemd.TakeSocket(duplicate(t, file(t, l)), "http")
	require.NoError(t, err)
	t.Cleanup(func() { s.Listener.Close() })
	return s, l
}

func drained(t *testing.T, sockets ...systemd.Socket) *shutdown.GracefulShutdown {
	t.Helper()
	t.Setenv("NOTIFY_SOCKET", "")
	gs := shutdown.New()
	require.NoError(t, gs.AddManager(systemd.New(systemd.Sockets(sockets...))))
	require.NoError(t, gs.Start(t.Context()))
	return gs
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// From the trigger on the socket's queue is for the next process.
func TestHeldSocket(t *testing.T) {
	s, systemds := passed(t)
	gs := drained(t, s)
	accepted, ended := make(chan net.Conn), make(chan error)
	go func() {
		for {
			conn, err := s.Listener.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- conn
		}
	}()
	first := dial(t, systemds)
	conn := <-accepted
	assert.Equal(t, first.LocalAddr().String(), conn.RemoteAddr().String())
	conn.Close()

	gs.Shutdown(nil)
	require.NoError(t, gs.Wait())
	second := dial(t, systemds)
	next, err := systemds.Accept() // the next process
	require.NoError(t, err)
	assert.Equal(t, second.LocalAddr().String(), next.RemoteAddr().String())
	next.Close()

	require.NoError(t, s.Listener.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	_, err = s.Listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, s.Listener.Close(), net.ErrClosed)
}

// A listener that nobody uses, or that is closed, or whose server has gone away without closing it, does not hold up the stop.
func TestHoldingDoesNotHang(t *testing.T) {
	acceptOne := func(t *testing.T, s systemd.Socket, systemds net.Listener) {
		dial(t, systemds)
		conn, err := s.Listener.Accept()
		require.NoError(t, err)
		conn.Close()
	}
	tests := map[string]func(*testing.T, systemd.Socket, net.Listener){
		"not used": func(*testing.T, systemd.Socket, net.Listener) {},
		"closed":   func(_ *testing.T, s systemd.Socket, _ net.Listener) { s.Listener.Close() },
		"used and closed": func(t *testing.T, s systemd.Socket, systemds net.Listener) {
			acceptOne(t, s, systemds)
			s.Listener.Close()
		},
		"its server is gone": acceptOne,
	}
	for name, before := range tests {
		t.Run(name, func(t *testing.T) {
			s, systemds := passed(t)
			gs := drained(t, s)
			before(t, s, systemds)
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
		})
	}
}

// Its own limit is a second; a shorter one is that of the hook.
func TestHoldingEndsWithTheHook(t *testing.T) {
	s, systemds := passed(t)
	dial(t, systemds)
	conn, err := s.Listener.Accept()
	require.NoError(t, err)
	conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := systemd.New(systemd.Sockets(s))
	require.NoError(t, m.(shutdown.ShutdownStarter).ShutdownStart(ctx, errors.New("why")))
}

func TestSocketsOfOtherOrigin(t *testing.T) {
	assert.PanicsWithValue(t, `systemd: Sockets: socket "http" is not one that Listeners returned`, func() {
		systemd.Sockets(systemd.Socket{Name: "http", Listener: listenTCP(t)})
	})
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
	gs := drained(t, s) // a datagram socket has nothing to hold
	gs.Shutdown(nil)
	require.NoError(t, gs.Wait())

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
