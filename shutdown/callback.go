package shutdown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Callback is a function that the stop calls.
type Callback struct {
	// Name stands for the callback in errors and the report. It must not be empty, but need not be
	// unique.
	Name string

	// Phase says when: all callbacks of a phase have returned or were abandoned before those of the
	// next are called. 0 means PhaseStore, when requests and background work have ended. It must
	// not be negative.
	Phase Phase

	// Timeout is the most it may take. It never gets more than what is left of Grace or, if that is
	// over, the phase's share of Tail; 0 means all of that.
	Timeout time.Duration

	// Func must not be nil. Its context has the values of the context given to Start or Run, but
	// does not end with it: it ends at the callback's deadline, with the cause ErrTimeout. Hurry or
	// a deadline of Before can end it earlier than its Deadline method says. Reason and
	// StopDeadline tell more about the stop.
	//
	// Func is called once, in a goroutine of its own, at the same time as the other callbacks of
	// its phase. If it has not returned by its deadline, the stop goes on without it.
	Func func(context.Context) error
}

// A Phase is a part of the stop. Any positive number is a phase; the named ones leave room for
// others between them.
type Phase int

// The phases of a stop. Servers drain in PhaseIngress, and components ([GracefulShutdown.Go]) are
// waited for in PhaseWork.
const (
	PhaseIngress Phase = 100 // take no new requests, answer those in flight
	PhaseWork    Phase = 200 // finish background work; GracefulShutdown.Context ends as it begins
	PhaseStore   Phase = 300 // close databases, caches, queues
	PhaseFlush   Phase = 400 // write out logs, traces, metrics of all the above
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

// AddCallback adds functions for the stop to call, before or after Start. It adds all of them or
// none. It returns [ErrShuttingDown] after the trigger, and an error that names each invalid
// callback and what is wrong with it.
func (gs *GracefulShutdown) AddCallback(callbacks ...Callback) error {
	return gs.add(func() error {
		var steps []*step
		var errs []error
		for _, c := range callbacks {
			steps, errs = append(steps, c.step()), append(errs, c.validate())
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		gs.steps = append(gs.steps, steps...)
		return nil
	})
}

// Register is [GracefulShutdown.AddCallback] for something that may go before the service stops: a
// tenant's pool, a temporary file. remove takes the callback out again and reports whether it did.
// If so, the caller closes the thing; if not, the stop has begun and calls the callback, or remove
// was called before. So it is closed exactly once. remove is never nil; after an error it returns
// false.
func (gs *GracefulShutdown) Register(c Callback) (remove func() bool, err error) {
	s := c.step()
	err = gs.add(func() error {
		if err := c.validate(); err != nil {
			return err
		}
		gs.steps = append(gs.steps, s)
		return nil
	})
	return func() bool {
		gs.mu.Lock()
		defer gs.mu.Unlock()
		return !gs.isDraining() && gs.removeLocked(s)
	}, err
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

// Reason returns why the service stops: the reason that the first request gave. ctx is the context
// of a callback or a hook; for any other context Reason returns nil.
func Reason(ctx context.Context) error {
	if s := stopOf(ctx); s != nil {
		return s.reason
	}
	return nil
}

// StopDeadline returns when the whole stop is over at the latest, Grace+Tail after the request: a
// callback or a hook can tell a platform how long to wait. [Before] and [GracefulShutdown.Hurry]
// may move it nearer. ctx is the context of a callback or a hook, whose own deadline is earlier;
// for any other context StopDeadline returns the zero Time.
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
