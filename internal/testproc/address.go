package testproc

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

var addresses atomic.Uint32 // given so far

// FreeAddress returns a TCP address of loopback for a program that is about to listen at it. Where
// all of 127.0.0.0/8 is loopback, the host is one that no other test has, so that nobody else gets
// the port before the program does.
func FreeAddress(t testing.TB) string {
	t.Helper()
	pid := os.Getpid()
	host := fmt.Sprintf("127.%d.%d.%d", 64+addresses.Add(1)%64, pid>>8&255, pid&255)
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}
