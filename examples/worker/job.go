package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A job is something to do again and again.
type job struct {
	name  string
	every time.Duration

	// run does one tick. Its context ends with the time limit of a tick, not when the service
	// stops. It is never called twice at a time. It is called again for the same tick if the
	// process ended before the journal had its end: see tick.key.
	run func(ctx context.Context, t tick) error
}

// A tick is one run of a job.
type tick struct {
	job       string
	scheduled time.Time // what the tick is known by: when it was to begin
	since     time.Time // scheduled time of the last tick that was done: what lies between is this one's work
	attempt   int       // from 1
	began     time.Time
	requestID string // of this attempt
}

// key is the same for each attempt at a tick, which makes it an idempotency key. The request ID is
// not: it is of one attempt.
func (t tick) key() string { return t.job + "/" + t.scheduled.UTC().Format(stamp) }

// newJobs returns the two jobs of this example. Write your own here.
func newJobs(cfg config, receiver *receiver) []job {
	return []job{
		{name: "collect", every: cfg.collectEvery, run: withFault(cfg.fault, work(cfg.collectTakes, receiver))},
		{name: "report", every: cfg.reportEvery, run: work(cfg.reportTakes, receiver)},
	}
}

// work returns a job that takes its time, and then has an effect somewhere else.
func work(takes time.Duration, receiver *receiver) func(context.Context, tick) error {
	return func(ctx context.Context, t tick) error {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return receiver.deliver(ctx, t.key())
	}
}

// A receiver stands for what is outside of this process and its journal: a bank, a mail gateway, an
// object store. It remembers the keys it has seen, so that a delivery that comes again has no
// second effect.
type receiver struct{ db *sql.DB }

func (r *receiver) deliver(ctx context.Context, key string) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO deliveries (key) VALUES (?) ON CONFLICT (key) DO UPDATE SET repeated = repeated + 1`, key)
	return err
}

const (
	faultNone  = "none"
	faultError = "error"
	faultPanic = "panic"
	faultHang  = "hang"
)

var faults = []string{faultNone, faultError, faultPanic, faultHang}

// withFault spoils every third tick.
func withFault(fault string, run func(context.Context, tick) error) func(context.Context, tick) error {
	calls := 0
	return func(ctx context.Context, t tick) error {
		calls++
		if calls%3 != 0 {
			return run(ctx, t)
		}
		switch fault {
		case faultError:
			return errors.New("the source does not answer")
		case faultPanic:
			panic(fmt.Sprintf("tick %s has met a bug", t.key()))
		case faultHang:
			select {} // deaf to its context, like a read without a deadline
		}
		return run(ctx, t)
	}
}
