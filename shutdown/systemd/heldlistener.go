package systemd

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A heldListener can cease to accept without being closed, so that what connects waits for the next process that has the socket.
type heldListener struct {
	deadlineListener

	used atomic.Bool   // Accept was called
	held chan struct{} // closed when nothing more is accepted
	back chan struct{} // closed when an Accept waits because of that: what the ones before it returned is in the server's hands

	closed                        chan struct{}
	onceHeld, onceBack, onceClose sync.Once
}

// A deadlineListener is a *net.TCPListener or *net.UnixListener.
type deadlineListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

func newHeldListener(l deadlineListener) *heldListener {
	return &heldListener{deadlineListener: l, held: make(chan struct{}), back: make(chan struct{}), closed: make(chan struct{})}
}

// Accept waits for Close when the listener is held.
func (l *heldListener) Accept() (net.Conn, error) {
	l.used.Store(true)
	if !l.isHeld() {
		conn, err := l.deadlineListener.Accept()
		if err == nil || !l.isHeld() {
			return conn, err
		}
	}
	l.onceBack.Do(func() { close(l.back) })
	<-l.closed
	return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
}

func (l *heldListener) isHeld() bool {
	select {
	case <-l.held:
		return true
	default:
		return false
	}
}

// holdWait is how long hold waits for a server that has called Accept to call it again. It does so at once, unless it has ended without
// closing its listener.
const holdWait = time.Second

// hold makes Accept accept nothing more, and returns when the server knows of all connections that it has accepted: when it comes back for
// the next one.
func (l *heldListener) hold(ctx context.Context) {
	l.onceHeld.Do(func() { close(l.held) })
	_ = l.SetDeadline(time.Unix(1, 0)) // ends an Accept in progress; an error says that the listener is closed, and so does l.closed
	if !l.used.Load() {
		return
	}
	timer := time.NewTimer(holdWait)
	defer timer.Stop()
	select {
	case <-l.back:
	case <-l.closed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Close may be called more than once, like that of the listeners of package net.
func (l *heldListener) Close() error {
	l.onceClose.Do(func() { close(l.closed) })
	return l.deadlineListener.Close()
}
