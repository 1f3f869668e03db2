// Package posixsignal lets signals ask a [shutdown.GracefulShutdown] to stop. The first signal
// asks, the second forces.
//
//	err := gs.AddManager(posixsignal.New())
//
// It is package signals for programs that stop by package shutdown, with the same options and the
// same rules: see there for what counts as a second signal, for SIGPIPE, and for signals that the
// process inherited as ignored. Use one of the two packages, not both.
//
//	posixsignal.New(signals.Signals(syscall.SIGTERM), posixsignal.SecondHurries())
//
// The signals are [os.Interrupt] and SIGTERM. "POSIX" is where they come from; it works on Windows
// too, where Go maps the closing of a console to SIGTERM.
package posixsignal

import (
	"context"
	"slices"
	"sync"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/signals"
)

// An Option is one of package signals, or [SecondHurries].
type Option = signals.Option

// An Error is the reason of a shutdown that a signal asked for. [signals.FromContext] finds the
// signal in the Context of the GracefulShutdown.
type Error = signals.Error

// SecondHurries makes the second signal call [shutdown.GracefulShutdown.Hurry], and the third
// force. If the stop has been hurried already, the second forces.
func SecondHurries() Option { return secondHurries{} }

// secondHurries is an Option by embedding one. Package signals recognises it by its method.
type secondHurries struct{ Option }

func (secondHurries) SecondHurries() {}

// New returns a manager that requests the shutdown at the first signal, with an [*Error] as the
// reason. The signals are registered when [shutdown.GracefulShutdown.Start] returns, and released
// when it has failed or the stop is complete: from then on they do what they do by default. Only
// SIGPIPE stays taken, for what the program writes after the stop. A manager is for one
// GracefulShutdown. It runs one goroutine, from Start to the end of the stop.
//
// A second signal before that ends the process: one line on standard error, which says what the
// stop is waiting for, and exit status 1, or what [signals.OnForce] says in place of that. If
// something else has asked for the shutdown, the first signal does not force yet: a platform sends
// its SIGTERM without knowing that the service is stopping already.
func New(opts ...Option) shutdown.Manager { return &manager{opts: slices.Clone(opts)} }

type manager struct {
	opts []Option

	mu      sync.Mutex
	release context.CancelFunc // nil while nothing is registered
}

func (*manager) Name() string { return "posixsignal" }

// Start registers the signals. The end of ctx has no effect, because a second signal has to force
// until the stop is complete.
func (m *manager) Start(ctx context.Context, request func(reason error)) error {
	m.Release() // of a Start before that nobody released
	c := control.FromContext(ctx)
	c.Request, c.KeepSIGPIPE = request, true
	ctx = control.NewContext(context.WithoutCancel(ctx), c)

	m.mu.Lock()
	defer m.mu.Unlock()
	_, m.release = signals.NotifyContext(ctx, m.opts...)
	return nil
}

// Release gives the signals back and ends the goroutine.
func (m *manager) Release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.release != nil {
		m.release()
		m.release = nil
	}
}
