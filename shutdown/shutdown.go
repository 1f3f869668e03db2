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
	observed inorder.Queue // calls of Logger and ErrorHandler
	watched  inorder.Queue // calls of Watch

	mu         sync.Mutex
	life       life
	settled    chan struct{}     // closed when a Start in progress has ended, successfully or not
	parent     context.Context   // the context given to Start
	outer      *GracefulShutdown // the service that has this one as a component
	refused    []error           // errors of Add… and Go… before Start
	managers   []*managed
	endStart   func() // ends the managers' context, and the watch over that of Start
	steps      []*step
	servers    []*server
	inner      []*GracefulShutdown // the services that are components of this one
	hasServed  bool                // a server was added; it may have ended since
	components int                 // launched and still running
	held       []*heldListener
	report     Report
	rows       []*step // the steps of report.Steps
	err        error   // what Wait returns
	startErr   error   // why Run could not start the service
}

// life is how far Start has come.
type life int

const (
	created life = iota
	starting
	started
)

// New returns a GracefulShutdown. Its defaults are [Grace] 25s, [Delay] 0, [Linger] 500ms, [Tail]
// 2s, and no [Logger], [ErrorHandler] or [Watch]. It panics if Delay is not less than Grace.
func New(opts ...Option) *GracefulShutdown {
	gs := &GracefulShutdown{
		config:   newConfig(opts),
		draining: make(chan struct{}),
		leaving:  make(chan struct{}),
		done:     make(chan struct{}),
		endStart: func() {},
	}
	gs.observed = inorder.Queue{Label: "shutdown/Logger", Limit: mostObserved, Fail: gs.observerFailed("Logger or ErrorHandler")}
	gs.watched = inorder.Queue{Label: "shutdown/Watch", Limit: mostObserved, Fail: gs.observerFailed("Watch")}
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), outerKey{}, gs))
	gs.ctx, gs.cancel = ctx, cancel
	return gs
}

// add runs fn under the lock unless the shutdown has begun; fn must not call user code. Before
// Start an error is kept, and Start returns it again.
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
// waits for the end. When ctx ends, the shutdown is requested with the cause of ctx as its reason.
//
// If an Add… or Go… has returned an error before, Start returns these errors, joined, and starts
// nothing. If a manager fails to start, Start stops those already started and returns an error that
// names it; Start may then be called again. It returns [ErrShuttingDown] if the shutdown was
// requested before everything was started (an ended ctx included); Wait then tells how the stop
// went. It returns [ErrAlreadyStarted] if an earlier call has succeeded, is in progress or was
// interrupted by the shutdown. If a method of ctx panics or does not return, Start starts nothing
// and says so.
//
// If ctx comes from the Context of another GracefulShutdown, this one is a component of that one,
// and stops early enough for it to wait for the end.
func (gs *GracefulShutdown) Start(ctx context.Context) error {
	outer, ended, err := lookAt(ctx)
	if err != nil {
		return err
	}
	settled, err := gs.beginStart(ctx, outer)
	if err != nil {
		return err
	}
	defer close(settled)
	gs.joinOuter()

	// The managers outlive ctx: a second signal has to force while the stop is in progress.
	managersCtx, end := context.WithCancel(context.WithoutCancel(ctx))
	gs.endStart = end // the stop reads it once settled is closed
	if ended {
		gs.request(causeOf(ctx), "")
	} else {
		request := func(reason error) { gs.request(reason, "") }
		guard.Go(managersCtx, "shutdown/context", func() error { return watchContext(ctx, managersCtx, request) })
	}
	var failed *managed
	for _, m := range gs.managers { // nothing is added while Start is in progress
		if err = gs.startManager(managersCtx, m); err != nil {
			failed = m
			break
		}
		m.started = true
	}

	gs.mu.Lock()
	draining := gs.isDraining()
	if !draining && err == nil {
		gs.life = started
		gs.launchAll()
	}
	gs.mu.Unlock()

	switch {
	case draining && err != nil && err != ErrShuttingDown: // ours, never wrapped
		gs.recordStart(failed.name, "Start", err)
		return ErrShuttingDown
	case draining:
		return ErrShuttingDown
	case err == nil:
		return nil
	}
	f := find(err, nil)
	err = &textError{fmt.Sprintf("shutdown: starting manager %s: %s", failed.name, f.text), f.err}
	end()
	gs.leaveOuter()
	for _, m := range gs.managers {
		if m.started {
			if f := find(guard.Within(guard.Moment, m.label(), m.release), nil); f.err != nil {
				text := fmt.Sprintf("shutdown: Release of manager %s: %s", m.name, f.text)
				err = errors.Join(err, &textError{text, f.err})
			}
		}
		m.started = false
	}
	gs.mu.Lock()
	gs.life = created // last: another Start may begin now
	gs.mu.Unlock()
	return err
}

