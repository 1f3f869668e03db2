package shutdown

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A GracefulShutdown stops one service, once. Make it with [New]; the zero value is not usable. All methods are safe for concurrent use.
type GracefulShutdown struct {
	config
	observer observer

	draining chan struct{} // closed at the trigger
	stopped  chan struct{} // closed when the report is final
	ctx      context.Context
	cancel   context.CancelCauseFunc

	mu         sync.Mutex
	state      state
	settled    chan struct{} // closed when a Start in progress has ended one way or the other
	parent     context.Context
	managers   []Manager
	running    []Manager // those whose Start has succeeded
	endStart   func()    // ends the context of the running managers and the watch on Start's
	tasks      []task
	servers    []*httpServer
	grpc       bool // there is a server whose connections are not known
	held       []*heldListener
	components []*component // not yet run, running, or failed
	report     Report
	err        error
	runErr     error // why Run could not start the service
}

type state int

const (
	created state = iota
	starting
	started
)

// New returns a GracefulShutdown that does nothing yet. Its defaults are [Grace] 25s, [Delay] 0, [Linger] 500ms, [Tail] 2s, no [Logger] and no
// [ErrorHandler]. It panics if Delay is not less than Grace.
func New(opts ...Option) *GracefulShutdown {
	gs := &GracefulShutdown{
		config:   newConfig(opts),
		draining: make(chan struct{}),
		stopped:  make(chan struct{}),
		endStart: func() {},
	}
	gs.ctx, gs.cancel = context.WithCancelCause(context.Background())
	return gs
}

// AddManager adds what may ask for the shutdown. The managers are started by Start, in the order in which
// they were added. It returns [ErrAlreadyStarted] after Start, [ErrShuttingDown] after the trigger, and an error for a nil manager; it
// adds all of the managers or none.
func (gs *GracefulShutdown) AddManager(managers ...Manager) error {
	for i, m := range managers {
		if m == nil {
			return fmt.Errorf("shutdown: AddManager: manager %d is nil", i)
		}
	}
	return gs.add(func() error {
		if gs.state != created {
			return ErrAlreadyStarted
		}
		gs.managers = append(gs.managers, managers...)
		return nil
	})
}

// AddCallback adds what is to be done when the service stops; it may be called before or after Start. It returns [ErrShuttingDown] after
// the trigger, and an error that names the callback and what is wrong with it; it adds all of the callbacks or none.
func (gs *GracefulShutdown) AddCallback(callbacks ...Callback) error {
	var errs []error
	for _, c := range callbacks {
		errs = append(errs, c.validate())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return gs.add(func() error {
		for _, c := range callbacks {
			gs.tasks = append(gs.tasks, c.task())
		}
		return nil
	})
}

// add runs fn under the lock unless the shutdown has begun. fn is never user code.
func (gs *GracefulShutdown) add(fn func() error) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.isDraining() {
		return ErrShuttingDown
	}
	return fn()
}

func (gs *GracefulShutdown) isDraining() bool {
	select {
	case <-gs.draining:
		return true
	default:
		return false
	}
}

// Start starts the managers and then the components, and returns; Wait waits for the end. The end of ctx
// requests the shutdown, with its cause as the reason.
//
// If a manager fails to start, those already started are stopped, the error names the manager, and Start may be
// called again. It returns [ErrAlreadyStarted] if it has succeeded before or is in progress, and [ErrShuttingDown] if the shutdown was
// requested before everything was started (an ended ctx included); Wait then tells how that went.
func (gs *GracefulShutdown) Start(ctx context.Context) error {
	settled, err := gs.beginStart(ctx)
	if err != nil {
		return err
	}
	defer close(settled)

	if ctx.Err() != nil {
		gs.trigger(context.Cause(ctx), "")
	}
	unwatch := context.AfterFunc(ctx, func() { gs.trigger(context.Cause(ctx), "") })

	// The managers outlive ctx: a second signal has to force while the first one is being answered.
	managersCtx, stopManagers := context.WithCancel(context.WithoutCancel(ctx))
	var running []Manager
	for _, m := range gs.managers { // nobody appends any more
		if err = gs.startManager(managersCtx, m); err != nil {
			break
		}
		running = append(running, m)
	}

	end := func() {
		unwatch()
		stopManagers()
	}
	if gs.settle(err, running, end) {
		if err == nil {
			err = ErrShuttingDown
		}
		return err
	}
	if err != nil {
		gs.release(end, running, time.Now().Add(cutTime))
	}
	return err
}

