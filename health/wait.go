package health

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/oneline"
)

// Wait calls p until it succeeds, and then returns nil. The first attempt is made at once.
//
// The pause before the next attempt is a tenth of the time waited so far, at least 1ms and at most
// 50ms. So Wait notices a success sooner than a loop with a fixed pause of 100ms does, and at most
// 10% of the start-up time late, not counting the attempt itself. A start-up of a minute costs
// about 1,250 attempts. One attempt may take one second, see [AttemptTimeout].
//
// There is no limit but ctx: give it a deadline. Whatever ends ctx ends the wait, so a component
// that fails can end it with its own error through [context.WithCancelCause]; see the example. Wait
// returns soon after ctx ends, within 50ms, even if p does not. If ctx is over from the beginning,
// p is not called.
//
// Wait returns a *[WaitError] when ctx ended first, p returned a [Permanent] error, or p is nil. A
// panic in p is a failed attempt with a *[PanicError]. If p calls [runtime.Goexit], as FailNow of a
// test does, Wait ends the goroutine of its caller likewise. Wait writes no log; [OnAttempt]
// observes.
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
		stuck, o := attempt(ctx, p, c.attemptTimeout)
		if o.err == errExited { // never wrapped, and Is is user code
			runtime.Goexit()
		}
		if !o.cut || w.last == nil { // that the context ended must not hide the real failure
			w.last = o.err
		}
		pause := time.Duration(0)
		if o.err != nil && !o.permanent && ctx.Err() == nil {
			pause = proportional(time.Since(w.start), time.Millisecond, maxPause)
		}
		w.observe(Attempt{
			Number: w.attempts, Duration: time.Since(began), Elapsed: time.Since(w.start),
			Err: o.err, Pause: pause,
		})
		switch {
		case o.err == nil:
			return nil
		case o.permanent:
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

// attempt is one of [Wait]. If the probe is still running when its time is up, the call is returned
// too: there must not be another one before it is done.
func attempt(
	ctx context.Context, probe Probe, timeout time.Duration,
) (stuck *guard.Call, o outcome) {
	attemptCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var judged outcome
	call := guard.Go(attemptCtx, "health/wait", func() error {
		judged = judge(ctx, probe(attemptCtx))
		return nil
	})
	returned := call.Wait(attemptCtx, noticeTime)
	timedOut := guard.Ended(attemptCtx) && !guard.Ended(ctx)
	switch {
	case !returned && timedOut:
		return call, overdue(timeout)
	case !returned:
		cause := context.Cause(ctx)
		o = failed(&safeError{"the probe ignores its context: " + guard.Text(cause), []error{cause}})
		o.cut = true
		return call, o
	}
	o = judged
	if err := call.Err(); err != nil {
		o = failed(probeError(err))
	}
	if timedOut {
		o = o.late(timeout)
	}
	return nil, o
}

// maxPause keeps the lag below the mean lag of the usual loop, which pauses for 100ms.
const maxPause = 50 * time.Millisecond

// An Option changes how [Wait] works. A nil Option is skipped.
type Option interface{ apply(*waitConfig) }

type waitConfig struct {
	attemptTimeout time.Duration
	onAttempt      []func(Attempt)
}

type optionFunc func(*waitConfig)

func (f optionFunc) apply(c *waitConfig) { f(c) }

// OnAttempt calls fn after each attempt, in the goroutine that called [Wait], which continues when
// fn returns. Several of them add up. It panics if fn is nil.
func OnAttempt(fn func(Attempt)) Option {
	if fn == nil {
		panic("health: OnAttempt(nil): expected a function")
	}
	return optionFunc(func(c *waitConfig) { c.onAttempt = append(c.onAttempt, fn) })
}

// AttemptTimeout sets how long one attempt may take. The default is one second. It panics if d is
// not positive.
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

// A WaitError says why [Wait] gave up. [errors.Is] and [errors.As] find both Last and Cause, and
// [context.Canceled] or [context.DeadlineExceeded] if the context ended. A failed attempt may have
// timed out on its own: look at Cause to learn whether the deadline of the wait had passed.
type WaitError struct {
	Attempts int           // how often the probe was called
	Elapsed  time.Duration // how long Wait took

	// Last is the last failure of the probe, or nil if it was never called. An attempt that failed
	// only because the context ended does not hide the failure before it.
	Last error
	// Cause is why there was no further attempt: the [context.Cause] of the context,
	// [ErrPermanent], or that the probe is nil.
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

// unprefixed is the text of an error of this package inside another one.
func unprefixed(err error) string { return strings.TrimPrefix(guard.Text(err), "health: ") }

// Unwrap returns Last, Cause and the error of the context, without those that are nil.
func (e *WaitError) Unwrap() []error {
	return slices.DeleteFunc([]error{e.Last, e.Cause, e.ctxErr},
		func(err error) bool { return err == nil })
}

// A waiter is the state of one Wait. It belongs to the goroutine that called it.
type waiter struct {
	ctx      context.Context
	config   waitConfig
	start    time.Time
	attempts int
	last     error
}

func (w *waiter) observe(a Attempt) {
	for _, fn := range w.config.onAttempt {
		fn(a)
	}
}

func (w *waiter) giveUp(cause error) error {
	return &WaitError{
		Attempts: w.attempts, Elapsed: time.Since(w.start), Last: w.last, Cause: cause,
		ctxErr: w.ctx.Err(),
	}
}

// proportional returns a tenth of elapsed within bounds. With that pause before each attempt,
// nothing is noticed later than 10% of the time it took.
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
