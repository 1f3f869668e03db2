package reqid

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// handlerCache holds what logHandler.derive has made in one request. It is small and
// overwrites: a program has few loggers, but a loop may make one in each round.
type handlerCache struct {
	entries [4]atomic.Pointer[derivedHandler]
	added   atomic.Uint32
	missed  atomic.Pointer[logHandler]
}

type derivedHandler struct {
	from  *logHandler
	user  *user
	taken fields
	slog.Handler
}

func (c *handlerCache) find(from *logHandler, u *user, taken fields) slog.Handler {
	for i := range c.entries {
		if d := c.entries[i].Load(); d != nil && d.from == from && d.user == u && d.taken == taken {
			return d.Handler
		}
	}
	return nil
}

// first reports whether from is not the handler that missed the cache last, and so
// perhaps one that is used only once.
func (c *handlerCache) first(from *logHandler) bool {
	return c.missed.Swap(from) != from
}

func (c *handlerCache) add(from *logHandler, u *user, taken fields, h slog.Handler) {
	i := (c.added.Add(1) - 1) % uint32(len(c.entries))
	c.entries[i].Store(&derivedHandler{from, u, taken, h})
}

// L returns a logger for the request of ctx, for code that logs without passing a context:
// reqid.L(ctx).Info("done") has requestID and username. It is the one given to
// [Middleware] by [Logger], otherwise slog.Default at the time of the call; it need not
// have a [LogHandler], and if it has, nothing is added twice. The user is looked up at
// each record, so a logger kept from before [SetUser] logs it too.
//
// A record that is given a context with another request ID gets that one. If ctx has
// no request ID, L returns slog.Default.
func L(ctx context.Context) *slog.Logger {
	s := scopeOf(ctx)
	if s == nil {
		return slog.Default()
	}
	base := s.logger
	if base == nil {
		base = slog.Default()
	}
	if b := s.bound.Load(); b != nil && b.base == base {
		return b.Logger
	}
	h, _ := LogHandler(base.Handler()).(*logHandler)
	bound := *h
	bound.bound = s
	b := &boundLogger{base: base, Logger: slog.New(&bound)}
	s.bound.Store(b)
	return b.Logger
}

// boundLogger is what L returned last, and what it made it from.
type boundLogger struct {
	base *slog.Logger
	*slog.Logger
}
