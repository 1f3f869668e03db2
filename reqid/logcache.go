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
	seen    [4]atomic.Pointer[logHandler]
	missed  atomic.Uint32
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

// first reports whether from is none of the handlers that missed the cache lately, and
// so perhaps one that is used only once.
func (c *handlerCache) first(from *logHandler) bool {
	for i := range c.seen {
		if c.seen[i].Load() == from {
			return false
		}
	}
	i := (c.missed.Add(1) - 1) % uint32(len(c.seen))
	c.seen[i].Store(from)
	return true
}

func (c *handlerCache) add(from *logHandler, u *user, taken fields, h slog.Handler) {
	i := (c.added.Add(1) - 1) % uint32(len(c.entries))
	c.entries[i].Store(&derivedHandler{from, u, taken, h})
}
