package shutdown

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
)

// silentConns are the connections of a gRPC server whose clients have not sent anything yet.
// GracefulStop would wait for their first bytes until grpc.ConnectionTimeout, and close one that
// was only just accepted. The others it knows, and loses none of their calls.
type silentConns struct {
	conns
	closed atomic.Bool
}

// close closes the silent connections, and from now on those that are accepted.
func (s *silentConns) close() {
	s.closed.Store(true)
	s.closeUnused()
}

type silentListener struct {
	net.Listener
	silent *silentConns
}

func (l silentListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := &silentConn{Conn: c}
	s.speaks = sync.OnceFunc(func() { l.silent.note(s, http.StateClosed) })
	l.silent.note(s, http.StateNew)
	if l.silent.closed.Load() {
		_ = closeGuarded(s)
	}
	return s, nil
}

// A silentConn is silent until its first Read has returned.
type silentConn struct {
	net.Conn
	speaks func() // takes it out of the silent ones
}

func (c *silentConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.speaks()
	return n, err
}

func (c *silentConn) Close() error {
	c.speaks()
	return c.Conn.Close()
}

// SyscallConn lets grpc read the options of the socket.
func (c *silentConn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, syscall.EINVAL
}
