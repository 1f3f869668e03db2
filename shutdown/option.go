package shutdown

import (
	"fmt"
	"log/slog"
	"time"
)

// An Option changes how a [GracefulShutdown] works. A nil Option is skipped.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config does not change after New.
type config struct {
	grace, delay, linger, tail time.Duration

	logger       *slog.Logger
	errorHandler func(error)
	watch        func(Step)
}

func newConfig(opts []Option) config {
	c := config{
		grace:  25 * time.Second,
		linger: 500 * time.Millisecond,
		tail:   2 * time.Second,
	}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	if c.delay >= c.grace {
		panic(fmt.Sprintf("shutdown: Delay(%v) leaves nothing of Grace(%v) to stop in", c.delay, c.grace))
	}
	return c
}

// Grace is how long a stop may take in all, from the trigger on; see [Tail] for what comes after.
// The default is 25 seconds: Kubernetes waits 30 before it kills. It panics if d is not positive.
func Grace(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("shutdown: Grace(%v): must be positive", d))
	}
	return optionFunc(func(c *config) { c.grace = d })
}

// Delay is how long the service goes on accepting and serving after the trigger, while load
// balancers notice that it is not ready any more. It is part of Grace, and waited for in full
// unless nothing serves. The default is 0; behind a balancer use more than the time it takes to
// notice: the readiness probe's period times its failure threshold where it probes, about 5 seconds
// on Kubernetes, whose endpoints lag behind the pod. It panics if d is negative, and [New] does if
// it leaves nothing of Grace.
func Delay(d time.Duration) Option {
	mustNotBeNegative("Delay", d)
	return optionFunc(func(c *config) { c.delay = d })
}

// Linger is how long a connection of an HTTP server stays open for its last request, whose response
// tells the client to leave: until Linger after the trigger, after it was accepted or after its
// last response, whichever comes last, but never beyond the end of Delay and Linger. So a
// connection that was silent during a longer Delay is closed at once. Linger ends when no
// connection is left, and takes at most half of what is left of Grace. HTTP/1 has no way to close
// an idle connection without the risk that its client begins a request at the same time (RFC 9112,
// 9.5): where clients keep many connections that they seldom use, a longer Linger makes that rarer.
// The default is 500ms. It panics if d is negative.
func Linger(d time.Duration) Option {
	mustNotBeNegative("Linger", d)
	return optionFunc(func(c *config) { c.linger = d })
}

// Tail comes after [Grace], for the phases that have not begun by then; they share it equally. The
// default is 2 seconds. It panics if d is negative; with 0 such phases are skipped.
func Tail(d time.Duration) Option {
	mustNotBeNegative("Tail", d)
	return optionFunc(func(c *config) { c.tail = d })
}

// Logger is told about the start and the trigger (Info), what a stop waits for after a second and
// then every five (Info), each error (Error), and the end with the [Report] (Info, or Error if it
// failed). The default is no logging. Like [ErrorHandler] and [Watch], it is called from one
// goroutine at a time, in the order of what happened. If it blocks, the stop goes on without it; it
// gets what is left of Grace and Tail to catch up, and what does not fit into that is not told. It
// panics if l is nil.
func Logger(l *slog.Logger) Option {
	if l == nil {
		panic("shutdown: Logger(nil): a logger is needed")
	}
	return optionFunc(func(c *config) { c.logger = l })
}

// ErrorHandler has fn called for each error as it occurs: of callbacks, hooks, servers, components
// and polls. All but those of polls are also in the error that Wait returns. The default is none.
// It panics if fn is nil.
func ErrorHandler(fn func(error)) Option {
	if fn == nil {
		panic("shutdown: ErrorHandler(nil): a function is needed")
	}
	return optionFunc(func(c *config) { c.errorHandler = fn })
}

// Watch has fn called when a [Step] begins, with the state [StateRunning], and when it has ended.
// The default is none. It panics if fn is nil.
func Watch(fn func(Step)) Option {
	if fn == nil {
		panic("shutdown: Watch(nil): a function is needed")
	}
	return optionFunc(func(c *config) { c.watch = fn })
}

func mustNotBeNegative(name string, d time.Duration) {
	if d < 0 {
		panic(fmt.Sprintf("shutdown: %s(%v): must not be negative", name, d))
	}
}
