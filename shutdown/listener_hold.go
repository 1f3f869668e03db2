package shutdown

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// HoldListener wraps a listening socket that another process has, too: the next process of this
// service, or systemd. The listener that it returns accepts from l until Delay is over, and nothing
// from then on, without closing the socket: new connections wait in the socket's queue for the next
// process that accepts. What was accepted before gets Linger to be answered.
//
//	l, err := gs.HoldListener(l)
//	if err != nil { … }
//	gs.GoHTTP("api", srv, l)
//
// Without it requests are lost under load: [net/http.Server.Shutdown] closes, without an answer, a
// connection that was accepted but whose request it has not read yet (conn.serve in net/http), and
// while connections come in there is always one. Leave Delay at 0 where only the process changes
// and not the address: there is nothing to notice for a balancer.
//
// l is a *[net.TCPListener] or *[net.UnixListener], or has a SetDeadline that ends an Accept in
// progress as theirs does; from now on only this package may call it. TLS comes on top: hold first,
// then [crypto/tls.NewListener] or ServeTLS. Once held, Accept waits until the listener that
// HoldListener has returned is closed, which the servers of this package do when they drain; for
// any other server the caller does. It returns [net.ErrClosed] then.
//
// A server comes back to Accept when it has taken note of a connection, so this is waited for, a
// second at most. An HTTP server knows from there when all connections are done with. A gRPC server
// does not: if there is one, Linger is waited for in full.
//
// How the socket gets to the other process matters:
//
//   - Both need the same socket. Two sockets with one address (SO_REUSEPORT) have two queues, and what
//     is in the one that is closed is lost.
//   - The file that File of a listener returns has a method Fd, which os/exec calls as well, that puts
//     the socket into blocking mode, in all processes at the same time. An Accept that is blocked by the
//     kernel can neither be held nor closed. Duplicate the descriptor inside of Control of
//     SyscallConn instead, as examples/upgrade does.
//   - A Unix socket made by [net.Listen] removes its file when it is closed, unless
//     SetUnlinkOnClose(false) is called.
//
// It returns [ErrShuttingDown] after the trigger, an error if l is nil or has no SetDeadline, and
// that of SetDeadline if this does not work (l is closed, or the system has none). l is then still
// the caller's to close.
func (gs *GracefulShutdown) HoldListener(l net.Listener) (net.Listener, error) {
	if l == nil {
		return nil, errors.New("shutdown: HoldListener: the listener is nil")
	}
	d, ok := l.(deadlineListener)
	if !ok {
		return nil, fmt.Errorf("shutdown: HoldListener: %T has no SetDeadline; "+
			"hold the listener inside of it, and wrap (TLS) what this returns", l)
	}
	if err := d.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("shutdown: HoldListener: %w", err)
	}
	held := newHeldListener(d, false)
	err := gs.add(func() error {
		gs.held = append(gs.held, held)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

type deadlineListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

// A heldListener ceases to accept when Delay is over. If it is owned, what waits in the queue of
// its socket is taken and the socket is closed; else both are left to another process.
type heldListener struct {
	listener deadlineListener
	owned    bool

	mu        sync.Mutex
	accepting int // calls of Accept in progress
	most      int // the most there were at the same time: so many goroutines accept
	waiting   int // calls of Accept that wait for Close
	held      bool
	queue     []net.Conn // taken, and not yet returned by Accept

	taken     chan struct{} // closed when queue is complete
	back      chan struct{} // closed when all that accept wait: the server has all that was accepted
	closed    chan struct{}
	onceClose sync.Once
}

func newHeldListener(l deadlineListener, owned bool) *heldListener {
	return &heldListener{
		listener: l, owned: owned,
		taken: make(chan struct{}), back: make(chan struct{}), closed: make(chan struct{}),
	}
}

func (l *heldListener) Accept() (net.Conn, error) {
	held := l.enter()
	defer l.leave()
	if !held {
		conn, err := l.listener.Accept()
		if err == nil || !l.isHeld() {
			return conn, err
		}
	}
	select {
	case <-l.taken:
	case <-l.closed:
	}
	if conn := l.next(); conn != nil {
		return conn, nil
	}
	<-l.closed
	return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
}

// next returns a connection of the queue, or nil and counts the caller as one that waits for Close.
func (l *heldListener) next() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) > 0 {
		conn := l.queue[0]
		l.queue = l.queue[1:]
		return conn
	}
	l.waiting++
	if l.waiting == l.most {
		close(l.back)
	}
	return nil
}

func (l *heldListener) enter() (held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepting++
	if !l.held {
		l.most = max(l.most, l.accepting)
	}
	return l.held
}

func (l *heldListener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepting--
}

func (l *heldListener) isHeld() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// Close may be called more than once, like that of the listeners of package net.
func (l *heldListener) Close() error {
	l.onceClose.Do(func() { close(l.closed) })
	err := closeGuarded(l.listener)
	if l.owned && l.isHeld() { // it was closed before
		return nil
	}
	return err
}

func (l *heldListener) Addr() net.Addr { return l.listener.Addr() }

// closeWait is how long a server that has called Accept is waited for to call it again. It does so
// at once, unless it has ended without closing its listener.
const closeWait = time.Second

// hold makes the held listeners accept nothing more, and returns when the servers know of all that
// was accepted, or ctx ends.
func (gs *GracefulShutdown) hold(ctx context.Context) error {
	// All are marked first: two of them may have one socket, and its deadline.
	var used []*heldListener
	for _, l := range gs.held {
		l.mu.Lock()
		l.held = true
		if l.most > 0 {
			used = append(used, l)
		}
		l.mu.Unlock()
	}
	for _, l := range gs.held {
		guard.Go(ctx, "shutdown/close", l.hold)
	}
	for _, l := range used {
		select {
		case <-l.back:
		case <-l.closed:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// hold ends the calls of Accept in progress. An error of SetDeadline says that the socket is
// closed; then nothing is accepted anyway.
func (l *heldListener) hold() error {
	defer close(l.taken)
	err := l.listener.SetDeadline(time.Unix(1, 0))
	if !l.owned || err != nil {
		return err
	}
	queue, err := takeQueue(l.listener)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = queue
	return err
}
