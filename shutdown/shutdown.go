package shutdown

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/inorder"
)

// A GracefulShutdown stops one service, once. Make it with [New]; the zero value is not usable. All
// methods are safe for concurrent use.
type GracefulShutdown struct {
	config

	draining chan struct{} // closed at the trigger
	leaving  chan struct{} // closed when Delay is over: HTTP/2 clients are told to leave
	done     chan struct{} // closed when the stop is complete
	ctx      context.Context
	cancel   context.CancelCauseFunc
	clock    clock
	told     inorder.Queue // calls of Logger and ErrorHandler
	watched  inorder.Queue // calls of Watch

	mu         sync.Mutex
	life       life
	settled    chan struct{}     // closed when a Start in progress has ended one way or the other
	parent     context.Context   // given to Start
	outer      *GracefulShutdown // of which this one is a component
	refused    []error           // errors of Add… and Go… before Start
	managers   []*managed
	endStart   func() // ends the context of the managers and the watch on Start's
	steps      []*step
	servers    []*server
	inner      []*GracefulShutdown // components that are services of their own
	hasServed  bool                // a server was added, though it may have ended since
	components []*component        // launched, and neither finished nor failed
	held       []*heldListener
	report     Report
	running    map[int]*step // what the report's rows with StateRunning stand for
	err        error         // what Wait returns
	startErr   error         // why Run could not start the service
}

// life is how far Start has come.
type life int

const (
	created life = iota
	starting
	started
)

// New returns a GracefulShutdown that does nothing yet. Its defaults are [Grace] 25s, [Delay] 0,
// [Linger] 500ms, [Tail] 2s, no [Logger], no [ErrorHandler] and no [Watch]. It panics if Delay is
// not less than Grace.
func New(opts ...Option) *GracefulShutdown {
	gs := &GracefulShutdown{
		config:   newConfig(opts),
		draining: make(chan struct{}),
		leaving:  make(chan struct{}),
		done:     make(chan struct{}),
		endStart: func() {},
		running:  make(map[int]*step),
	}
	gs.told = inorder.Queue{Label: "shutdown/Logger", Limit: mostTold, Fail: gs.observerFailed("Logger or ErrorHandler")}
	gs.watched = inorder.Queue{Label: "shutdown/Watch", Limit: mostTold, Fail: gs.observerFailed("Watch")}
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), outerKey{}, gs))
	gs.ctx, gs.cancel = ctx, cancel
	return gs
}

// add runs fn, which is never user code, under the lock unless the shutdown has begun. Before Start
// an error is kept, and Start returns it.
func (gs *GracefulShutdown) add(fn func() error) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.isDraining() {
		return ErrShuttingDown
	}
	err := fn()
	if err != nil && gs.life == created {
		gs.refused = append(gs.refused, err)
	}
	return err
}

