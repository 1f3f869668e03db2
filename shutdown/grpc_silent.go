package shutdown

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// silentConns are the connections of a gRPC server whose clients have not sent anything yet.
// GracefulStop would wait for their first bytes until grpc.ConnectionTimeout, and close one that
// was only just accepted. The others it knows, and loses none of their calls.
type silentConns struct {
	mu     sync.Mutex
	conns  map[*silentConn]time.Time // when they were accepted
	closed bool
}

// linger is a lingerFunc. A connection that has spoken needs none.
func (s *silentConns) linger(ctx context.Context, trigger time.Time, d time.Duration) {
	for {
		since, some := s.youngest()
		if since.Before(trigger) {
			since = trigger
		}
		if !some || time.Since(since) >= d {
			return
		}
		select {
		case <-time.After(connsTick):
		case <-ctx.Done():
			return
		}
	}
}

// youngest returns when the last of them was accepted.
func (s *silentConns) youngest() (accepted time.Time, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.conns {
		if at.After(accepted) {
			accepted = at
		}
	}
	return accepted, len(s.conns) > 0
}

// add returns false if the silent connections have been closed.
func (s *silentConns) add(c *silentConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.conns == nil {
		s.conns = make(map[*silentConn]time.Time)
	}
	s.conns[c] = time.Now()
	return true
}

func (s *silentConns) remove(c *silentConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// close closes the silent connections, and from now on those that are accepted.
func (s *silentConns) close() {
	s.mu.Lock()
	conns := s.conns
	s.conns, s.closed = nil, true
	s.mu.Unlock()
	for c := range conns {
		_ = closeGuarded(c.Conn)
	}
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
	s := &silentConn{Conn: c, silent: l.silent}
	if !l.silent.add(s) {
		_ = closeGuarded(c)
	}
	return s, nil
}

// A silentConn is silent until its first Read has returned.
type silentConn struct {
	net.Conn
	silent *silentConns
	once   sync.Once
}

func (c *silentConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.once.Do(func() { c.silent.remove(c) })
	return n, err
}

func (c *silentConn) Close() error {
	c.once.Do(func() { c.silent.remove(c) })
	return c.Conn.Close()
}

// SyscallConn lets grpc read the options of the socket.
func (c *silentConn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, syscall.EINVAL
}