// settle records how Start went, and runs the components after a good one. It reports whether the shutdown was requested
// meanwhile, which then is in charge of the running managers.
func (gs *GracefulShutdown) settle(err error, running []Manager, end func()) (draining bool) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	draining = gs.isDraining()
	if err != nil && !draining {
		gs.state = created
		return false
	}
	gs.state, gs.running, gs.endStart = started, running, end
	if !draining {
		for _, c := range gs.components {
			gs.launch(c)
		}
	}
	return draining
}

func (gs *GracefulShutdown) beginStart(ctx context.Context) (settled chan struct{}, err error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.state != created {
		return nil, ErrAlreadyStarted
	}
	if gs.isDraining() {
		return nil, ErrShuttingDown
	}
	settled = make(chan struct{})
	gs.state, gs.settled, gs.parent = starting, settled, ctx
	return settled, nil
}

// Shutdown requests the shutdown and returns at once. It reports whether this call is the one that started it, whose
// reason counts. A nil reason stands for "requested". It works before Start as well: then all callbacks run, and no component.
//
// The stop runs in goroutines of its own, which have ended when Wait returns, except those of user code that was given up.
func (gs *GracefulShutdown) Shutdown(reason error) bool { return gs.trigger(reason, "") }

func (gs *GracefulShutdown) trigger(reason error, manager string) bool {
	if reason == nil {
		reason = errRequested
	}
	gs.mu.Lock()
	if gs.isDraining() {
		gs.mu.Unlock()
		return false
	}
	gs.report = Report{Reason: reason, Manager: manager, Start: time.Now()}
	close(gs.draining)
	gs.mu.Unlock()

	gs.logTrigger(reason, manager)
	go gs.stop(reason)
	return true
}

// Draining returns a channel that is closed when the shutdown begins. A readiness endpoint answers 503 from then
// on; a long-lived stream tells its client to come again elsewhere.
func (gs *GracefulShutdown) Draining() <-chan struct{} { return gs.draining }

// Context returns a context that ends when PhaseWork begins, which is when the servers have drained, with the reason of the
// shutdown as its cause. It is the context of the components, and for any other background work. It has no values and no deadline.
func (gs *GracefulShutdown) Context() context.Context { return gs.ctx }

// Wait waits until the service has stopped, however many call it. It returns the errors of callbacks, hooks and components, joined in the
// order of the report, then panics of Release, [Logger] and [ErrorHandler]; and nil after a clean stop: the reason of a shutdown is no error,
// unless it is a failed component. Without a request it waits for ever.
func (gs *GracefulShutdown) Wait() error {
	<-gs.stopped
	return gs.err
}

// Run is Start, then Wait: when it returns, every callback has run. That holds when a manager fails to start, too; the service then
// stops without Delay and Linger, since it never began to serve, and Run returns that error with those of the callbacks.
// It returns nil after a clean stop, also if the shutdown was requested before Run or ctx had ended, and [ErrAlreadyStarted] at once
// if an earlier Start or Run has started the service. A stop is final: Run after a Run that failed returns the same error again.
func (gs *GracefulShutdown) Run(ctx context.Context) error {
	err := gs.Start(ctx)
	switch {
	case errors.Is(err, ErrAlreadyStarted):
		return err
	case errors.Is(err, ErrShuttingDown):
		gs.mu.Lock()
		err = gs.runErr
		gs.mu.Unlock()
	case err != nil:
		gs.mu.Lock()
		gs.delay, gs.linger = 0, 0
		gs.runErr = err
		gs.mu.Unlock()
		gs.Shutdown(err)
	}
	return errors.Join(err, gs.Wait())
}

// Report tells how the stop went, or how far it has come: callbacks that are running have the state [StateRunning]. Before
// the trigger it is the zero Report.
func (gs *GracefulShutdown) Report() Report {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return gs.report.clone()
}
