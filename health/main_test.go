package health_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain fails if a goroutine is left over when all tests have ended.
func TestMain(m *testing.M) {
	code := m.Run()
	if leaked := leakedGoroutines(); code == 0 && leaked != "" {
		fmt.Fprintf(os.Stderr, "goroutines left over:\n\n%s\n", leaked)
		code = 1
	}
	os.Exit(code)
}

// leakedGoroutines gives those that are ending some time to do so.
func leakedGoroutines() string {
	var leaked string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		var found []string
		for i, stack := range strings.Split(string(buf), "\n\n") {
			if i > 0 && (strings.Contains(stack, "gracekit/health") || strings.Contains(stack, "net/http.")) {
				found = append(found, stack)
			}
		}
		if leaked = strings.Join(found, "\n\n"); leaked == "" {
			return ""
		}
	}
	return leaked
}

// discardLog keeps what net/http says of refused handshakes out of the output of tests.
var discardLog = log.New(io.Discard, "", 0)

var errBad = errors.New("bad weather")

// listen returns a listener on loopback that is closed at the end of the test.
func listen(t testing.TB, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil && strings.HasPrefix(network, "tcp6") {
		t.Skipf("no IPv6 here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// closedAddr returns an address where nobody listens, and nobody else can: the port is that of a client's end of a connection.
func closedAddr(t testing.TB) string {
	t.Helper()
	hold := func(network, host, port string) (addr string, err error) {
		l, err := net.Listen(network, net.JoinHostPort(host, "0"))
		if err != nil {
			return "", err
		}
		t.Cleanup(func() { _ = l.Close() })
		local, err := net.ResolveTCPAddr(network, net.JoinHostPort(host, port))
		require.NoError(t, err)
		conn, err := (&net.Dialer{LocalAddr: local}).Dial(network, l.Addr().String())
		if err != nil {
			return "", err
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn.LocalAddr().String(), nil
	}
	addr, err := hold("tcp4", "127.0.0.1", "0")
	require.NoError(t, err)
	_, port, _ := net.SplitHostPort(addr)
	_, _ = hold("tcp6", "::1", port) // where there is IPv6
	return addr
}

// socketPath returns a path short enough for a unix socket (sun_path has 104 bytes on macOS).
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "health")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir + "/s"
}
