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
	overdue   bool      // its time is up
	timer     *time.Timer
	ticks     int      // of timer, since the time of the run in progress was up
	history   []Result // the newest last
	demanded  chan struct{}
}

func newChecker(check Check, number int, now time.Time) *checker {
	return &checker{Check: check, number: number, wake: make(chan struct{}, 1), since: now}
}

// watch runs a check after the pause and then again and again, until ctx ends. There is one such
// loop per check, so a check never overlaps itself.
func (r *Registry) watch(ctx context.Context, c *checker, pause time.Duration) {
	guard.Label(ctx, "health/"+c.Name)
	for c.await(ctx, pause) {
		due := time.Now()
		began, stuck := r.begin(c, due)
		var o outcome
		if stuck {
			running := oneline.Round(due.Sub(began))
			o = failed(fmt.Errorf("%w: still running after %v", ErrTimeout, running))
		} else {
			var ours bool
			if o, ours = r.call(ctx, c, began); !ours {
				return
			}
		}
		pause = r.record(ctx, c, due, began, o)
	}
	c.stop()
	r.watchers.Done()
}

// call calls the probe in this goroutine, since a request may wait for it. If the probe does not
// return in time, or calls runtime.Goexit, another goroutine goes on with the check, and ours is
// false.
func (r *Registry) call(ctx context.Context, c *checker, began time.Time) (o outcome, ours bool) {
	goOn := func(o outcome) { r.watch(ctx, c, r.record(ctx, c, began, began, o)) }
	r.mu.Lock()
	c.ticks = 0
	c.timer = time.AfterFunc(c.Timeout, func() {
		if r.giveUp(c, began) {
			goOn(overdue(c.Timeout))
		}
	})
	r.mu.Unlock()
	callCtx, cancel := context.WithTimeout(ctx, c.Timeout)
	exited := true
	defer func() {
		cancel()
		if ours = r.end(c); exited && ours {
			go goOn(failed(errExited))
		}
	}()
	p := guard.Catch(func() { o = judge(ctx, c.Probe(callCtx)) })
	exited = false
	if p != nil {
		o = failed(newPanicError(p))
	}
	if guard.Ended(callCtx) && ctx.Err() == nil {
		o = o.late(c.Timeout)
	}
	return o, true
}

// begin notes that a run begins, or returns when the one began that is overdue.
func (r *Registry) begin(c *checker, now time.Time) (began time.Time, stuck bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.overdue {
		return c.running, true
	}
	c.running = now
	return now, false
}

// giveUp notes that the time of the run that began then is up, unless it ends within noticeTime.
// That is counted in ticks, as package guard does: a process that was suspended must not take the
// pause for a probe that hangs.
func (r *Registry) giveUp(c *checker, began time.Time) bool {
	const ticks = 10
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !c.running.Equal(began):
	case c.ticks < ticks:
		c.ticks++
		c.timer.Reset(noticeTime / ticks)
	default:
		c.overdue = true
		return true
	}
	return false
}

// end notes that the run in progress is over, and reports whether that was in time.
func (r *Registry) end(c *checker) (inTime bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.timer.Stop()
	inTime = !c.overdue
	if last := len(c.history) - 1; last >= 0 && c.history[last].Time.Equal(c.running) {
		c.history[last].Duration = time.Since(c.running)
	}
	c.running, c.overdue = time.Time{}, false
	return inTime
}

// never is the pause after the last run.
const never time.Duration = -2

// await waits until the next run is due, and returns false if there is none because ctx has ended.
func (c *checker) await(ctx context.Context, pause time.Duration) bool {
	if pause == never {
		return false
	}
	var due <-chan time.Time
	if pause != OnDemand {
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

// record applies what came of a run that was due then, and returns the pause before the next one.
// If ctx has ended, the outcome proves nothing.
func (r *Registry) record(
	ctx context.Context, c *checker, due, began time.Time, o outcome,
) (pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return never
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
		return proportional(now.Sub(c.started), leastPause, most)
	case c.Kind == Startup:
		return never
	case c.Period == OnDemand:
		return OnDemand
	case firstUp:
		return max(0, c.firstPeriod()-now.Sub(due))
	default:
		return max(0, c.Period-now.Sub(due))
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
		if c.Period != OnDemand || !q.shows(c) {
			continue
		}
		if c.wasUp && (c.Kind == Startup || q.only == "" && c.Kind&q.kind == Startup) { // passed for good
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
