package health

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// Wait calls p until it succeeds, and then returns nil. The first attempt is made at once.
//
// The pause before the next attempt is a tenth of the time waited so far, at least 1ms and at most 100ms.
// So the success is noticed at most 10% of the start-up time after it became possible, plus what the
// attempt takes, and a start-up of a minute costs about 650 attempts, not 60,000.
// One attempt may take one second, see [AttemptTimeout].
//
// There is no other limit than ctx: give it a deadline. Whatever ends ctx ends the wait, so a component
// that fails can end it with its own error through [context.WithCancelCause]; see the example.
// Wait returns soon after ctx ends, within 50ms, even if p does not. If ctx is over from the beginning, p is not called.
//
// It returns a *[WaitError] when ctx ended first, p returned a [Permanent] error, or p is nil. A panic in p is a failed
// attempt with a *[PanicError]. If p calls [runtime.Goexit], as FailNow of a test does, Wait
// ends the goroutine of its caller likewise. Wait writes no log; [OnAttempt] observes.
func Wait(ctx context.Context, p Probe, opts ...Option) error {
	c := waitConfig{attemptTimeout: time.Second}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c)
		}
	}
	w := waiter{ctx: ctx, config: c, start: time.Now()}
	if p == nil {
		return w.giveUp(errors.New("health: Wait: the probe is nil"))
	}
	for ctx.Err() == nil {
		began := time.Now()
		w.attempts++
		stuck, err := attempt(ctx, "health/wait", p, c.attemptTimeout)
		if errors.Is(err, errExited) {
			runtime.Goexit()
		}
		w.keep(err)

		permanent := errors.Is(err, ErrPermanent)
		pause := time.Duration(0)
		if err != nil && !permanent && ctx.Err() == nil {
			pause = proportional(time.Since(w.start), time.Millisecond, 100*time.Millisecond)
		}
		w.observe(Attempt{
			Number: w.attempts, Duration: time.Since(began), Elapsed: time.Since(w.start), Err: err, Pause: pause,
		})
		switch {
		case err == nil:
			return nil
		case permanent:
			return w.giveUp(ErrPermanent)
		case stuck != nil:
			select {
			case <-stuck.Done():
			case <-ctx.Done():
			}
		}
		sleep(ctx, pause)
	}
	return w.giveUp(context.Cause(ctx))
}

// An Option changes how [Wait] works. A nil Option is skipped.
type Option interface{ apply(*waitConfig) }

type waitConfig struct {
	attemptTimeout time.Duration
	onAttempt      []func(Attempt)
}

type optionFunc func(*waitConfig)

func (f optionFunc) apply(c *waitConfig) { f(c) }

// OnAttempt has fn called after each attempt, in the goroutine that called [Wait], which goes on when fn returns.
// Given several times, all are called. It panics if fn is nil.
func OnAttempt(fn func(Attempt)) Option {
	if fn == nil {
		panic("health: OnAttempt(nil): expected a function")
	}
	return optionFunc(func(c *waitConfig) { c.onAttempt = append(c.onAttempt, fn) })
}

// AttemptTimeout sets how long one attempt may take. The default is one second. It panics if d is not positive.
func AttemptTimeout(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("health: AttemptTimeout(%v): must be positive", d))
	}
	return optionFunc(func(c *waitConfig) { c.attemptTimeout = d })
}

// An Attempt is what [OnAttempt] observes.
type Attempt struct {
	Number   int           // from 1
	Duration time.Duration // of this attempt
	Elapsed  time.Duration // since Wait was called
	Err      error         // nil for the success, which is the last attempt
	Pause    time.Duration // before the next attempt; 0 if there will be none
}

// A WaitError tells why [Wait] gave up. Through [errors.Is] and [errors.As] both Last and Cause are found, and
// [context.Canceled] or [context.DeadlineExceeded] if the context ended. As a failed attempt may well have
// timed out on its own, look at Cause to learn whether the deadline of the wait had passed.
type WaitError struct {
	Attempts int           // how often the probe was called
	Elapsed  time.Duration // how long Wait took

	// Last is the last failure of the probe, or nil if it was never called. An attempt that failed only because
	// the context ended does not hide the failure before it.
	Last error
	// Cause is why there was no further attempt: the [context.Cause] of the context, [ErrPermanent], or that the probe is nil.
	Cause error

	ctxErr error
}

// Error says how often, how long, why it ended, and how the probe last failed.
func (e *WaitError) Error() string {
	attempts := "attempts"
	if e.Attempts == 1 {
		attempts = "attempt"
	}
	text := fmt.Sprintf("health: gave up after %d %s in %v",
		e.Attempts, attempts, oneline.Round(e.Elapsed))
	if e.Cause != nil {
		text += ": " + unprefixed(e.Cause)
	}
	if e.Last != nil {
		text += "; last failure: " + unprefixed(e.Last)
	}
	return text
}

// Unwrap returns Last, Cause and the error of the context, those that there are.
func (e *WaitError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Last, e.Cause, e.ctxErr} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// A waiter is the state of one Wait. It belongs to the goroutine that called it.
type waiter struct {
	ctx      context.Context
	config   waitConfig
	start    time.Time
	attempts int
	last     error
}

// keep remembers err as the last failure, unless all it says is that the context ended.
func (w *waiter) keep(err error) {
	cut := w.ctx.Err() != nil && (errors.Is(err, w.ctx.Err()) || errors.Is(err, context.Cause(w.ctx)))
	if !cut || w.last == nil {
		w.last = err
	}
}

func (w *waiter) observe(a Attempt) {
	for _, fn := range w.config.onAttempt {
		fn(a)
	}
}

func (w *waiter) giveUp(cause error) error {
	return &WaitError{
		Attempts: w.attempts, Elapsed: time.Since(w.start), Last: w.last, Cause: cause, ctxErr: w.ctx.Err(),
	}
}

// proportional returns a tenth of elapsed within bounds: whoever pauses that long before each attempt
// is never later than 10% of the time it took.
func proportional(elapsed, least, most time.Duration) time.Duration {
	return min(max(elapsed/10, least), most)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// unprefixed is the text of an error of this package inside another one.
func unprefixed(err error) string { return strings.TrimPrefix(err.Error(), "health: ") }
