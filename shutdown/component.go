package shutdown

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
)

type component struct {
	name     string
	run      func(context.Context) error
	launched bool          // guarded by GracefulShutdown.mu
	done     chan struct{} // closed when run has returned
	err      error         // nil or a *ComponentError; readable after done
}

// Go runs a part of the service that goes on until it is stopped: a server's Serve, a consumer, a ticker. It runs in a
// goroutine of its own from Start on, or at once after Start, with [GracefulShutdown.Context], and is waited for in PhaseWork. One
// whose service stops before it was begun is never run.
//
// If run returns an error, panics or exits its goroutine, that requests the shutdown with a *[ComponentError], which Wait returns too. An
// error that says nothing but that it was stopped ([context.Canceled], [net/http.ErrServerClosed], the cause of its context) counts as
// nil; nil before the trigger means that this part is finished and the service goes on. So a server's Serve returning is never mistaken
// for the server having drained: that is the business of [GracefulShutdown.AddHTTPServer].
//
// It returns [ErrShuttingDown] after the trigger, and an error if name is empty or run is nil.
func (gs *GracefulShutdown) Go(name string, run func(context.Context) error) error {
	if name == "" {
		return errors.New("shutdown: component without a name")
	}
	if run == nil {
		return fmt.Errorf("shutdown: component %q has no function", name)
	}
	return gs.add(func() error {
		c := &component{name: name, run: run, done: make(chan struct{})}
		gs.components = append(gs.components, c)
		if gs.state == started {
			gs.launch(c)
		}
		return nil
	})
}

// launch is called under the lock.
func (gs *GracefulShutdown) launch(c *component) {
	c.launched = true
	go gs.runComponent(c)
}

func (gs *GracefulShutdown) runComponent(c *component) {
	protect(func() error { return c.run(gs.ctx) }, func(err error) {
		failed := err != nil && !gs.saysStopped(err)
		gs.mu.Lock()
		if failed {
			c.err = &ComponentError{Name: c.name, Err: err}
		} else if !gs.isDraining() {
			gs.components = slices.DeleteFunc(gs.components, func(o *component) bool { return o == c })
		}
		gs.mu.Unlock()

		if failed {
			gs.observeError("component failed", c.err)
			gs.trigger(c.err, "")
		}
		close(c.done) // last: the stop may end with it, and nothing is told after that
	})
}

// saysStopped reports whether err is how a component says that it has ended because it was told to, and says nothing beside
// it: errors.Join(context.Canceled, errFlush) is a failure.
func (gs *GracefulShutdown) saysStopped(err error) bool {
	if cause := context.Cause(gs.ctx); cause != nil && reflect.TypeOf(cause).Comparable() && err == cause { //nolint:errorlint // of a chain, the whole has to be looked at
		return true
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked by hand, because errors.Is finds one leaf and ignores the others
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !gs.saysStopped(err) })
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return gs.saysStopped(inner)
		}
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, http.ErrServerClosed)
}

func (c *component) task() task {
	return task{name: c.name, phase: PhaseWork, run: func(ctx context.Context) error {
		select {
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}}
}
