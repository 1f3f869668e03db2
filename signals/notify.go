package signals

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"
)

// NotifyContext returns a copy of parent that is cancelled at the first signal, with an [*Error] as
// its cause; a second signal forces: one line on standard error and exit status 1, or what [OnForce] says.
// The signals are [os.Interrupt] and SIGTERM, or those of [Signals]; they are registered when NotifyContext returns.
// It can be called any number of times, from any goroutine; each context counts the signals for itself.
//
// The returned function cancels the context and releases the signals: if nobody else takes them, their default
// disposition is back when it returns. Call it when the context's work is done. It is safe for
// concurrent use and does nothing the second time.
//
// The end of parent ends the context, but releases nothing: while the program winds down, a first
// signal still only asks and a second one still forces, instead of the next one killing the process half-way. One
// goroutine runs until the returned function is called.
func NotifyContext(parent context.Context, opts ...Option) (context.Context, context.CancelFunc) {
	n := notify(parent, newConfig(opts))
	return n.ctx, n.release
}

// A notifier counts the signals of one context.
type notifier struct {
	config
	ctx    context.Context
	cancel context.CancelCauseFunc

	registered chan os.Signal   // from the operating system; nil with Source
	arrived    <-chan os.Signal // what listen reads: registered or the Source
	release    func()
	released   chan struct{}

	mu      sync.Mutex
	asked   bool
	askedAt time.Time
}

func notify(parent context.Context, c config) *notifier {
	n := &notifier{config: c, arrived: c.source, released: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancelCause(parent)
	n.release = sync.OnceFunc(n.stop)
	if n.source == nil {
		// Two places, because os/signal drops what does not fit: a burst loses neither the signal that asks nor the
		// one that forces.
		n.registered = make(chan os.Signal, 2)
		n.arrived = n.registered
		register(n.registered, n.signals)
	}
	go n.listen()
	return n
}

// register is signal.Notify without the signals that are ignored. It must not be called for none at
// all: to signal.Notify an empty list means every signal there is.
func register(c chan<- os.Signal, sigs []os.Signal) {
	sigs = slices.DeleteFunc(slices.Clone(sigs), signal.Ignored)
	if len(sigs) > 0 {
		signal.Notify(c, sigs...)
	}
}

func (n *notifier) listen() {
	arrived := n.arrived
	for {
		select {
		case <-n.released:
			return
		case sig, open := <-arrived:
			switch {
			case n.isReleased(): // with both cases ready, select picks any: the release has to win
				return
			case !open: // a closed Source has no more signals
				arrived = nil
			case n.ask(&Error{Signal: sig}), n.isRepeat():
			default:
				n.onForce(sig)
			}
		}
	}
}

// ask cancels the context unless something asked before, and reports whether it did.
func (n *notifier) ask(cause error) bool {
	n.mu.Lock()
	first := !n.asked
	if first {
		n.asked, n.askedAt = true, time.Now()
	}
	n.mu.Unlock()

	if first {
		n.cancel(cause)
	}
	return first
}

// isRepeat reports whether a signal that arrives now still belongs to the first one.
func (n *notifier) isRepeat() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Since(n.askedAt) < n.forceWindow
}

func (n *notifier) isReleased() bool {
	select {
	case <-n.released:
		return true
	default:
		return false
	}
}

func (n *notifier) stop() {
	if n.registered != nil {
		signal.Stop(n.registered)
	}
	close(n.released)
	n.cancel(nil)
}
