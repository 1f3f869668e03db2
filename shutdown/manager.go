package shutdown

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/internal/guard"
)

// A Manager requests the shutdown: because of a signal, a notice from the platform, a lost lease.
// It may also implement [ShutdownStarter], [ShutdownFinisher] and [Releaser], whose methods are
// called only if its Start has succeeded. The hooks of several managers run at the same time; an
// error or a panic in one is treated like that of a [Callback].
type Manager interface {
	// Name returns the manager's name for errors and the report. It is called once, before Start.
	Name() string

	// Start sets up what it needs (a registered signal, a subscription), begins to watch and
	// returns without waiting for an event. After an error it must leave nothing behind. It may
	// call request any number of times, from any goroutine, even before Start returns and after ctx
	// has ended. Only the first request counts, whoever made it, but see [Before]. A nil reason
	// stands for "requested".
	//
	// ctx has the values of the context given to GracefulShutdown.Start, but does not end with it:
	// it ends when the stop is complete, or when a manager fails to start. Everything that Start
	// began must end then.
	Start(ctx context.Context, request func(reason error)) error
}

// A ShutdownStarter is a [Manager] that is told when the stop begins, whoever requested it: to tell
// the platform, or to deregister from a balancer. Delay and the phases begin when ShutdownStart has
// returned, or after half of Grace minus Delay. ctx is like that of a [Callback].
type ShutdownStarter interface {
	ShutdownStart(ctx context.Context, reason error) error
}

// A ShutdownFinisher is a [Manager] that is told how the stop went, when all phases are done. ctx
// is like that of a [Callback].
type ShutdownFinisher interface {
	ShutdownFinish(ctx context.Context, r Report) error
}

// A Releaser is a [Manager] that holds something, such as the signals of the process, that must be
// free again when Wait returns or Start has failed. Release is called after the context of the
// manager's Start has ended, and is waited for 100ms at most.
type Releaser interface {
	Release()
}

// AddManager adds managers, which may request the shutdown. Start starts them in the order in which
// they were added. AddManager adds all of them or none. It returns [ErrAlreadyStarted] after Start,
// [ErrShuttingDown] after the trigger, and an error for a manager that is nil or was added before.
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
			if slices.ContainsFunc(all, func(other *managed) bool { return same(m, other.Manager) }) {
				return fmt.Errorf("shutdown: AddManager: manager %d, a %T, was added before", i, m)
			}
			all = append(all, &managed{Manager: m})
		}
		gs.managers = all
		return nil
	})
}

// managed is a manager, with its name from when it was started.
type managed struct {
	Manager
	name    string
	started bool // its Start has succeeded
}

func (m *managed) label() string { return "shutdown/" + m.name }

// steps returns the hooks of m as steps of a stop.
func (m *managed) steps() (steps []*step) {
	add := func(k kind, run func(context.Context) error) {
		steps = append(steps, &step{name: m.name, stage: stage{kind: k}, run: run})
	}
	if starter, ok := m.Manager.(ShutdownStarter); ok {
		add(kindStart, func(ctx context.Context) error { return starter.ShutdownStart(ctx, Reason(ctx)) })
	}
	if finisher, ok := m.Manager.(ShutdownFinisher); ok {
		add(kindFinish, func(ctx context.Context) error { return finisher.ShutdownFinish(ctx, stopOf(ctx).gs.Report()) })
	}
	if _, ok := m.Manager.(Releaser); ok {
		add(kindRelease, func(context.Context) error { return m.release() })
	}
	return steps
}

func (m *managed) release() error {
	if r, ok := m.Manager.(Releaser); ok {
		r.Release()
	}
	return nil
}

// startWait is how long a manager's Name gets, and a Start in progress after the trigger: time
// enough for one that requests the shutdown within its Start, so that its hooks are called like any
// other's.
const startWait = time.Second

// startManager returns ErrShuttingDown, or the result of the manager's Start under guard. It does
// not wait much beyond the trigger.
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
		Info: func(text string) { gs.log(slog.LevelInfo, m.name+": "+text) },
	})
	call := guard.Go(ctx, m.label(), func() error {
		return m.Start(ctx, func(reason error) { gs.request(reason, m.name) })
	})
	if !gs.waitForStart(call, nil) {
		gs.recordStart(m.name, "Start", guard.ErrHangs)
		return ErrShuttingDown
	}
	return call.Err()
}

// waitForStart waits for a method of a manager until late, and not much beyond the trigger. It
// reports whether the method has returned.
func (gs *GracefulShutdown) waitForStart(call *guard.Call, late <-chan time.Time) bool {
	select {
	case <-call.Done():
		return true
	case <-late:
		return isClosed(call.Done())
	case <-gs.draining: // this includes the end of Start's context
	}
	until := time.Now().Add(startWait)
	return gs.waitFor(call, func() time.Time {
		_, grace, _ := gs.clock.ends()
		until = earliest(until, time.Now().Add(time.Until(grace)/10))
		return until
	})
}

// nameManager asks for the name once. Without one, the manager is called by its type.
func (gs *GracefulShutdown) nameManager(m *managed) {
	if m.name != "" {
		return
	}
	m.name = fmt.Sprintf("%T", m.Manager)
	var name string
	call := guard.Go(context.Background(), m.label(), func() error { name = m.Name(); return nil })
	switch {
	case !gs.waitForStart(call, time.After(startWait)):
		gs.recordStart(m.name, "Name", guard.ErrHangs)
	case call.Err() != nil:
		gs.recordStart(m.name, "Name", call.Err())
	default:
		m.name = name
	}
}

// recordStart records the error of a manager's method that is called before or within Start.
func (gs *GracefulShutdown) recordStart(manager, method string, err error) {
	f := find(err, nil)
	if err == guard.ErrHangs { // never wrapped
		err = fmt.Errorf("%w: %s has not returned", ErrTimeout, method)
		f = finding{err: err, text: err.Error(), timeout: true, late: true}
	}
	gs.end(&step{name: manager, stage: stage{kind: kindStart}}, f)
}
