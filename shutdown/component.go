package shutdown

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"

	"github.com/gracekit/gracekit/internal/guard"
)

// A component is a function that runs until it is told to stop.
type component struct {
	name     string
	run      func(context.Context) error
	step     *step         // of the stop that waits for it
	told     func() bool   // whether it was told to stop, by other means than its context; may be nil
	launched bool          // guarded by GracefulShutdown.mu
	done     chan struct{} // closed when run has returned
	err      error         // nil or a *ComponentError; readable after done
}

// Go runs a part of the service that goes on until it is stopped: a consumer, a ticker, a server of
// a kind that this package does not know. It runs in a goroutine of its own from Start on, or at
// once after Start, with [GracefulShutdown.Context], and is waited for in PhaseWork. If the service
// stops before run was begun, it is never run.
//
// If run returns an error, panics or exits its goroutine, that requests the shutdown with a
// *[ComponentError], which Wait returns too. nil means that this part is finished and the service
// goes on, and so does [net/http.ErrServerClosed]: somebody has closed that server on purpose. Once
// the stop has begun, an error that says nothing but that it was told to stop ([context.Canceled],
// http.ErrServerClosed, the cause of its context) counts as nil, too. For servers prefer
// [GracefulShutdown.GoHTTP] and [GracefulShutdown.GoGRPC].
//
// It returns [ErrShuttingDown] after the trigger, and an error if name is empty or run is nil.
func (gs *GracefulShutdown) Go(name string, run func(context.Context) error) error {
	return gs.add(func() error {
		if err := check("component", name, run); err != nil {
			return err
		}
		s := &step{name: name, stage: stage{kindPhase, PhaseWork}, onlyWaits: true}
		s.run = s.waitForComponents
		gs.steps = append(gs.steps, s)
		gs.addComponent(&component{name: name, run: run, step: s})
		return nil
	})
}

// addComponent is called under the lock.
func (gs *GracefulShutdown) addComponent(c *component) {
	c.done = make(chan struct{})
	c.step.components = append(c.step.components, c)
	if gs.life == started {
		gs.launch(c)
	}
}

// launch is called under the lock.
func (gs *GracefulShutdown) launch(c *component) {
	c.launched = true
	gs.components = append(gs.components, c)
	guard.Then(gs.ctx, "shutdown/"+c.name,
		func() error { return c.run(gs.ctx) },
		func(err error) { gs.componentEnded(c, find(err, context.Cause(gs.ctx))) })
}

func (gs *GracefulShutdown) componentEnded(c *component, f finding) {
	gs.mu.Lock()
	draining := gs.isDraining()
	stopped := f.err == nil || f.closed || draining && f.stopped || c.told != nil && c.told()
	if !stopped {
		c.err = &ComponentError{Name: c.name, Err: f.err}
	}
	gs.components = slices.DeleteFunc(gs.components, func(other *component) bool { return other == c })
	if stopped && !draining {
		s := c.step
		s.components = slices.DeleteFunc(s.components, func(other *component) bool { return other == c })
		if len(s.components) == 0 {
			gs.removeLocked(s)
			gs.servers = slices.DeleteFunc(gs.servers, func(srv *server) bool { return srv.step == s })
		}
	}
	gs.mu.Unlock()

	if !stopped {
		if first := gs.trigger(c.err, ""); first { // the Logger hears it as the reason
			gs.handleError(c.err)
		} else {
			gs.observe("component failed", "component "+c.name+": "+f.text, c.err)
		}
	}
	close(c.done) // last: the stop may end with it, and nothing is told after that
}

// waitForComponents is the run of a step that waits for components. Of several listeners of a
// server, the first error stands for all; the others were told when they occurred.
func (s *step) waitForComponents(ctx context.Context) error {
	var first error
	for _, c := range s.components { // nothing is added any more, nor taken away
		if !c.launched {
			continue
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			if !isClosed(c.done) {
				return cmp.Or(first, context.Cause(ctx))
			}
		}
		first = cmp.Or(first, c.err)
	}
	return first
}

// saysStopped reports whether err is how a function says that it has ended because it was told to,
// and says nothing beside it: errors.Join(context.Canceled, errFlush) is a failure. closed means
// the same of a server that was closed. err is a user's, so this is user code.
func saysStopped(err, cause error) (stopped, closed bool) {
	isClosed := func(err error) bool { return errors.Is(err, http.ErrServerClosed) }
	isStopped := func(err error) bool { return isClosed(err) || errors.Is(err, context.Canceled) }
	return everyLeaf(err, cause, isStopped), everyLeaf(err, nil, isClosed)
}

// everyLeaf reports whether ok holds for every leaf of the tree of err; where cause is, it need
// not. The tree is walked by hand, because errors.Is is content with one leaf.
func everyLeaf(err, cause error, ok func(error) bool) bool {
	if cause != nil && reflect.TypeOf(cause).Comparable() && err == cause { //nolint:errorlint // see above
		return true
	}
	switch e := err.(type) { //nolint:errorlint // see above
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !everyLeaf(err, cause, ok) })
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return everyLeaf(inner, cause, ok)
		}
	}
	return ok(err)
}
