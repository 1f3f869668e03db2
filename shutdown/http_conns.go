package shutdown

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// conns tracks the open connections of a server through its ConnState.
type conns struct {
	notes atomic.Int64 // so many states were noted

	mu    sync.Mutex
	open  map[net.Conn]conn
	empty chan struct{} // made by whenEmpty; closed when the last one goes
}

type conn struct {
	state   http.ConnState
	since   time.Time
	adopted bool // see note
}

func (c *conns) watch(next func(net.Conn, http.ConnState)) func(net.Conn, http.ConnState) {
	return func(nc net.Conn, state http.ConnState) {
		if reflect.ValueOf(nc).Comparable() { // a user's listener may return any type
			c.note(nc, state)
		}
		if next != nil {
			next(nc, state)
		}
	}
}

// note records a new state of a connection.
//
// A hijacked connection belongs to its owner and reports no more states, except with h2c.NewHandler
// of golang.org/x/net/http2, which serves it and reports Active and Idle but never Closed. So such
// an adopted connection counts as open only while it is Active, that is, while it has requests.
func (c *conns) note(nc net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes.Add(1)
	known, ok := c.open[nc]
	adopted := known.adopted || !ok && state != http.StateNew
	if state == http.StateClosed || state == http.StateHijacked || adopted && state == http.StateIdle {
		delete(c.open, nc)
	} else {
		c.open[nc] = conn{state, time.Now(), adopted}
	}
	if len(c.open) == 0 && c.empty != nil {
		close(c.empty)
		c.empty = nil
	}
}

func (c *conns) whenEmpty() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.empty == nil {
		c.empty = make(chan struct{})
	}
	return c.empty
}

func (c *conns) count(which func(conn) bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.open {
		if which(one) {
			n++
		}
	}
	return n
}

func (c *conns) busy() int {
	return c.count(func(one conn) bool { return one.state == http.StateActive })
}

const connsTick = 10 * time.Millisecond

// leastLinger is what a connection that was just accepted gets for its first request, also without
// Linger: it may have waited in the listener's queue, with its request. The same goes for one that
// is just active: net/http reads its request, and drops it if the server shuts down meanwhile.
const leastLinger = 100 * time.Millisecond

// linger is a lingerFunc that waits for active connections, too. It takes at most d if none was
// just accepted.
func (c *conns) linger(ctx context.Context, trigger time.Time, d time.Duration) {
	begun := time.Now()
	_ = c.wait(ctx, func(one conn) bool {
		fresh := one.state == http.StateNew || d == 0 && one.state == http.StateActive
		if fresh && time.Since(one.since) < leastLinger {
			return true
		}
		if one.since.Before(trigger) {
			one.since = trigger
		}
		return time.Since(begun) < d && (one.state == http.StateActive || time.Since(one.since) < d)
	})
}

// waitForAdopted returns when the adopted connections have no requests in flight. net/http waits
// for the others.
func (c *conns) waitForAdopted(ctx context.Context) error {
	return c.wait(ctx, func(one conn) bool { return one.adopted })
}

func (c *conns) wait(ctx context.Context, which func(conn) bool) error {
	empty := c.whenEmpty()
	for c.count(which) > 0 {
		last, over := time.Now(), false
		select {
		case <-empty:
			return nil
		case <-time.After(connsTick):
		case <-ctx.Done():
			over = true
		}
		if time.Since(last) > suspension {
			time.Sleep(suspension) // what came meanwhile is read first
		}
		if over {
			return context.Cause(ctx)
		}
	}
	return nil
}

// suspension is the time after which a process that should have gone on was suspended, or got no
// processor.
const suspension = 10 * connsTick

// closeUnused closes the connections that have never been used. net/http calls it when it shuts
// down: from then on net/http would discard what such a connection sends, and yet wait five seconds
// for it.
func (c *conns) closeUnused() {
	_ = c.closeAll(func(one conn) bool { return one.state == http.StateNew })
}

func (c *conns) closeAdopted() error { return c.closeAll(func(one conn) bool { return one.adopted }) }

func (c *conns) closeAll(which func(conn) bool) error {
	c.mu.Lock()
	var closing []net.Conn
	for nc, one := range c.open {
		if which(one) {
			closing = append(closing, nc)
		}
	}
	c.mu.Unlock()

	var errs []error
	for _, nc := range closing {
		if t, ok := nc.(*tls.Conn); ok {
			nc = t.NetConn() // Close of a TLS connection waits for its client
		}
		errs = append(errs, guard.Within(guard.Moment, "shutdown/close", nc.Close))
	}
	return errors.Join(errs...)
}
