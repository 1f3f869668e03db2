// Package posixsignal lets signals request the stop of a [shutdown.GracefulShutdown]. The first
// signal asks, the second forces.
//
//	err := gs.AddManager(posixsignal.New())
//
// It is package signals for programs that stop with package shutdown. The options are the same, and
// so are the rules for what counts as a second signal, for SIGPIPE, and for signals that the
// process inherited as ignored. Use one of the two packages, not both.
//
//	posixsignal.New(signals.Signals(syscall.SIGTERM), posixsignal.SecondHurries())
//
// The default signals are [os.Interrupt] and SIGTERM. Despite its name the package works on
// Windows, too, where Go maps the closing of a console to SIGTERM.
package posixsignal

import (
	"context"
	"slices"
	"sync"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/signals"
)

// An Option is an option of package signals, or [SecondHurries].
type Option = signals.Option

// An Error is the reason of a shutdown that a signal requested. [signals.FromContext] finds the
// signal in the Context of the GracefulShutdown.
type Error = signals.Error

// SecondHurries makes the second signal call [shutdown.GracefulShutdown.Hurry], and the third
// force. If Grace is already over, as after Hurry, the second forces.
func SecondHurries() Option { return secondHurries{} }

// secondHurries is an Option because it embeds one. Package signals recognises it by its method.
type secondHurries struct{ Option }

func (secondHurries) SecondHurries() {}

// New returns a manager that requests the shutdown at the first signal, with an [*Error] as the
// reason. The signals are registered when [shutdown.GracefulShutdown.Start] returns. They are
// released, and have their default effect again, when Start has failed or the stop is complete.
// Only SIGPIPE stays taken, for what the program writes after the stop. A manager can be used for
// one GracefulShutdown only. It runs one goroutine, from Start to the end of the stop.
//
// A second signal before that ends the process: it writes one line to standard error, which says
// what the stop is waiting for, and exits with status 1, or does what [signals.OnForce] says
// instead. The first signal never forces, even if something else has requested the shutdown: a
// platform sends its SIGTERM without knowing that the service is already stopping.
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
	m.Release() // if an earlier Start was not released
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
