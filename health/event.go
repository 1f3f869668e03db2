package health

import (
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// An Event is a change of the state of a check, or the beginning of draining. When the [Check] Grace of a pending check begins or
// runs out, its state does not change, only whether it fails a Live endpoint: there is no Event of that.
type Event struct {
	Check string    // its name; "" if the registry began to drain
	Kind  Kind      // of the check; Ready if the registry began to drain
	From  State     // the state before
	To    State     // the state from now on
	Time  time.Time // when it changed
	Err   error     // the failure that turned the check down, else nil
}

// maxEvents bounds what a function that hangs can make the queue grow to.
const maxEvents = 1024

// OnChange has fn called for every change of state from now on. Calls are made one at a time and in the order
// of the changes, in a goroutine that ends when all are made. No lock is held: fn may use the registry. It
// never holds up a check: a slow fn gets its events later, and if more than 1,024 calls are waiting, of all functions
// together, the oldest are dropped. A panic in fn does not stop later calls; the first one is what [Registry.Run] returns
// in the end. OnChange panics if fn is nil.
func (r *Registry) OnChange(fn func(Event)) {
	if fn == nil {
		panic("health: OnChange(nil): expected a function")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onChange = append(r.onChange, fn)
}

// emitLocked never runs user code itself: the queue has a goroutine for it.
func (r *Registry) emitLocked(e Event) {
	for _, fn := range r.onChange {
		r.events.Add(func() { fn(e) })
	}
}

// eventFailed keeps the first panic for Run. A Goexit is nothing to report.
func (r *Registry) eventFailed(err error) {
	p, ok := err.(*guard.Panic) //nolint:errorlint // never wrapped
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.eventFailure == nil {
		r.eventFailure = newPanicError(p)
	}
}
