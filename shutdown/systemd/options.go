package systemd

import (
	"context"
	"fmt"
)

// An Option changes how [New] works. A nil Option is skipped.
type Option interface{ apply(*manager) }

type optionFunc func(*manager)

func (f optionFunc) apply(m *manager) { f(m) }

// Watchdog asks check before each watchdog ping; if it fails, the ping is withheld and a STATUS line says why. When WatchdogSec is over
// without one, systemd ends the service with SIGABRT, which makes Go print the stacks of all goroutines, and restarts it. So check has to
// fail only for what a restart mends (a deadlock, a lost event loop), not because a database is away. By default every ping is sent: that
// proves no more than that the process runs.
//
// check gets a quarter of WatchdogSec; one that takes longer, panics or exits its goroutine has failed, and it is not called again
// before it has returned. From the trigger on it is not asked any more: a stop has its own limit.
// Watchdog panics if check is nil.
func Watchdog(check func(context.Context) error) Option {
	if check == nil {
		panic("systemd: Watchdog(nil): a function is needed")
	}
	return optionFunc(func(m *manager) { m.check = check })
}

// Sockets makes a restart of a socket-activated service lose no request: from the trigger on, nothing more is accepted from the stream sockets
// among these, which come from [Listeners]. What connects then waits in systemd's queue for the next process, and what was accepted is
// answered within the shutdown's Linger.
//
// Otherwise requests are lost under load: [net/http.Server.Shutdown] closes, without an answer, a connection that was accepted before but
// whose request it has not read yet (conn.serve in net/http), and there is no moment without one. Leave the shutdown's Delay at 0: nobody has
// to notice anything, and what connects would only wait longer. It works without NOTIFY_SOCKET as well.
// Sockets panics if a Socket does not come from Listeners.
func Sockets(sockets ...Socket) Option {
	var listeners []*heldListener
	for _, s := range sockets {
		l, ok := s.Listener.(*heldListener)
		if !ok && s.PacketConn == nil {
			panic(fmt.Sprintf("systemd: Sockets: socket %q is not one that Listeners returned", s.Name))
		}
		if ok {
			listeners = append(listeners, l)
		}
	}
	return optionFunc(func(m *manager) { m.listeners = listeners })
}
