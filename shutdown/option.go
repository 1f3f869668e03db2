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
// The default is 25 seconds, because Kubernetes kills after 30. It panics if d is not positive.
func Grace(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("shutdown: Grace(%v): must be positive", d))
	}
	return optionFunc(func(c *config) { c.grace = d })
}

// Delay is how long the service still accepts and serves after the trigger, while load balancers
// notice that it is no longer ready. It is part of Grace, and is waited for in full unless nothing
// serves. The default is 0. Behind a balancer, use more than the time it takes to notice: where it
// probes, the readiness probe's period times its failure threshold; on Kubernetes, whose endpoints
// lag behind the pod, about 5 seconds. It panics if d is negative, and [New] panics if Delay is not
// less than Grace.
func Delay(d time.Duration) Option {
	mustNotBeNegative("Delay", d)
	return optionFunc(func(c *config) { c.delay = d })
}

// Linger is how long a connection of an HTTP server stays open for a last request, whose response
// tells the client to leave. It counts from the trigger, from when the connection was accepted or
// from its last response, whichever is latest, and ends at the latest a full Linger after Delay. So
// a connection that was silent during a longer Delay is closed as soon as Delay is over. Linger
// ends early when no connection is left, and takes at most half of what is left of Grace. The
// default is 500ms. It panics if d is negative.
//
// HTTP/1 cannot close an idle connection without the risk that the client is just sending a request
// (RFC 9112, 9.5). Where clients keep many connections that they seldom use, a longer Linger makes
// that rarer.
func Linger(d time.Duration) Option {
	mustNotBeNegative("Linger", d)
	return optionFunc(func(c *config) { c.linger = d })
}

// Tail comes after [Grace], for the phases that have not begun by then; they share it equally. The
// default is 2 seconds; with 0 such phases are skipped. It panics if d is negative.
func Tail(d time.Duration) Option {
	mustNotBeNegative("Tail", d)
	return optionFunc(func(c *config) { c.tail = d })
}

// Logger has l log what GoHTTP and GoGRPC serve (Info), a listener whose queue would be lost
// (Warn), the trigger (Info, or Error for a failed component), what the stop is waiting for, after
// a second and then every five (Info), each error (Error), and the [Report] at the end (Info, or
// Error if the stop failed). The default is no logging. It panics if l is nil.
//
// Logger, [ErrorHandler] and [Watch] each get one call at a time, in the order of what happened.
// One that blocks does not hold up the stop. At the end they get what is left of Grace and Tail to
// catch up, Watch at most 100ms; calls still waiting then are dropped.
func Logger(l *slog.Logger) Option {
	if l == nil {
		panic("shutdown: Logger(nil): a logger is needed")
	}
	return optionFunc(func(c *config) { c.logger = l })
}

// ErrorHandler has fn called for each error as it occurs: of callbacks, hooks, servers, components
// and polls. Wait returns them too, except those of polls and, of a server with several listeners,
// all but the first. The default is none. It panics if fn is nil.
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
