package signals

import (
	"context"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/control"
)

// NotifyContext returns a copy of parent that is cancelled at the first signal, with an [*Error] as
// its cause. A second signal forces: it writes one line to standard error and exits with status 1,
// or does what [OnForce] says. The signals are [os.Interrupt] and SIGTERM, or those of [Signals];
// they are registered when NotifyContext returns. It can be called any number of times, from any
// goroutine. Each context counts the signals for itself.
//
// The returned function cancels the context and releases the signals: when it returns, they have
// their default disposition again, unless something else takes them. Call it when the context's
// work is done. It is safe for concurrent use and does nothing the second time.
//
// The end of parent ends the context, but releases nothing. While the program winds down, a first
// signal still only asks and a second one still forces, so one signal cannot kill the process
// half-way. One goroutine runs until the returned function is called.
func NotifyContext(parent context.Context, opts ...Option) (context.Context, context.CancelFunc) {
	n := notify(parent, newConfig(opts))
	return n.ctx, n.release
}

// A notifier counts the signals of one context, all in one goroutine.
type notifier struct {
	config
	control control.Control
	ctx     context.Context
	cancel  context.CancelCauseFunc

	arrived  <-chan os.Signal // what listen reads
	taken    []chan os.Signal // registered until the release; none with Source
	release  func()
	released chan struct{}

	mu    sync.Mutex
	asked bool

	counted int       // the signals so far, without repeats; used by listen only
	recent  []arrival // those within the window; used by listen only
}

type arrival struct {
	sig os.Signal
	at  time.Time
}

func notify(parent context.Context, c config) *notifier {
	n := &notifier{
		config: c, control: control.FromContext(parent),
		arrived: c.source, released: make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancelCause(parent)
	n.release = sync.OnceFunc(n.stop)
	if n.source == nil {
		// Size 2, because os/signal drops what does not fit: a burst loses neither the signal that
		// asks nor the one that forces.
		n.arrived = n.take(2, n.signals)
		// Notify and not Ignore, which child processes would inherit. Nothing reads the channel.
		if n.control.KeepSIGPIPE {
			register(make(chan os.Signal, 1), brokenPipe)
		} else {
			n.take(1, brokenPipe)
		}
	}
	go n.listen()
	return n
}

func (n *notifier) take(size int, sigs []os.Signal) <-chan os.Signal {
	c := make(chan os.Signal, size)
	register(c, sigs)
	n.taken = append(n.taken, c)
	return c
}

// register is signal.Notify without the signals that are ignored. It does nothing if none is left,
// because to signal.Notify an empty list means every signal.
func register(c chan<- os.Signal, sigs []os.Signal) {
	sigs = slices.DeleteFunc(slices.Clone(sigs), signal.Ignored)
	if len(sigs) > 0 {
		signal.Notify(c, sigs...)
	}
}

func (n *notifier) listen() {
	over := false
	defer func() {
		if !over { // the function of OnForce has called runtime.Goexit
			go n.listen()
		}
	}()
	arrived := n.arrived
	for !over {
		select {
		case <-n.released:
			over = true
		case sig, open := <-arrived:
			switch {
			case n.isReleased(): // select picks any ready case, but the release has to win
				over = true
			case !open: // a closed Source has no more signals
				arrived = nil
			default:
				n.count(sig)
			}
		}
	}
}

// count decides whether a signal asks, hurries or forces. The first one never forces, even if
// something else has asked before: a platform sends its SIGTERM without knowing that the program is
// already stopping.
func (n *notifier) count(sig os.Signal) {
	now := time.Now()
	n.recent = slices.DeleteFunc(n.recent, func(a arrival) bool { return now.Sub(a.at) >= n.forceWindow })
	if slices.ContainsFunc(n.recent, func(a arrival) bool { return same(sig, a.sig) }) {
		return
	}
	n.recent = append(n.recent, arrival{sig, now})
	n.counted++
	switch {
	case n.counted == 1:
		cause := &Error{Signal: sig}
		n.ask(cause)
		n.control.Request(cause)
	case n.counted == 2 && n.secondHurries && n.control.Hurry():
	case n.onForce != nil:
		n.onForce(sig)
	default:
		exit(sig, n.control.Waiting)
	}
}

// same reports whether two signals are equal. Those of a Source may have a type on which == panics.
func same(a, b os.Signal) bool { return reflect.ValueOf(a).Comparable() && a == b }

// ask cancels the context unless something asked before, and reports whether it did.
func (n *notifier) ask(cause error) bool {
	n.mu.Lock()
	first := !n.asked
	n.asked = true
	n.mu.Unlock()

	if first {
		n.cancel(cause)
	}
	return first
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
	for _, c := range n.taken {
		signal.Stop(c)
	}
	close(n.released)
	n.cancel(nil)
}
