package shutdown

import (
	"context"
	"fmt"
	"time"
)

// A Manager asks for the shutdown: because of a signal, a notice from the platform, a lost lease. It may also implement
// [ShutdownStarter], [ShutdownFinisher] and [Releaser], which are called if its Start has succeeded. The hooks of several managers run at
// the same time; an error or a panic of one is like that of a [Callback].
type Manager interface {
	// Name is what errors and the report call it. It may be called at any time.
	Name() string

	// Start begins to watch and returns without waiting for anything; what it has set up (a registered signal, a
	// subscription) is in place by then. After an error it leaves nothing behind. request may be called at any time, from any
	// goroutine, any number of times, also before Start returns and after ctx has ended; only the first request of all managers
	// counts. A nil reason stands for "requested".
	//
	// ctx has the values of the context given to GracefulShutdown.Start, but an end of its own: when the stop is complete, or another
	// manager has failed to start. Everything that Start began has to end then.
	Start(ctx context.Context, request func(reason error)) error
}

// A ShutdownStarter is a [Manager] that wants to know when the stop begins, whoever asked for it: to tell the platform, to
// deregister from a balancer. Delay and the phases begin when it has returned, or when half of what Delay leaves of Grace is over. ctx
// is that of a [Callback].
type ShutdownStarter interface {
	ShutdownStart(ctx context.Context, reason error) error
}

// A ShutdownFinisher is a [Manager] that wants to know when all phases are done, and how they went.
// ctx is that of a [Callback].
type ShutdownFinisher interface {
	ShutdownFinish(ctx context.Context, r Report) error
}

// A Releaser is a [Manager] that holds something which is to be free again when Wait returns or Start has failed, such as the signals of
// the process. Release is called in that moment, with the context of the manager's Start ended. It must not take long: all together
// are waited for 100ms at most.
type Releaser interface {
	Release()
}

// release ends the managers' context and has them release what they hold. It waits for that, but not beyond latest.
func (gs *GracefulShutdown) release(end func(), managers []Manager, latest time.Time) {
	end()
	released := make(chan struct{})
	go func() {
		defer close(released)
		for _, m := range managers {
			if r, ok := m.(Releaser); ok {
				protect(func() error { r.Release(); return nil }, func(err error) {
					if err != nil {
						err = fmt.Errorf("%s: release: %w", m.Name(), err)
						gs.observeError("shutdown manager failed", err)
						gs.observer.keep(err)
					}
				})
			}
		}
	}()
	await(released, min(cutTime, time.Until(latest)))
}

// startWait is how long, after the trigger, a manager's Start in progress gets to return: time enough for one that asks within its
// Start, and that then has its hooks called like any other.
const startWait = time.Second

// startManager calls m.Start and does not wait for it much beyond the trigger. ctx is m's to keep.
func (gs *GracefulShutdown) startManager(ctx context.Context, m Manager) error {
	if gs.isDraining() {
		return ErrShuttingDown
	}
	name := m.Name()
	if r, ok := m.(errorReporter); ok {
		r.reportErrors(func(err error) { gs.observeError("shutdown manager failed", fmt.Errorf("%s: %w", name, err)) })
	}
	returned := make(chan error, 1)
	go protect(func() error {
		return m.Start(ctx, func(reason error) { gs.trigger(reason, name) })
	}, func(err error) { returned <- err })

	var err error
	select {
	case err = <-returned:
	case <-gs.draining: // the end of Start's context is one of the things that close it
		select {
		case err = <-returned:
		case <-time.After(min(startWait, gs.grace/10)):
			return ErrShuttingDown
		}
	}
	if err != nil {
		return fmt.Errorf("shutdown: starting manager %s: %w", name, err)
	}
	return nil
}
