// Package posixsignal lets signals ask a [shutdown.GracefulShutdown] to stop: the first asks, the second
// forces.
//
//	err := gs.AddManager(posixsignal.New())
//
// It is package signals for programs that stop by package shutdown; use one of the two, not both.
//
// The signals are [os.Interrupt] and SIGTERM unless [Signals] says otherwise; "POSIX" is where they come from, and it works on
// Windows too, where Go maps the closing of a console to SIGTERM. One that the process inherited as ignored (nohup) stays
// ignored, as far as Go's runtime keeps that: SIGHUP and SIGINT.
package posixsignal

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/shutdown"
)

// New returns a manager that requests the shutdown at the first signal, with an [*Error] as the reason. The signals are registered
// when [shutdown.GracefulShutdown.Start] returns, and released when it has failed or the stop is complete: from then on they do what they do by
// default. A manager is for one GracefulShutdown. It runs one goroutine, from Start to the end of the stop.
//
// A second signal before that ends the process: one line on standard error and exit status 1, or what [OnForce] says in place of that.
// If something else has asked for the shutdown, the first signal does not force yet: a platform sends its SIGTERM
// without knowing that the service is stopping already.
func New(opts ...Option) shutdown.Manager {
	m := &manager{
		signals: []os.Signal{os.Interrupt, syscall.SIGTERM},
		onForce: exit,
	}
	for _, o := range opts {
		if o != nil {
			o.apply(m)
		}
	}
	return m
}

type manager struct {
	signals     []os.Signal
	onForce     func(os.Signal)
	forceWindow time.Duration
	source      <-chan os.Signal

	registered chan os.Signal // nil with Source
}

func (*manager) Name() string { return "posixsignal" }

// Start registers the signals. Its goroutine ends with ctx.
func (m *manager) Start(ctx context.Context, request func(reason error)) error {
	arrived := m.source
	if arrived == nil {
		// Two places, because os/signal drops what does not fit: a burst loses neither the signal that asks nor the
		// one that forces. Registered here, not in the goroutine: one that comes the moment after Start must not kill.
		m.registered = make(chan os.Signal, 2)
		register(m.registered, m.signals)
		arrived = m.registered
	}
	go m.listen(ctx, arrived, request)
	return nil
}

// Release gives the signals back. It is no matter of the goroutine's, which ends a little later than the stop: a signal that came in
// between would have no effect.
func (m *manager) Release() {
	if m.registered != nil {
		signal.Stop(m.registered)
	}
}

// register is signal.Notify without the signals that are ignored. It must not be called for none at
// all: to signal.Notify an empty list means every signal there is.
func register(c chan<- os.Signal, sigs []os.Signal) {
	sigs = slices.DeleteFunc(slices.Clone(sigs), signal.Ignored)
	if len(sigs) > 0 {
		signal.Notify(c, sigs...)
	}
}

func (m *manager) listen(ctx context.Context, arrived <-chan os.Signal, request func(reason error)) {
	var askedAt time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case sig, open := <-arrived:
			switch {
			case ctx.Err() != nil: // with both cases ready, select picks any: the end has to win
				return
			case !open: // a closed Source has no more signals
				arrived = nil
			case askedAt.IsZero():
				askedAt = time.Now()
				request(&Error{Signal: sig})
			case time.Since(askedAt) >= m.forceWindow:
				m.onForce(sig)
			}
		}
	}
}

// exit is what the second signal does unless OnForce says otherwise. Standard error may be a pipe that is full or that nobody reads any
// more, just when a stop hangs: that holds the exit up for a moment at most.
func exit(sig os.Signal) {
	ignoreBrokenPipe()
	time.AfterFunc(time.Second, func() { os.Exit(1) })
	fmt.Fprintf(os.Stderr, "received %v while shutting down: exiting at once\n", sig)
	os.Exit(1)
}

// An Error is the reason of a shutdown that a signal asked for. errors.Is(err, context.Canceled) holds, so it reads
// like any other cancellation where it is the cause of a context.
type Error struct {
	Signal os.Signal // the first one, which asked
}

// Error returns "posixsignal: received " and the name of the signal, such as "terminated".
func (e *Error) Error() string {
	if e.Signal == nil {
		return "posixsignal: received a signal"
	}
	return "posixsignal: received " + e.Signal.String()
}

// Is reports whether target is [context.Canceled].
func (e *Error) Is(target error) bool { return target == context.Canceled }
