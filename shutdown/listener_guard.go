package shutdown

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/gracekit/gracekit/internal/guard"
)

// A guardedListener is one of a type that this package does not know. A server that shuts down
// waits until Accept has returned, so Accept returns soon after Close, whatever the listener does.
type guardedListener struct {
	net.Listener
	close  func() error
	closed chan struct{}
}

func newGuardedListener(l net.Listener) *guardedListener {
	g := &guardedListener{Listener: l, closed: make(chan struct{})}
	g.close = sync.OnceValue(func() error {
		defer close(g.closed)
		return closeGuarded(l)
	})
	return g
}

func (l *guardedListener) Close() error { return l.close() }

// unwrapped returns the caller's listener if l is what GoHTTP has made of it.
func unwrapped(l net.Listener) net.Listener {
	switch l := l.(type) {
	case *guardedListener:
		return l.Listener
	case *heldListener:
		if l.owned {
			return l.listener
		}
	}
	return l
}

func (l *guardedListener) Accept() (net.Conn, error) {
	var conn net.Conn
	call := guard.Go(context.Background(), "shutdown/accept", func() (err error) {
		conn, err = l.Listener.Accept()
		return err
	})
	select {
	case <-call.Done():
	case <-l.closed:
		if !call.WaitFor(guard.Moment) {
			go func() {
				<-call.Done()
				if conn != nil {
					_ = closeGuarded(conn)
				}
			}()
			return nil, net.ErrClosed
		}
	}
	return conn, call.Err()
}

// closeGuarded closes a listener or a connection, whose Close may be user code. net/http closes
// listeners under its lock, so one that hangs would keep it from closing anything else.
func closeGuarded(c io.Closer) error {
	err := guard.Within(closeWait, "shutdown/close", c.Close)
	if err == guard.ErrHangs { // never wrapped
		return fmt.Errorf("%w: Close of a %T has not returned", ErrTimeout, c)
	}
	return find(err, nil).err
}

// hasBroken reports whether err is that of a Close which has panicked, exited or hung. Other errors
// mostly say that it was closed before.
func hasBroken(err error) bool {
	_, panicked := err.(*PanicError)
	return panicked || err == errGoexit || guard.Is(err, ErrTimeout)
}
