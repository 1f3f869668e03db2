package shutdown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Callback is something to do when the service stops.
type Callback struct {
	// Name is what errors and the report call it. It must not be empty, but need not be unique.
	Name string

	// Phase says when: callbacks of a lower phase have returned, or were given up, before those of
	// a higher one are called. 0 means PhaseStore, where nothing is in flight any more that could
	// need what is closed. It must not be negative.
	Phase Phase

	// Timeout is the most it may take. 0 means what is left of Grace or, if that is over, the
	// phase's share of Tail; it never gets more than that.
	Timeout time.Duration

	// Func does it; it must not be nil. Its context ends at the callback's deadline, with the cause
	// ErrTimeout, and not before: the values of the context given to Start or Run are in it, but
	// its end is not passed on. Reason returns why the service stops. If Hurry or a deadline of
	// Before comes while Func runs, its context ends before the deadline that it had at first.
	//
	// Func is called once, in a goroutine of its own, at the same time as the other callbacks of
	// its phase. After its deadline it is abandoned: the stop does not wait for it any longer.
	Func func(context.Context) error
}

// A Phase is a part of the stop. Any positive number is a phase of its own; the named ones leave
// room between them.
type Phase int

// The phases of a stop. HTTP and gRPC servers drain in PhaseIngress, components
// ([GracefulShutdown.Go]) are waited for in PhaseWork.
const (
	PhaseIngress Phase = 100 // take no new requests, answer those in flight
	PhaseWork    Phase = 200 // finish background work; GracefulShutdown.Context ends as it begins
	PhaseStore   Phase = 300 // close databases, caches, queues
	PhaseFlush   Phase = 400 // write out logs, traces, metrics about all of the above
)

// String returns "ingress", "work", "store" or "flush", and "phase 250" for a phase without a name.
func (p Phase) String() string {
	switch p {
	case PhaseIngress:
		return "ingress"
	case PhaseWork:
		return "work"
	case PhaseStore:
		return "store"
	case PhaseFlush:
		return "flush"
	}
	return fmt.Sprintf("phase %d", int(p))
}

// AddCallback adds what is to be done when the service stops; it may be called before or after
// Start. It returns [ErrShuttingDown] after the trigger, and an error that names the callback and
// what is wrong with it; it adds all of the callbacks or none.
func (gs *GracefulShutdown) AddCallback(callbacks ...Callback) error {
	return gs.add(func() error {
		var errs []error
		for _, c := range callbacks {
			errs = append(errs, c.validate())
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for _, c := range callbacks {
			gs.steps = append(gs.steps, c.step())
		}
		return nil
	})
}

// Register is [GracefulShutdown.AddCallback] for what may go before the service stops: a tenant's
// pool, a temporary file. remove takes the callback out again and reports whether it did: false
// means that the stop has begun, which calls the callback or has called it, or that it was removed
// before. So exactly one of the two closes what is to be closed. remove is never nil.
func (gs *GracefulShutdown) Register(c Callback) (remove func() bool, err error) {
	s := c.step()
	err = gs.add(func() error {
		if err := c.validate(); err != nil {
			return err
		}
		gs.steps = append(gs.steps, s)
		return nil
	})
	return func() bool { return gs.remove(s) }, err
}

func (c Callback) validate() error {
	switch {
	case c.Name == "":
		return errors.New("shutdown: callback without a Name")
	case c.Func == nil:
		return fmt.Errorf("shutdown: callback %q has no Func", c.Name)
	case c.Phase < 0:
		return fmt.Errorf("shutdown: callback %q: Phase is %d, want a positive number", c.Name, int(c.Phase))
	case c.Timeout < 0:
		return fmt.Errorf("shutdown: callback %q: Timeout is %v, must not be negative", c.Name, c.Timeout)
	}
	return nil
}

func (c Callback) step() *step {
	if c.Phase == 0 {
		c.Phase = PhaseStore
	}
	return &step{name: c.Name, stage: stage{kindPhase, c.Phase}, timeout: c.Timeout, run: c.Func}
}

// Closer returns a callback that closes c in [PhaseStore]: databases, message brokers, files. If c
// is nil, [GracefulShutdown.AddCallback] returns an error.
func Closer(name string, c io.Closer) Callback {
	callback := Callback{Name: name, Phase: PhaseStore}
	if !isNil(c) {
		callback.Func = func(context.Context) error { return c.Close() }
	}
	return callback
}

// Reason returns why the service stops, for the context of a callback or a hook: the reason that
// the first request gave. It returns nil for any other context.
func Reason(ctx context.Context) error {
	if s := stopOf(ctx); s != nil {
		return s.reason
	}
	return nil
}

// StopDeadline returns when the whole stop is over at the latest, Grace+Tail after the request, for
// the context of a callback or a hook: to tell a platform how long to wait. It may come nearer, see
// [Before] and [GracefulShutdown.Hurry]. The callback's own deadline, which is earlier, is that of
// its context. StopDeadline returns the zero Time for any other context.
func StopDeadline(ctx context.Context) time.Time {
	if s := stopOf(ctx); s != nil {
		_, _, end := s.gs.clock.ends()
		return end
	}
	return time.Time{}
}

func stopOf(ctx context.Context) *stop {
	s, _ := ctx.Value(stopKey{}).(*stop)
	return s
}
