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

type config struct {
	grace, delay, linger, tail time.Duration

	logger       *slog.Logger
	errorHandler func(error)
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

// Grace is how long a stop may take in all, from the trigger on; see [Tail] for what comes after. The default is 25 seconds: Kubernetes
// waits 30 before it kills. It panics if d is not positive.
func Grace(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("shutdown: Grace(%v): must be positive", d))
	}
	return optionFunc(func(c *config) { c.grace = d })
}

// Delay is how long the service goes on accepting and serving after the trigger, while load balancers notice that it is not
// ready any more. It is part of Grace and always waited for in full. The default is 0; behind a balancer use more than the time it
// takes to notice: the readiness probe's period times its failure threshold where it probes, about 5 seconds on Kubernetes,
// whose endpoints lag behind the pod. It panics if d is negative, and [New] does if it leaves nothing of Grace.
func Delay(d time.Duration) Option {
	mustNotBeNegative("Delay", d)
	return optionFunc(func(c *config) { c.delay = d })
}

// Linger is how long, after Delay, connections of the HTTP servers that are still open get to make a last request, whose response
// tells the client to leave. It ends at once when no connection is left, and takes at most half of what is left of Grace. A connection on
// which nothing came all the while is closed, and HTTP/1 has no way to do that without the risk that its client begins a request in that very
// moment (RFC 9112, 9.5): where clients keep many connections that they seldom use, a longer Linger makes that rarer.
// The default is 500ms. It panics if d is negative.
func Linger(d time.Duration) Option {
	mustNotBeNegative("Linger", d)
	return optionFunc(func(c *config) { c.linger = d })
}

// Tail comes after [Grace], for the phases that have not begun when that has run out; they share it equally. The default is 2 seconds.
// It panics if d is negative; with 0 such phases are skipped.
func Tail(d time.Duration) Option {
	mustNotBeNegative("Tail", d)
	return optionFunc(func(c *config) { c.tail = d })
}

// Logger is told about the trigger (Info), each error (Error) and the end of the stop, with its [Report] (Info, or Error if it failed).
// The default is no logging. It is called from one goroutine at a time; if it blocks, the stop goes on without it, as with [ErrorHandler].
// It panics if l is nil.
func Logger(l *slog.Logger) Option {
	if l == nil {
		panic("shutdown: Logger(nil): a logger is needed")
	}
	return optionFunc(func(c *config) { c.logger = l })
}

// ErrorHandler has fn called for each error as it occurs: of callbacks, hooks, components and polls. All but those of polls are also in
// the error that Wait returns. The default is none. fn is called from one goroutine at a time; if it blocks, the stop goes on without it, and what could
// not be told by the end of Grace and Tail, or occurs after Wait has returned, is not told.
// It panics if fn is nil.
func ErrorHandler(fn func(error)) Option {
	if fn == nil {
		panic("shutdown: ErrorHandler(nil): a function is needed")
	}
	return optionFunc(func(c *config) { c.errorHandler = fn })
}

func mustNotBeNegative(name string, d time.Duration) {
	if d < 0 {
		panic(fmt.Sprintf("shutdown: %s(%v): must not be negative", name, d))
	}
}
