package shutdown

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// A goAway finds a time at which an HTTP/2 connection can be told to leave without losing a
// request.
//
// GOAWAY names the last request that will be answered. Others may be on their way, so RFC 9113,
// 6.8, recommends a first GOAWAY without a limit, and a second one a round trip later. net/http
// names the last request seen at once and discards the others; a client that cannot send a body
// again loses its request. (A response with "Connection: close" triggers this, and so does
// Shutdown.)
//
// So responses are held back until nothing is on its way: a client that waits for answers sends
// nothing new. This delays the responses of each connection a little, once.
type goAway struct {
	ingress <-chan struct{} // closed when the server shuts down, which sends GOAWAY in any case
	events  atomic.Int64    // requests received and responses sent
	told    atomic.Bool
}

// A connection is quiet when nothing has happened on it for goAwayQuiet. That is counted in ticks,
// so that a process that was suspended does not take the pause for quiet.
const (
	goAwayTick  = 10 * time.Millisecond
	goAwayQuiet = 10 // ticks
	goAwayMost  = 30 // ticks, after which even a busy connection is told
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
			return nil // net/http panics with a message for this
		}
		return context.WithValue(ctx, goAwayKey{}, &goAway{ingress: ingress})
	}
}

// goAwayOf returns nil unless r came over HTTP/2 to a server that was added.
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
