package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/shutdown"
)

// A runner runs the ticks of one job, one after the other. Each job has its own, so that none waits
// for another.
type runner struct {
	job      job
	timeout  time.Duration // of a tick
	journal  *journal
	log      *slog.Logger
	draining <-chan struct{}

	// Used by the goroutine of loop alone.
	last         time.Time // scheduled time of the newest tick
	since        time.Time // that of the newest one that was done: there the work of the next one begins
	interrupted  *tick     // begun by an earlier process and not finished; nil if there is none
	done, failed int

	mu       sync.Mutex
	doing    string    // what the loop does
	expected time.Time // when it has to do something else
}

func newRunner(j job, timeout time.Duration, journal *journal, log *slog.Logger, draining <-chan struct{}) (*runner, error) {
	newest, state, err := journal.newest(context.Background(), j.name)
	if err != nil {
		return nil, err
	}
	r := &runner{
		job: j, timeout: timeout, journal: journal, log: log.With("job", j.name), draining: draining,
		last: newest.scheduled, since: newest.since,
	}
	switch state {
	case "": // never seen before: the first tick is the next one
		r.last = time.Now().Truncate(j.every)
		r.since = r.last
		if err := journal.enrol(context.Background(), j.name, r.last); err != nil {
			return nil, err
		}
	case "begun":
		r.interrupted = &newest
	case "done":
		r.since = newest.scheduled
	}
	r.expect("starting", 0)
	return r, nil
}

// loop is a component of the shutdown. It returns nil when the service stops, after the tick in
// progress. The only error is one of the journal: a worker that cannot write down what it does must
// not do it.
func (r *runner) loop(ctx context.Context) error {
	defer func() {
		r.log.Info("job ended", "done", r.done, "failed", r.failed)
	}()
	// A tick and what is written about it end by themselves, not with the service, whose end is
	// seen by draining.
	ctx = context.WithoutCancel(ctx)
	if r.interrupted != nil {
		if err := r.resume(ctx, *r.interrupted); err != nil {
			return err
		}
	}
	for {
		t, ok := r.wait()
		if !ok {
			return nil
		}
		if err := r.run(ctx, t); err != nil {
			return err
		}
	}
}

// A tick that ended its process this often is not begun again: it may be the cause.
const maxAttempts = 3

// resume runs a tick again that was begun by an earlier process and not finished.
func (r *runner) resume(ctx context.Context, t tick) error {
	t.began = time.Now()
	switch {
	case r.isDraining():
		return nil // the next process finds it, too
	case t.attempt >= maxAttempts:
		r.failed++
		r.log.Error("tick given up", "tick", t.key(), "attempts", t.attempt)
		return r.journal.end(ctx, t, fmt.Errorf("given up: its process ended in it %d times", t.attempt))
	}
	t.attempt++
	r.log.Warn("tick was begun and not finished: running it again", "tick", t.key(), "attempt", t.attempt)
	return r.run(ctx, t)
}

// wait returns the next tick as soon as it is due, and false when the service stops.
func (r *runner) wait() (t tick, ok bool) {
	warned := false
	for {
		// Before the look at draining, so that a tick can be shown to have begun before the stop.
		now := time.Now()
		at := nextTick(r.last, now, r.job.every)
		pause := at.Sub(now)
		if r.isDraining() {
			return tick{}, false
		}
		if pause <= 0 {
			return tick{job: r.job.name, scheduled: at, since: r.since, attempt: 1, began: now}, true
		}
		if pause > 2*r.job.every && !warned {
			warned = true
			r.log.Warn("the clock was set back: waiting until it has caught up with the last tick", "last", r.last, "now", now)
		}
		// The schedule is that of the clock on the wall; timers count another one, which knows
		// nothing of a clock that is set or of a machine that sleeps.
		pause = min(pause, 10*time.Second)
		r.expect("waiting", pause)
		select {
		case <-r.draining:
		case <-time.After(pause):
		}
	}
}

// run runs one tick to its end. It returns an error if the journal failed; those of the job are
// logged and counted.
func (r *runner) run(ctx context.Context, t tick) error {
	t.requestID = reqid.New()
	ctx, err := reqid.NewContext(ctx, t.requestID)
	if err != nil {
		return err
	}
	r.expect("running "+t.key(), r.timeout)
	if err := r.journal.begin(ctx, t); err != nil {
		return err
	}
	r.log.InfoContext(ctx, "tick begins", "tick", t.key(), "covers", t.scheduled.Sub(t.since), "late", t.began.Sub(t.scheduled).Round(time.Millisecond))

	jobErr := r.call(ctx, t)
	if err := r.journal.end(ctx, t, jobErr); err != nil {
		return err
	}
	r.last = t.scheduled
	took := time.Since(t.began).Round(time.Millisecond)
	if jobErr != nil {
		r.failed++
		r.log.ErrorContext(ctx, "tick failed", "tick", t.key(), "took", took, "failed", r.failed, "error", jobErr)
		return nil
	}
	r.since = t.scheduled
	r.done++
	r.log.InfoContext(ctx, "tick done", "tick", t.key(), "took", took)
	return nil
}

// call turns a panic into an error: of this tick, not of the worker.
func (r *runner) call(ctx context.Context, t tick) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = &shutdown.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return r.job.run(ctx, t)
}

// expect notes what the loop begins to do, and how long that may take. Until it is called late by
// more than the time limit of a tick, the job counts as alive.
func (r *runner) expect(doing string, within time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doing, r.expected = doing, time.Now().Add(within)
}

// alive is a liveness probe. It fails if a tick ignores its time limit: it will never return, and
// no other one of its job can begin, so that a new process is all that helps. Ticks that fail are
// no reason for that.
func (r *runner) alive(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if late := time.Since(r.expected); late > r.timeout {
		return fmt.Errorf("%s: late by %v", r.doing, late.Round(time.Millisecond))
	}
	return nil
}

func (r *runner) isDraining() bool {
	select {
	case <-r.draining:
		return true
	default:
		return false
	}
}
