package health

import (
	"context"
	"fmt"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/oneline"
)

// historyLen is how many results are kept for the status page.
const historyLen = 40

// leastPause is between two runs of a check that has not come up yet. Wait, where somebody waits for one thing,
// goes down to 1ms.
const leastPause = 10 * time.Millisecond

// A checker is a check and what is known of it. The fields below wake are guarded by the mutex of the registry.
type checker struct {
	Check
	wake chan struct{} // holds one token when a run is demanded

	state     State
	since     time.Time // of state
	wasUp     bool      // ever
	failures  int       // in a row, as far as they count
	successes int       // in a row
	counted   time.Time // when the last failure that counted began
	history   []Result  // the newest last
	demanded  chan struct{}
}

func newChecker(check Check, now time.Time) *checker {
	return &checker{Check: check, wake: make(chan struct{}, 1), since: now}
}

// watch runs a check until ctx ends. That there is one such loop per check is why a check never overlaps itself.
func (r *Registry) watch(ctx context.Context, c *checker) {
	var stuck *guard.Call // an earlier run that has not returned although its time was up
	var stuckSince time.Time
	for {
		began := time.Now()
		if stuck != nil {
			select {
			case <-stuck.Done():
				stuck = nil
			default:
			}
		}
		var err error
		if stuck == nil {
			stuck, err = attempt(ctx, "health/"+c.Name, c.Probe, c.Timeout)
			stuckSince = began
		} else {
			running := oneline.Round(began.Sub(stuckSince))
			err = fmt.Errorf("%w: still running after %v", ErrTimeout, running)
		}
		if ctx.Err() != nil {
			return
		}
		pause, again := r.record(c, Result{Time: began, Duration: time.Since(began), Err: err})
		if !again || !c.await(ctx, pause) {
			return
		}
	}
}

// await waits until the next run is due; a negative pause means until it is demanded. It returns false if ctx ended.
func (c *checker) await(ctx context.Context, pause time.Duration) bool {
	var due <-chan time.Time
	if pause >= 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
		return true
	case <-c.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

// record draws the conclusions from a result: how long to pause, and whether there is to be another run.
func (r *Registry) record(c *checker, result Result) (pause time.Duration, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()

	if len(c.history) == historyLen {
		c.history = append(c.history[:0], c.history[1:]...)
	}
	c.history = append(c.history, result)

	from := c.state
	if result.Err == nil {
		c.failures = 0
		c.successes++
		if c.successes >= c.Successes {
			c.state, c.wasUp = Up, true
		}
	} else {
		c.successes = 0
		if c.countsLocked(result.Time, r.started) {
			c.counted = result.Time
			c.failures++
			if c.failures >= c.Failures {
				c.state = Down
			}
		}
	}
	if c.state != from {
		c.since = now
		r.emitLocked(Event{
			Check: c.Name, Kind: c.Kind, From: from, To: c.state, Time: now, Err: result.Err,
		})
		r.updateReadyLocked()
	}

	if c.demanded != nil {
		close(c.demanded)
		c.demanded = nil
		select {
		case <-c.wake: // the run it asked for was under way already
		default:
		}
	}

	switch {
	case !c.wasUp:
		return proportional(now.Sub(r.started), leastPause, c.pace()), true
	case c.Kind == Startup:
		return 0, false
	case c.Period == OnDemand:
		return -1, true
	default:
		return max(0, c.Period-now.Sub(result.Time)), true
	}
}

// countsLocked reports whether a failure that began then is held against the check.
func (c *checker) countsLocked(began, started time.Time) bool {
	if began.Sub(started) < c.Grace {
		return false
	}
	// While it comes up a check is run much more often than its Period says. Its thresholds
	// still mean what they say: that long down, not that often asked.
	return c.wasUp || c.counted.IsZero() || began.Sub(c.counted) >= c.pace()
}

// pace is the Period, also where nobody gave one.
func (c *checker) pace() time.Duration {
	if c.Period == OnDemand {
		return defaultPeriod
	}
	return c.Period
}

// failsLocked reports whether the state of the check keeps an endpoint of these kinds from being up.
func (c *checker) failsLocked(kind Kind, started time.Time) bool {
	kind &= c.Kind
	if kind == 0 || c.state == Up || c.Optional {
		return false
	}
	if c.wasUp {
		kind &^= Startup
	}
	if c.state == Pending && !started.IsZero() && time.Since(started) < c.Grace {
		kind &^= Live
	}
	return kind != 0
}

// demand has the OnDemand checks of these kinds run, or just one of them, and waits for the results. It returns
// false if ctx ended before. Runs that are under way already are joined. An endpoint that drains needs no results:
// its answer is known, and balancers are to have it at once.
func (r *Registry) demand(ctx context.Context, kind Kind, only string, excluded map[string]bool) bool {
	var drain <-chan struct{}
	if only == "" && kind&Ready != 0 {
		drain = r.drain
	}
	r.mu.Lock()
	if drain != nil && r.isDrainingLocked() {
		r.mu.Unlock()
		return true
	}
	stopped := r.stopped
	var results []<-chan struct{}
	for _, c := range r.checks {
		switch {
		case c.Period != OnDemand || c.Kind&kind == 0 || excluded[c.Name] || only != "" && only != c.Name:
			continue
		case stopped == nil || c.Kind == Startup && c.wasUp:
			continue // it is not being run
		}
		if c.demanded == nil {
			c.demanded = make(chan struct{})
			select {
			case c.wake <- struct{}{}:
			default:
			}
		}
		results = append(results, c.demanded)
	}
	r.mu.Unlock()

	for _, result := range results {
		select {
		case <-result:
		case <-stopped:
			return true
		case <-drain:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return true
}
