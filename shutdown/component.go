package shutdown

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A component is a function that runs until it is told to stop.
type component struct {
	name string
	run  func(context.Context) error
	step *step         // the step that waits for it
	told chan struct{} // closed when it is told to stop, not by its context; may be nil
	done chan struct{} // nil before launch; closed when run has returned
	err  error         // nil or a *ComponentError; readable after done

	// If GoHTTP or GoGRPC has added it:
	serves   string // "api on 127.0.0.1:80"
	listener net.Listener
}

// Go adds a component: a part of the service that goes on until it is stopped, such as a consumer,
// a ticker, or a server of a kind that this package does not know. run runs in a goroutine of its
// own from Start on, or at once after Start, with [GracefulShutdown.Context], and is waited for in
// PhaseWork. If the stop begins first, run is never called.
//
// That context ends when the servers have drained, without servers at once, and run has to return
// then. A job in progress that is given this context is cancelled at that moment. One that should
// be finished gets [context.WithoutCancel] of it, with a timeout below Grace. Where servers drain
// for long, a consumer of a queue stops taking jobs at [GracefulShutdown.Draining].
//
// If run returns an error, panics or calls runtime.Goexit, that requests the shutdown with a
// *[ComponentError], which Wait returns too. If it returns nil, or [net/http.ErrServerClosed]
// because the server was closed on purpose, this part is finished and the service goes on. Once the
// stop has begun, an error that says only that run was told to stop ([context.Canceled],
// http.ErrServerClosed, the cause of its context) counts as nil, too. For servers prefer
// [GracefulShutdown.GoHTTP] and [GracefulShutdown.GoGRPC].
//
// It returns [ErrShuttingDown] after the trigger, and an error if name is empty or run is nil.
func (gs *GracefulShutdown) Go(name string, run func(context.Context) error) error {
	return gs.add(func() error {
		if err := check("component", name, run); err != nil {
			return err
		}
		s := &step{name: name, stage: stage{kindPhase, PhaseWork}, waitsForComponents: true}
		s.run = s.waitForComponents
		gs.steps = append(gs.steps, s)
		gs.addComponent(&component{name: name, run: run, step: s})
		return nil
	})
}

// addComponent adds c to its step, and launches it if the service has started. The caller holds the
// lock.
func (gs *GracefulShutdown) addComponent(c *component) {
	c.step.components = append(c.step.components, c)
	if gs.life == started {
		gs.launch(c)
	}
}

func (gs *GracefulShutdown) launch(c *component) {
	c.done = make(chan struct{})
	gs.components++
	if l, ok := c.listener.(*heldListener); ok {
		l.expectAccept()
	}
	guard.Then(gs.ctx, "shutdown/"+c.name,
		func() error { return c.run(gs.ctx) },
		func(err error) { gs.componentEnded(c, find(err, context.Cause(gs.ctx))) })
}

func (gs *GracefulShutdown) componentEnded(c *component, f finding) {
	gs.mu.Lock()
	draining := gs.isDraining()
	stopped := f.err == nil || f.closed || draining && f.stopped || isClosed(c.told)
	if !stopped {
		c.err = &ComponentError{Name: c.name, Err: f.err}
	}
	gs.components--
	if stopped && !draining {
		s := c.step
		s.components = slices.DeleteFunc(s.components, func(other *component) bool { return other == c })
		if len(s.components) == 0 {
			gs.forgetLocked(s)
		}
	}
	gs.mu.Unlock()

	if !stopped {
		if first := gs.trigger(c.err, ""); first { // the Logger is told the reason by the stop
			gs.handleError(c.err)
		} else {
			gs.observe("component failed", "component "+c.name+": "+f.text, c.err)
		}
	}
	close(c.done) // last: the stop may end with it, and observers hear nothing after that
}

// forgetLocked removes a step whose components have ended. That of a server stays until its
// requests in flight are answered: Serve returns as soon as the owner has called Shutdown.
func (gs *GracefulShutdown) forgetLocked(s *step) {
	i := slices.IndexFunc(gs.servers, func(srv *server) bool { return srv.step == s })
	if i < 0 {
		gs.removeLocked(s)
		return
	}
	srv := gs.servers[i]
	if srv.http == nil || srv.http.conns.busy() == 0 {
		gs.removeLocked(s)
		gs.servers = slices.Delete(gs.servers, i, i+1)
		return
	}
	go func() { // ends with the last request, or when the stop begins
		select {
		case <-time.After(connsTick):
		case <-gs.draining:
			return
		}
		gs.mu.Lock()
		defer gs.mu.Unlock()
		if len(s.components) == 0 && !gs.isDraining() {
			gs.forgetLocked(s)
		}
	}()
}

// waitForComponents is the run of a step that waits for components. If several listeners of a
// server fail, it returns the first error; the others were told when they occurred.
func (s *step) waitForComponents(ctx context.Context) error {
	var first error
	for _, c := range s.components { // these do not change during a stop
		if c.done == nil {
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

// saysStopped reports whether err says only that a function has ended because it was told to:
// errors.Join(context.Canceled, errFlush) is a failure. closed means that it says only that a
// server was closed. saysStopped calls methods of err, so it must run under guard.
func saysStopped(err, cause error) (stopped, closed bool) {
	isClosed := func(err error) bool { return guard.Is(err, http.ErrServerClosed) }
	isStopped := func(err error) bool { return isClosed(err) || guard.Is(err, context.Canceled) }
	return everyLeaf(err, cause, isStopped), everyLeaf(err, nil, isClosed)
}

// everyLeaf reports whether each leaf of the tree of err satisfies ok, or is cause or below it. The
// tree is walked by hand, because errors.Is is satisfied by one leaf.
func everyLeaf(err, cause error, ok func(error) bool) bool {
	left := guard.MostErrors
	var every func(error) bool
	every = func(err error) bool {
		if left--; left < 0 {
			return false
		}
		if cause != nil && reflect.ValueOf(cause).Comparable() && err == cause { // see above
			return true
		}
		switch e := err.(type) { // see above
		case interface{ Unwrap() []error }:
			return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !every(err) })
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				return every(inner)
			}
		}
		return ok(err)
	}
	return every(err)
}
