package systemd

import "context"

// An Option changes how [New] works. A nil Option is skipped.
type Option interface{ apply(*manager) }

type optionFunc func(*manager)

func (f optionFunc) apply(m *manager) { f(m) }

// Watchdog asks check before each watchdog ping; if it fails, the ping is withheld and a STATUS
// line says why. When WatchdogSec is over without one, systemd ends the service with SIGABRT, which
// makes Go print the stacks of all goroutines, and restarts it. So check has to fail only for what
// a restart mends (a deadlock, a lost event loop), not because a database is away. By default every
// ping is sent: that proves no more than that the process runs.
//
// check gets a quarter of WatchdogSec; one that takes longer, panics or exits its goroutine has
// failed, and it is not called again before it has returned. From the trigger on it is not asked
// any more: a stop has its own limit. Watchdog panics if check is nil.
func Watchdog(check func(context.Context) error) Option {
	if check == nil {
		panic("systemd: Watchdog(nil): a function is needed")
	}
	return optionFunc(func(m *manager) { m.check = check })
}