// lookAt returns the service of which ctx is the Context, or nil, and whether ctx has ended. Like
// all methods of ctx, which may be of a user's type, these are called under guard.
func lookAt(ctx context.Context) (outer *GracefulShutdown, ended bool, err error) {
	var found *GracefulShutdown
	var why error
	err = guard.Within(startWait, "shutdown/context", func() error {
		found, _ = ctx.Value(outerKey{}).(*GracefulShutdown)
		why = ctx.Err()
		return nil
	})
	if err != nil { // and both may still be written
		f := find(err, nil)
		return nil, false, &textError{"shutdown: the context of Start: " + f.text, f.err}
	}
	return found, why != nil, nil
}

// causeOf is [context.Cause] under guard.
func causeOf(ctx context.Context) error {
	var cause error
	err := guard.Within(guard.Moment, "shutdown/context", func() error { cause = context.Cause(ctx); return nil })
	if err != nil { // and cause may still be written
		f := find(err, nil)
		return &textError{"shutdown: the context that has ended: " + f.text, f.err}
	}
	return cause
}

// watchContext requests the shutdown when ctx ends, unless the managers' context ends first.
// [context.AfterFunc] would call methods of ctx, too, some of them in goroutines without a guard.
func watchContext(ctx, managers context.Context, request func(error)) error {
	ended := ctx.Done()
	if ended == nil { // it never ends
		return nil
	}
	select {
	case <-ended:
		request(causeOf(ctx))
	case <-managers.Done():
	}
	return nil
}

func (gs *GracefulShutdown) beginStart(ctx context.Context, outer *GracefulShutdown) (settled chan struct{}, err error) {
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
	var serving []string
	for _, s := range gs.steps {
		for _, c := range s.components {
			gs.launch(c)
			if c.serves != "" {
				serving = append(serving, c.serves)
			}
		}
	}
	if len(serving) > 0 {
		gs.log(slog.LevelInfo, "service started", slog.Any("serving", serving))
	}
}

// Shutdown requests the shutdown and returns at once. It reports whether this was the first
// request; only the first reason is kept. A nil reason stands for "requested"; [Before] makes a
// reason with a deadline. Shutdown may come before Start: the callbacks then run, and no component
// does.
//
// The stop runs in goroutines of its own. They end with it, except those of abandoned user code.
func (gs *GracefulShutdown) Shutdown(reason error) bool { return gs.request(reason, "") }

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
		if d, ok := reason.(*deadline); ok { // the stop finds a wrapped one
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

// Hurry ends [Grace] now: it cuts short Delay, Linger, the drain and whatever else is running, and
// [GracefulShutdown.Context] ends. The phases that have not begun share [Tail], as after a hang.
// Before the trigger, after the first call and once Grace is over, Hurry does nothing and returns
// false.
func (gs *GracefulShutdown) Hurry() bool {
	return gs.isDraining() && !isClosed(gs.done) && gs.clock.hurry()
}

// Draining returns a channel that is closed when the shutdown begins. From then on a readiness
// endpoint should answer 503, and a consumer of a queue take nothing more from it. Requests are
// still served: see [GracefulShutdown.Context].
func (gs *GracefulShutdown) Draining() <-chan struct{} { return gs.draining }

// Done returns a channel that is closed when the service has stopped. Wait then returns at once.
func (gs *GracefulShutdown) Done() <-chan struct{} { return gs.done }

// Context returns a context that ends when PhaseWork begins, after the servers have drained. Its
// cause is the reason of the shutdown; it has no deadline. Components run with it, and other
// background work should.
func (gs *GracefulShutdown) Context() context.Context { return gs.ctx }

// Wait waits until the service has stopped; without a request it never returns. It returns the
// errors of all steps, joined in the order of the report, and nil after a clean stop. The reason of
// the shutdown is not an error, unless it is that of a failed component.
func (gs *GracefulShutdown) Wait() error {
	<-gs.done
	return gs.err
}

// Run is Start, then Wait: when it returns, every callback has run. This holds even if Start fails:
// the service then stops without Delay, because it never served, and Run returns the error of Start
// joined with those of the callbacks. Run returns nil after a clean stop, even if the shutdown was
// requested, or ctx had ended, before Run. It returns [ErrAlreadyStarted] at once where Start does.
// A stop is final: after a Run that could not start the service, Run returns the same error again.
func (gs *GracefulShutdown) Run(ctx context.Context) error {
	err := gs.Start(ctx)
	switch err { // ours, never wrapped; errors.Is would call methods of a manager's error
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

// Report tells how the stop went, or how far it has come: a step in progress has the state
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

func (gs *GracefulShutdown) removeLocked(s *step) (removed bool) {
	before := len(gs.steps)
	gs.steps = slices.DeleteFunc(gs.steps, func(other *step) bool { return other == s })
	return len(gs.steps) < before
}
