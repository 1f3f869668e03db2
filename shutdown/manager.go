package shutdown

import (
	"context"
	"fmt"
	"time"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/internal/guard"
)

// A Manager asks for the shutdown: because of a signal, a notice from the platform, a lost lease.
// It may also implement [ShutdownStarter], [ShutdownFinisher] and [Releaser], which are called if
// its Start has succeeded. The hooks of several managers run at the same time; an error or a panic
// of one is like that of a [Callback].
type Manager interface {
	// Name is what errors and the report call it. It is called once, before Start.
	Name() string

	// Start begins to watch and returns without waiting for anything; what it has set up (a
	// registered signal, a subscription) is in place by then. After an error it leaves nothing
	// behind. request may be called at any time, from any goroutine, any number of times, also
	// before Start returns and after ctx has ended; only the first request of all managers counts,
	// but see [Before]. A nil reason stands for "requested".
	//
	// ctx has the values of the context given to GracefulShutdown.Start, but an end of its own:
	// when the stop is complete, or another manager has failed to start. Everything that Start
	// began has to end then.
	Start(ctx context.Context, request func(reason error)) error
}

// A ShutdownStarter is a [Manager] that wants to know when the stop begins, whoever asked for it:
// to tell the platform, to deregister from a balancer. Delay and the phases begin when it has
// returned, or when half of what Delay leaves of Grace is over. ctx is that of a [Callback].
type ShutdownStarter interface {
	ShutdownStart(ctx context.Context, reason error) error
}

// A ShutdownFinisher is a [Manager] that wants to know when all phases are done, and how they went.
// ctx is that of a [Callback].
type ShutdownFinisher interface {
	ShutdownFinish(ctx context.Context, r Report) error
}

// A Releaser is a [Manager] that holds something which is to be free again when Wait returns or
// Start has failed, such as the signals of the process. Release is called then, after the context
// of the manager's Start has ended. It must not take long: it is waited for 100ms at most.
type Releaser interface {
	Release()
}

// AddManager adds what may ask for the shutdown. The managers are started by Start, in the order in
// which they were added. It returns [ErrAlreadyStarted] after Start, [ErrShuttingDown] after the
// trigger, and an error for a manager that is nil or was added before; it adds all of the managers
// or none.
func (gs *GracefulShutdown) AddManager(managers ...Manager) error {
	return gs.add(func() error {
		if gs.life != created {
			return ErrAlreadyStarted
		}
		all := gs.managers
		for i, m := range managers {
			if isNil(m) {
				return fmt.Errorf("shutdown: AddManager: manager %d is nil", i)
			}
			for _, other := range all {
				if same(m, other.Manager) {
					return fmt.Errorf("shutdown: AddManager: manager %d, a %T, was added before", i, m)
				}
			}
			all = append(all, &managed{Manager: m})
		}
		gs.managers = all
		return nil
	})
}

// managed is a manager with the name that it had when it was started.
type managed struct {
	Manager
	name    string
	started bool // its Start has succeeded
}

func (m *managed) label() string { return "shutdown/" + m.name }

// steps returns the hooks of m as steps of a stop.
func (m *managed) steps() (steps []*step) {
	add := func(k kind, quiet bool, run func(context.Context) error) {
		steps = append(steps, &step{name: m.name, stage: stage{kind: k}, quiet: quiet, run: run})
	}
	if starter, ok := m.Manager.(ShutdownStarter); ok {
		add(kindStart, false, func(ctx context.Context) error { return starter.ShutdownStart(ctx, Reason(ctx)) })
	}
	if finisher, ok := m.Manager.(ShutdownFinisher); ok {
		add(kindFinish, false, func(ctx context.Context) error { return finisher.ShutdownFinish(ctx, stopOf(ctx).gs.Report()) })
	}
	if _, ok := m.Manager.(Releaser); ok {
		add(kindRelease, true, func(context.Context) error { return m.release() })
	}
	return steps
}

func (m *managed) release() error {
	if r, ok := m.Manager.(Releaser); ok {
		r.Release()
	}
	return nil
}

// startWait is how long, after the trigger, a manager's Start in progress gets to return: time
// enough for one that asks within its Start, and that then has its hooks called like any other.
const startWait = time.Second

// startManager returns ErrShuttingDown, or what guard says of the manager's Start. It does not wait
// much beyond the trigger. The manager keeps ctx.
func (gs *GracefulShutdown) startManager(ctx context.Context, m *managed) error {
	if gs.isDraining() {
		return ErrShuttingDown
	}
	gs.nameManager(m)
	ctx = control.NewContext(ctx, control.Control{
		Hurry:   gs.Hurry,
		Waiting: gs.waiting,
		Failed: func(err error) {
			f := find(err, nil)
			text := m.name + ": " + f.text
			gs.observe("shutdown manager failed", text, &textError{text, f.err})
		},
	})
	call := guard.Go(ctx, m.label(), func() error {
		return m.Start(ctx, func(reason error) { gs.request(reason, m.name) })
	})
	select {
	case <-call.Done():
	case <-gs.draining: // the end of Start's context is one of the things that close it
		if !gs.waitForStart(call) {
			gs.recordStart(m.name, "Start", guard.ErrHangs)
			return ErrShuttingDown
		}
	}
	return call.Err()
}

// waitForStart waits for a Start in progress when the stop has begun. Hurry and deadlines make it shorter.
func (gs *GracefulShutdown) waitForStart(call *guard.Call) (ended bool) {
	until := time.Now().Add(startWait)
	for {
		moved := gs.clock.changes()
		_, grace, _ := gs.clock.ends()
		until = earliest(until, time.Now().Add(time.Until(grace)/10))
		select {
		case <-call.Done():
			return true
		case <-time.After(time.Until(until)):
			return isClosed(call.Done())
		case <-moved:
		}
	}
}

// nameManager asks for the name once. One that has none is called by its type.
func (gs *GracefulShutdown) nameManager(m *managed) {
	if m.name != "" {
		return
	}
	m.name = fmt.Sprintf("%T", m.Manager)
	name := make(chan string, 1)
	err := guard.Within(guard.Moment, m.label(), func() error { name <- m.Name(); return nil })
	if err == nil {
		m.name = <-name
		return
	}
	gs.recordStart(m.name, "Name", err)
}

// recordStart records what a method of a manager came to that is called before or within Start.
func (gs *GracefulShutdown) recordStart(manager, method string, err error) {
	f := find(err, nil)
	if err == guard.ErrHangs { //nolint:errorlint // never wrapped
		err = fmt.Errorf("%w: %s has not returned", ErrTimeout, method)
		f = finding{err: err, text: err.Error(), timeout: true, late: true}
	}
	gs.end(-1, &step{name: manager, stage: stage{kind: kindStart}}, f)
}
