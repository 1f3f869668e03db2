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

// HoldListener wraps a listening socket that is shared with another process: the next process of
// this service, or systemd. The listener that it returns accepts from l until Delay is over. Then
// it stops, without closing the socket, so that new connections wait in the socket's queue for the
// other process. Connections accepted before get Linger to be answered.
//
//	l, err := gs.HoldListener(l)
//	if err != nil { … }
//	gs.GoHTTP("api", srv, l)
//
// Without it, requests are lost under load: [net/http.Server.Shutdown] closes, without an answer, a
// connection that was accepted but whose request it has not read yet (conn.serve in net/http), and
// while connections come in there is always one. Leave Delay at 0 if only the process changes and
// not the address: a balancer has nothing to notice then.
//
// l is a *[net.TCPListener] or *[net.UnixListener], or has a SetDeadline that ends an Accept in
// progress as theirs does; from now on only this package may call it. For TLS, hold first, then
// call [crypto/tls.NewListener] or ServeTLS. Once held, Accept waits until the returned listener is
// closed, and then returns an error that Is [net.ErrClosed]. The servers of this package close it
// when they drain; for any other server the caller must.
//
// A server calls Accept again once it has taken note of a connection, and the stop waits for that,
// a second at most. An HTTP server then knows when all its connections are done, and so does one of
// GoGRPC. With one of AddGRPCServer, the full Linger is waited for.
//
// How the socket gets to the other process matters:
//
//   - Both need the same socket. Two sockets with one address (SO_REUSEPORT) have two queues, and
//     closing one loses its queue.
//   - Do not pass on the file that the listener's File method returns: its Fd, which os/exec calls
//     as well, puts the socket into blocking mode in all processes. An Accept that blocks in the
//     kernel can neither be held nor closed. Duplicate the descriptor inside of Control of
//     SyscallConn instead, as examples/upgrade does.
//   - A Unix socket made by [net.Listen] removes its file when it is closed, unless
//     SetUnlinkOnClose(false) is called.
//
// It returns [ErrShuttingDown] after the trigger, an error if l is nil or has no SetDeadline, and
// the error of SetDeadline if that fails (l is closed, or the system does not support it). The
// caller must then close l.
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

// A heldListener stops accepting when it is held. If it is owned, the queue of its socket is then
// taken and the socket is closed; otherwise both are left to another process.
type heldListener struct {
	listener deadlineListener
	owned    bool

	mu        sync.Mutex
	accepting int // calls of Accept in progress
	acceptors int // the most at the same time: the number of goroutines that accept
	waiting   int // calls of Accept that wait for Close
	held      bool
	queue     []net.Conn // taken from the socket, and not yet returned by Accept

	taken  chan struct{} // closed when queue is complete
	failed error         // why it may not be; readable after taken
	idle   chan struct{} // closed when all its goroutines wait: the server knows all connections
	closed chan struct{}

	onceClose sync.Once
}

func newHeldListener(l deadlineListener, owned bool) *heldListener {
	return &heldListener{
		listener: l, owned: owned,
		taken: make(chan struct{}), idle: make(chan struct{}), closed: make(chan struct{}),
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

// next returns a connection from the queue, or nil, and then counts the caller as waiting for
// Close.
func (l *heldListener) next() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) > 0 {
		conn := l.queue[0]
		l.queue = l.queue[1:]
		return conn
	}
	l.waiting++
	if l.waiting == l.acceptors {
		close(l.idle)
	}
	return nil
}

func (l *heldListener) enter() (held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepting++
	if !l.held {
		l.acceptors = max(l.acceptors, l.accepting)
	}
	return l.held
}

func (l *heldListener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepting--
}

// expectAccept makes hold wait for a server that is about to call Accept for the first time.
func (l *heldListener) expectAccept() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acceptors = max(l.acceptors, 1)
}

func (l *heldListener) isHeld() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

func (l *heldListener) Close() error {
	l.onceClose.Do(func() { close(l.closed) })
	err := closeGuarded(l.listener)
	l.dropUnserved()
	switch {
	case !l.owned || !l.isHeld():
		return err
	case isClosed(l.taken): // takeQueue has closed it
		return l.failed
	}
	return nil
}

// dropUnserved closes what is in the queue if l is closed and no server has begun to accept.
func (l *heldListener) dropUnserved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acceptors > 0 || !isClosed(l.closed) {
		return
	}
	for _, conn := range l.queue {
		_ = conn.Close() // of package net, see takeQueue
	}
	l.queue = nil
}

func (l *heldListener) Addr() net.Addr { return l.listener.Addr() }

// closeWait is how long a server gets to call Accept again. It does so at once, unless it has ended
// without closing its listener.
const closeWait = time.Second

// hold makes listeners stop accepting. It returns when the servers know of all connections
// accepted, or ctx ends.
func hold(ctx context.Context, listeners []*heldListener) error {
	// Mark all first: two of them may share one socket, and so its deadline.
	var used []*heldListener
	for _, l := range listeners {
		l.mu.Lock()
		l.held = true
		if l.acceptors > 0 {
			used = append(used, l)
		}
		l.mu.Unlock()
	}
	for _, l := range listeners {
		guard.Then(ctx, "shutdown/close", l.hold, func(err error) {
			l.failed = find(err, nil).err
			close(l.taken)
		})
	}
	for _, l := range used {
		select {
		case <-l.idle:
		case <-l.closed:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// hold ends the calls of Accept in progress. If SetDeadline fails, the socket is closed and accepts
// nothing anyway.
func (l *heldListener) hold() error {
	if err := l.listener.SetDeadline(time.Unix(1, 0)); err != nil || !l.owned {
		return nil
	}
	queue, err := takeQueue(l.listener)
	l.mu.Lock()
	l.queue = queue
	l.mu.Unlock()
	l.dropUnserved()
	return err
}
