package health

import (
	"encoding/json"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// An Event is a change of the state of a check, or the beginning of draining. There is none when
// the [Check] Grace of a pending check begins or ends: its state does not change then, only whether
// it fails a Live endpoint.
type Event struct {
	Check string    // its name; "" if the registry began to drain
	Kind  Kind      // of the check; Ready if the registry began to drain
	From  State     // the state before
	To    State     // the state from now on
	Time  time.Time // when it changed
	Err   error     // the failure that turned the check down, else nil
}

// MarshalJSON gives Err as its text.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Check    string `json:",omitempty"`
		Kind     Kind
		From, To State
		Time     time.Time
		Err      string `json:",omitempty"`
	}{e.Check, e.Kind, e.From, e.To, e.Time, textOf("", e.Err)})
}

// maxEvents bounds the queue of a function that hangs.
const maxEvents = 1024

// OnChange calls fn for every change of state from now on, one at a time and in order, in a
// goroutine that ends when all calls are made. No lock is held: fn may use the registry. A slow fn
// never delays a check. If more than 1,024 calls are waiting, of all functions together, the oldest
// are dropped. A panic in fn does not stop later calls; [Registry.Run] returns the first one in the
// end. OnChange panics if fn is nil.
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

// eventFailed keeps the first panic for Run. A Goexit is not reported.
func (r *Registry) eventFailed(err error) {
	p, ok := err.(*guard.Panic) // never wrapped
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.eventFailure == nil {
		r.eventFailure = newPanicError(p)
	}
}
