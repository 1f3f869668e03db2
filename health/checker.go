package health

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/oneline"
)

// historyLen is how many results are kept for the status page.
const historyLen = 40

// A checker is a check and what is known of it. The mutex of the registry guards all fields below
// wake.
type checker struct {
	Check
	number int           // how many checks were added before it
	wake   chan struct{} // holds one token when a run is demanded

	started   time.Time // when it ran for the first time; zero before Run
	stop      context.CancelFunc
	state     State
	since     time.Time // of state
	wasUp     bool      // ever
	failures  int       // in a row, those that count
	successes int       // in a row
	counted   time.Time // when the last failure that counted began
	running   time.Time // when the run in progress began; zero if none is
	history   []Result  // the newest last
	demanded  chan struct{}
}

func newChecker(check Check, number int, now time.Time) *checker {
	return &checker{Check: check, number: number, wake: make(chan struct{}, 1), since: now}
}

// watch runs a check until ctx ends. There is one such loop per check, so a check never overlaps
// itself.
func (r *Registry) watch(ctx context.Context, c *checker) {
	var stuck *guard.Call // a run that has not returned although its time is up
	var began time.Time   // of the newest run
	for {
		due := time.Now()
		if stuck != nil && stuck.WaitFor(0) {
			stuck = nil
		}
		var o outcome
		if stuck == nil {
			began = due
			r.setRunning(c, began)
			ended := func(error) { r.setRunning(c, time.Time{}) }
			stuck, o = attempt(ctx, "health/"+c.Name, c.Probe, c.Timeout, ended)
		} else {
			running := oneline.Round(due.Sub(began))
			o = failed(fmt.Errorf("%w: still running after %v", ErrTimeout, running))
		}
		pause, again := r.record(ctx, c, due, began, o)
		if !again || !c.await(ctx, pause) {
			return
		}
	}
}

// setRunning keeps when the run in progress began; a zero time ends it.
func (r *Registry) setRunning(c *checker, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := len(c.history) - 1; last >= 0 && c.history[last].Time.Equal(c.running) {
		c.history[last].Duration = time.Since(c.running) // it returned after its time was up
	}
	c.running = began
}

// await waits until the next run is due; a negative pause means until it is demanded. It returns
// false if ctx ended.
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

// record applies what came of a run that was due then. It returns how long to pause, and whether
// there is to be another run. If ctx has ended, the outcome proves nothing.
func (r *Registry) record(
	ctx context.Context, c *checker, due, began time.Time, o outcome,
) (pause time.Duration, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return 0, false
	}
	now := time.Now()
	result := Result{Time: began, Duration: now.Sub(began), Err: o.err, text: o.text}
	if began.Equal(due) {
		c.history = append(c.history[max(0, len(c.history)+1-historyLen):], result)
	} else { // still the same run
		c.history[len(c.history)-1] = result
	}
	from, firstUp := c.state, false
	switch {
	case o.err == nil:
		c.failures = 0
		c.successes++
		if c.successes >= c.Successes {
			firstUp = !c.wasUp
			c.state, c.wasUp = Up, true
		}
	case o.busy: // proves nothing
	default:
		c.successes = 0
		if c.countsLocked(due) {
			c.counted = due
			c.failures++
			if c.failures >= c.Failures {
				c.state = Down
			}
		}
	}
	if c.state != from {
		c.since = now
		r.emitLocked(Event{
			Check: c.Name, Kind: c.Kind, From: from, To: c.state, Time: now, Err: o.err,
		})
		r.updateReadyLocked()
	}
	if c.answerLocked() {
		select {
		case <-c.wake: // the run it asked for was in progress already
		default:
		}
	}

	switch {
	case !c.wasUp:
		most := c.pace()
		if now.Sub(c.started) < most {
			most = min(most, maxPause)
		}
		return proportional(now.Sub(c.started), leastPause, most), true
	case c.Kind == Startup:
		return 0, false
	case c.Period == OnDemand:
		return -1, true
	case firstUp:
		return max(0, c.firstPeriod()-now.Sub(due)), true
	default:
		return max(0, c.Period-now.Sub(due)), true
	}
}

// leastPause is between two runs of a check that has not come up yet. Wait, which watches one thing
// only, goes down to 1ms.
const leastPause = 10 * time.Millisecond

// firstPeriod spreads the runs of all checks over their periods: they are all due at the same
// moment when Run begins. Multiples of the golden ratio are far from each other for any number of
// checks, so that the others need not move when one is added.
func (c *checker) firstPeriod() time.Duration {
	_, offset := math.Modf(float64(c.number) * math.Phi)
	return c.Period - time.Duration(offset*float64(c.Period))
}

// answerLocked releases those who wait for a result, and reports whether there were any.
func (c *checker) answerLocked() bool {
	if c.demanded == nil {
		return false
	}
	close(c.demanded)
	c.demanded = nil
	return true
}

// countsLocked reports whether a failure that was due then counts.
func (c *checker) countsLocked(due time.Time) bool {
	if due.Sub(c.started) < c.Grace {
		return false
	}
	// While a check comes up, it runs much more often than its Period says. Its thresholds still
	// mean a time, not a number of runs.
	return c.wasUp || c.counted.IsZero() || due.Sub(c.counted) >= c.pace()
}

// pace is the Period, or the default one for OnDemand.
func (c *checker) pace() time.Duration {
	if c.Period == OnDemand {
		return defaultPeriod
	}
	return c.Period
}

// failsLocked reports whether the check keeps an endpoint of these kinds from being up.
func (c *checker) failsLocked(kind Kind) bool {
	kind &= c.Kind
	if kind == 0 || c.state == Up || c.Optional {
		return false
	}
	if c.wasUp {
		kind &^= Startup
	}
	if c.state == Pending && !c.started.IsZero() && time.Since(c.started) < c.Grace {
		kind &^= Live
	}
	return kind != 0
}

// demand runs the OnDemand checks of these kinds, or just one of them, and waits for the results.
// It returns false if ctx ended first. It joins runs in progress. An endpoint that drains needs no
// results: its answer is known, and a balancer must get it at once.
func (r *Registry) demand(ctx context.Context, q query) bool {
	var drain <-chan struct{}
	if q.only == "" && q.kind&Ready != 0 {
		drain = r.drain
	}
	r.mu.Lock()
	if r.ctx == nil || drain != nil && r.isDrainingLocked() {
		r.mu.Unlock()
		return true
	}
	stopped := r.ctx.Done()
	var results []<-chan struct{}
	for _, c := range r.checks {
		if c.Period != OnDemand || !q.shows(c) || c.Kind == Startup && c.wasUp {
			continue
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
