package health

import (
	"runtime/debug"
	"time"
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
	r.events.funcs = append(r.events.funcs, fn)
}

// An eventQueue holds the calls that are still to be made. The mutex of its registry guards it.
type eventQueue struct {
	funcs   []func(Event)
	waiting []delivery
	running bool // deliver is
	failure error
}

type delivery struct {
	fn    func(Event)
	event Event
}

func (q *eventQueue) emitLocked(r *Registry, e Event) {
	for _, fn := range q.funcs {
		q.waiting = append(q.waiting, delivery{fn, e})
	}
	if excess := len(q.waiting) - maxEvents; excess > 0 {
		q.waiting = q.waiting[excess:]
	}
	if len(q.waiting) > 0 && !q.running {
		q.running = true
		go r.deliver()
	}
}

// deliver makes the calls that wait, and ends when there are none.
func (r *Registry) deliver() {
	done := false
	defer func() {
		if !done { // a function called runtime.Goexit
			go r.deliver()
		}
	}()
	for {
		d, ok := r.nextDelivery()
		if !ok {
			done = true
			return
		}
		r.call(d)
	}
}

func (r *Registry) nextDelivery() (delivery, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := &r.events
	if len(q.waiting) == 0 {
		q.running = false
		return delivery{}, false
	}
	d := q.waiting[0]
	q.waiting = q.waiting[1:]
	return d, true
}

func (r *Registry) call(d delivery) {
	defer func() {
		if v := recover(); v != nil {
			err := &PanicError{Value: v, Stack: debug.Stack()}
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.events.failure == nil {
				r.events.failure = err
			}
		}
	}()
	d.fn(d.event)
}
