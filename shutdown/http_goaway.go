package shutdown

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// A goAway finds the time at which an HTTP/2 connection can be told to leave without a loss.
//
// GOAWAY names the last request that will be answered. RFC 9113, 6.8, has a server name none at
// first, and the last one it has seen only a round trip later, because requests are on their way
// meanwhile. net/http names the last one that it has seen at once and throws away what is on its
// way: a client that has sent such a body once and cannot make another one loses the request. (A
// response that says "Connection: close" does that, and Shutdown does, too.)
//
// So responses are held back until nothing is on its way: a client that waits for answers sends
// nothing new. That costs those of one connection some time, once.
type goAway struct {
	ingress <-chan struct{} // closed when the server shuts down, which sends GOAWAY in any case
	events  atomic.Int64    // requests that have come, responses that have gone
	told    atomic.Bool
}

// A connection is quiet when nothing has happened on it for this long. It is counted in ticks, so
// that a process that was not running for a while does not take what has piled up meanwhile for
// quiet.
const (
	goAwayTick  = 10 * time.Millisecond
	goAwayQuiet = 10 // ticks
	goAwayMost  = 30 // ticks, after which a connection on which something always happens is told nevertheless
)

type goAwayKey struct{}

// goAwayContext returns a ConnContext that gives each connection its goAway.
func goAwayContext(
	ingress <-chan struct{}, next func(context.Context, net.Conn) context.Context,
) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context {
		if next != nil {
			ctx = next(ctx, c)
		}
		if ctx == nil {
			return nil // net/http has a panic of its own for that
		}
		return context.WithValue(ctx, goAwayKey{}, &goAway{ingress: ingress})
	}
}

// goAwayOf returns nil for a request that did not come over HTTP/2 to a server that was added.
func goAwayOf(r *http.Request) *goAway {
	if r.ProtoMajor != 2 {
		return nil
	}
	g, _ := r.Context().Value(goAwayKey{}).(*goAway)
	return g
}

func (g *goAway) event() {
	if g != nil {
		g.events.Add(1)
	}
}

// waitForQuiet returns when the connection is quiet, or gone is closed.
func (g *goAway) waitForQuiet(gone <-chan struct{}) {
	if g == nil {
		return
	}
	seen := g.events.Load()
	for n, quiet := 0, 0; n < goAwayMost && quiet < goAwayQuiet && !g.told.Load(); n++ {
		select {
		case <-time.After(goAwayTick):
		case <-g.ingress:
			return
		case <-gone:
			return
		}
		quiet++
		if now := g.events.Load(); now != seen {
			seen, quiet = now, 0
		}
	}
	g.told.Store(true)
}
