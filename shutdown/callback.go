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

	// Phase says when: callbacks of a lower phase have returned, or were given up, before those of a higher one are
	// called. 0 means PhaseStore, where nothing is in flight any more that could need what is closed. It must not be negative.
	Phase Phase

	// Timeout is the most it may take. 0 means what is left of Grace or, if that is over, the phase's share of Tail; it never gets more
	// than that.
	Timeout time.Duration

	// Func does it; it must not be nil. Its context ends at the callback's deadline, with the cause ErrTimeout, and not before: the
	// values of the context given to Start or Run are in it, but its end is not passed on. Reason returns why the service stops.
	//
	// Func is called once, in a goroutine of its own, at the same time as the other callbacks of its phase. After its deadline nobody
	// waits for it any more.
	Func func(context.Context) error
}

// A Phase is a step of the stop. Any positive number is a phase of its own; the named ones leave room between them.
type Phase int

// The phases of a stop. HTTP and gRPC servers drain in PhaseIngress, components ([GracefulShutdown.Go]) are waited for in PhaseWork.
const (
	PhaseIngress Phase = 100 // stop taking requests in, answer those that are there
	PhaseWork    Phase = 200 // finish background work; when it begins, the context of GracefulShutdown.Context ends
	PhaseStore   Phase = 300 // close databases, caches, queues
	PhaseFlush   Phase = 400 // write out logs, traces, metrics about all of the above
)

// The managers' hooks run before and after all phases.
const (
	phaseStart  Phase = -1
	phaseFinish Phase = -2
)

// String returns "ingress", "work", "store" or "flush", "phase 250" for a phase without a name, and "start" or "finish" for the
// hooks of managers.
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
	case phaseStart:
		return "start"
	case phaseFinish:
		return "finish"
	}
	return fmt.Sprintf("phase %d", int(p))
}

// Closer returns a callback that closes c in [PhaseStore]: databases, message brokers, files. If c is nil,
// [GracefulShutdown.AddCallback] returns an error.
func Closer(name string, c io.Closer) Callback {
	callback := Callback{Name: name, Phase: PhaseStore}
	if c != nil {
		callback.Func = func(context.Context) error { return c.Close() }
	}
	return callback
}

// Reason returns why the service stops, for the context of a callback or a hook: the reason that the first request gave. It returns nil
// for any other context.
func Reason(ctx context.Context) error {
	reason, _ := ctx.Value(reasonKey{}).(error)
	return reason
}

type reasonKey struct{}

// StopDeadline returns when the whole stop is over at the latest, Grace+Tail after the request, for the context of a callback or a hook:
// to tell a platform how long to wait. The callback's own deadline, which is earlier, is that of its context. It returns the zero Time for
// any other context.
func StopDeadline(ctx context.Context) time.Time {
	deadline, _ := ctx.Value(stopDeadlineKey{}).(time.Time)
	return deadline
}

type stopDeadlineKey struct{}

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

func (c Callback) task() task {
	if c.Phase == 0 {
		c.Phase = PhaseStore
	}
	return task{name: c.Name, phase: c.Phase, timeout: c.Timeout, run: c.Func}
}