func (gs *GracefulShutdown) isDraining() bool { return isClosed(gs.draining) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Start starts the managers, then the components and servers, and returns; [GracefulShutdown.Wait]
// waits for the end. The end of ctx requests the shutdown, with its cause as the reason.
//
// Errors that Add… and Go… have returned before come back here, joined, and nothing is started. If
// a manager fails to start, those already started are stopped, the error names the manager, and
// Start may be called again. It returns [ErrAlreadyStarted] if it has succeeded before or is in
// progress, and [ErrShuttingDown] if the shutdown was requested before everything was started (an
// ended ctx included); Wait then tells how that went.
//
// ctx may be the Context of another GracefulShutdown, whose component this one is: the stop then
// ends early enough for the outer one to see its end.
func (gs *GracefulShutdown) Start(ctx context.Context) error {
	settled, err := gs.beginStart(ctx)
	if err != nil {
		return err
	}
	defer close(settled)

	ended := func() { gs.request(causeOf(ctx), "") }
	if ctx.Err() != nil {
		ended()
	}
	unwatch := context.AfterFunc(ctx, ended)
	// The managers outlive ctx: a second signal has to force while the first one is being answered.
	managersCtx, stopManagers := context.WithCancel(context.WithoutCancel(ctx))
	end := func() { unwatch(); stopManagers() }
	var failed *managed
	for _, m := range gs.managers { // nothing is added while Start is in progress
		if err = gs.startManager(managersCtx, m); err != nil {
			failed = m
			break
		}
		m.started = true
	}
	failure := err                            // of a manager
	if err != nil && err != ErrShuttingDown { //nolint:errorlint // ours, never wrapped
		f := find(err, nil)
		err = &textError{fmt.Sprintf("shutdown: starting manager %s: %s", failed.name, f.text), f.err}
	}

	gs.mu.Lock()
	draining := gs.isDraining()
	switch {
	case draining: // the stop, which waits for settled, is in charge of the managers
		gs.endStart = end
		err = ErrShuttingDown
	case err != nil:
		gs.life = created
	default:
		gs.life, gs.endStart = started, end
		gs.launchAll()
	}
	gs.mu.Unlock()

	if draining && failure != nil && failure != ErrShuttingDown { //nolint:errorlint // ours, never wrapped
		gs.recordStart(failed.name, "Start", failure)
	}
	if err != nil && !draining {
		end()
		for _, m := range gs.managers {
			if m.started {
				err = errors.Join(err, guard.Within(guard.Moment, m.label(), m.release))
			}
			m.started = false
		}
	}
	return err
}

// causeOf is [context.Cause] for a context of the caller's, whose type may be the caller's, too.
func causeOf(ctx context.Context) error {
	cause := make(chan error, 1)
	err := guard.Within(guard.Moment, "shutdown/context", func() error { cause <- context.Cause(ctx); return nil })
	if err == nil {
		return <-cause
	}
	return err
}

func (gs *GracefulShutdown) beginStart(ctx context.Context) (settled chan struct{}, err error) {
	outer, _ := ctx.Value(outerKey{}).(*GracefulShutdown)
	if outer != nil {
		outer.mu.Lock()
		outer.inner = append(outer.inner, gs)
		outer.mu.Unlock()
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	switch {
	case gs.life != created:
		return nil, ErrAlreadyStarted
	case gs.isDraining():
		return nil, ErrShuttingDown
	case len(gs.refused) > 0:
		return nil, errors.Join(gs.refused...)
	}
	gs.life, gs.settled, gs.parent, gs.outer = starting, make(chan struct{}), ctx, outer
	return gs.settled, nil
}

func (gs *GracefulShutdown) launchAll() {
	for _, s := range gs.steps {
		for _, c := range s.components {
			gs.launch(c)
		}
	}
	var serving []string
	for _, s := range gs.servers {
		serving = append(serving, s.addresses...)
	}
	if len(serving) > 0 {
		gs.log(slog.LevelInfo, "service started", slog.Any("serving", serving))
	}
}

// Shutdown requests the shutdown and returns at once. It reports whether this call is the one that
// started it, whose reason counts. A nil reason stands for "requested"; [Before] makes one with a
// deadline. It works before Start as well: then all callbacks run, and no component.
//
// The stop runs in goroutines of its own, which have ended when Wait returns, except those of user
// code that was given up.
func (gs *GracefulShutdown) Shutdown(reason error) bool { return gs.request(reason, "") }

// request is the one door for all who may ask.
func (gs *GracefulShutdown) request(reason error, manager string) (first bool) {
	first = gs.trigger(reason, manager)
	if !first {
		gs.tighten(reason)
	}
	return first
}

func (gs *GracefulShutdown) trigger(reason error, manager string) bool {
	if reason == nil {
		reason = errRequested
	}
	gs.mu.Lock()
	first := !gs.isDraining()
	if first {
		gs.report.Reason, gs.report.Manager, gs.report.Start = reason, manager, time.Now()
		gs.report.reason = fmt.Sprintf("%T", reason) // until its text is known
		gs.clock.begin(gs.config, gs.report.Start)
		if d, ok := reason.(*deadline); ok { //nolint:errorlint // the stop looks at one that is wrapped
			gs.clock.tighten(d.at)
		}
		close(gs.draining)
	}
	gs.mu.Unlock()

	if first {
		go gs.stop(reason)
	}
	return first
}

// Hurry ends the time of [Grace] now: Delay, Linger, the drain and whatever else is running, and
// [GracefulShutdown.Context]. What has not begun shares [Tail] as it does after a hang. It does
// nothing, and returns false, before the trigger, a second time, and when Grace is over already.
func (gs *GracefulShutdown) Hurry() bool {
	return gs.isDraining() && !isClosed(gs.done) && gs.clock.hurry()
}

// Draining returns a channel that is closed when the shutdown begins. A readiness endpoint answers
// 503 from then on.
func (gs *GracefulShutdown) Draining() <-chan struct{} { return gs.draining }

// Done returns a channel that is closed when the service has stopped, so that Wait returns at once.
func (gs *GracefulShutdown) Done() <-chan struct{} { return gs.done }

// Context returns a context that ends when PhaseWork begins, which is when the servers have
// drained, with the reason of the shutdown as its cause. It is the context of the components, and
// for any other background work. It has no deadline.
func (gs *GracefulShutdown) Context() context.Context { return gs.ctx }

// Wait waits until the service has stopped, however many call it. It returns the errors of
// callbacks, hooks, servers and components, joined in the order of the report, and nil after a
// clean stop: the reason of a shutdown is no error, unless it is a failed component. Without a
// request Wait does not return.
func (gs *GracefulShutdown) Wait() error {
	<-gs.done
	return gs.err
}

// Run is Start, then Wait: when it returns, every callback has run. That holds when Start fails,
// too; the service then stops without Delay, since it never began to serve, and Run returns that
// error with those of the callbacks. It returns nil after a clean stop, also if the shutdown was
// requested before Run or ctx had ended, and [ErrAlreadyStarted] at once if an earlier Start or Run
// has started the service. A stop is final: Run after a Run that failed returns the same error
// again.
func (gs *GracefulShutdown) Run(ctx context.Context) error {
	err := gs.Start(ctx)
	switch err { //nolint:errorlint // ours, never wrapped; errors.Is would call methods of a manager's error
	case ErrAlreadyStarted:
		return err
	case nil, ErrShuttingDown:
		gs.mu.Lock()
		err = gs.startErr
		gs.mu.Unlock()
	default:
		gs.mu.Lock()
		gs.startErr = err
		gs.mu.Unlock()
		gs.trigger(err, "")
	}
	return errors.Join(err, gs.Wait())
}

// Report tells how the stop went, or how far it has come: what is running has the state
// [StateRunning]. Before the trigger it is the zero Report.
func (gs *GracefulShutdown) Report() Report {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if !gs.isDraining() {
		return Report{}
	}
	r := gs.report
	r.Steps = slices.Clone(r.Steps)
	if !isClosed(gs.done) {
		r.Total = time.Since(r.Start)
	}
	return r
}

// remove takes out what is not to be done any more when the service stops, unless the stop has
// begun.
func (gs *GracefulShutdown) remove(s *step) (removed bool) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return !gs.isDraining() && gs.removeLocked(s)
}

func (gs *GracefulShutdown) removeLocked(s *step) (removed bool) {
	before := len(gs.steps)
	gs.steps = slices.DeleteFunc(gs.steps, func(other *step) bool { return other == s })
	return len(gs.steps) < before
}
