//go:build unix

package integration_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two processes have one socket. Clients that make a connection for each call meet the moment of
// the change: GracefulStop closes a connection that was accepted but not set up, and the call
// fails.
func TestGRPCHandover(t *testing.T) {
	var shared net.Listener
	short := load{10, 1, newShortGRPCClient}
	run(t, framework{"HoldListener", func(t *testing.T, i *instance) {
		l := shared
		if l == nil {
			l = i.listen(t)
			shared = share(t, l)
		}
		i.addr = l.Addr().String()
		held, err := i.HoldListener(l)
		require.NoError(t, err)
		require.NoError(t, i.GoGRPC("api", newGRPCServer(i), held))
	}, append(grpcLoads, short)})
}

// share returns another listener with the socket of l. See HoldListener for why it does without
// File of l.
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
