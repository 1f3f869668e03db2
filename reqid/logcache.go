package reqid

import (
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
