package shutdown

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A clock holds the ends of Delay, Grace and Tail. They can only move nearer: by Hurry, by the
// deadline of a reason, or by that of the outer service.
type clock struct {
	config config
	begun  time.Time

	mu       sync.Mutex
	delay    time.Duration
	graceEnd time.Time
	tailEnd  time.Time
	stageEnd time.Time     // of the running stage
	moved    chan struct{} // closed and replaced when an end has moved nearer
}

func (c *clock) begin(cfg config, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config, c.begun = cfg, now
	c.delay = cfg.delay
	c.graceEnd = now.Add(cfg.grace)
	c.tailEnd = c.graceEnd.Add(cfg.tail)
	c.moved = make(chan struct{})
}

func (c *clock) ends() (delay time.Duration, grace, tail time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.delay, c.graceEnd, c.tailEnd
}

func (c *clock) changes() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}

func (c *clock) setStage(end time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stageEnd = end
}

func (c *clock) hurry() (earlier bool) {
	now := time.Now()
	// Even without a Tail, a step that obeys gets a moment to return.
	return c.move(0, now, now.Add(max(c.config.tail, 2*guard.Notice)))
}

// leastRest is the time that a stop gets even if its deadline is nearer or has passed: flushing
// takes a moment, and the platform's clock may differ from ours.
const leastRest = 100 * time.Millisecond

// tighten makes the stop end at t, unless it ends before. A quarter of the time until t, at most
// Tail, is left for steps that have not begun by then.
func (c *clock) tighten(t time.Time) {
	now := time.Now()
	if _, _, tail := c.ends(); !t.Before(tail) { // a notice is often repeated
		return
	}
	rest := max(t.Sub(now), leastRest)
	tail := min(c.config.tail, rest/4)
	grace := rest - tail
	c.move(now.Sub(c.begun)+grace/2, now.Add(grace), now.Add(rest))
}

func (c *clock) move(delay time.Duration, graceEnd, tailEnd time.Time) (earlier bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	earlier = graceEnd.Before(c.graceEnd)
	c.delay = min(c.delay, delay)
	c.graceEnd = earliest(c.graceEnd, graceEnd)
	c.tailEnd = earliest(c.tailEnd, tailEnd)
	close(c.moved)
	c.moved = make(chan struct{})
	return earlier
}

// waitFor waits for call until end, which is computed again when the clock moves. It reports
// whether call has ended.
func (gs *GracefulShutdown) waitFor(call *guard.Call, end func() time.Time) bool {
	for {
		moved := gs.clock.changes()
		until := latest(end(), time.Now())
		select {
		case <-call.Done():
			return true
		case <-time.After(time.Until(until)):
			if time.Since(until) < guard.Notice {
				return isClosed(call.Done())
			}
			return call.WaitFor(guard.Notice) // it was as suspended as this goroutine
		case <-moved:
		}
	}
}

func earliest(times ...time.Time) time.Time { return slices.MinFunc(times, time.Time.Compare) }

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// Before returns a reason with a deadline, for [GracefulShutdown.Shutdown] and managers: use it
// when a platform says when it takes the machine away. The stop is over by t, but always gets
// 100ms. Tail becomes at most a quarter of the time until t, Grace the rest, and Delay at most half
// of that; none of them becomes longer than its option says. A later request with an earlier
// deadline shortens a stop in progress; the first reason stays. The error has the text of reason
// and unwraps to it. A nil reason stands for "requested".
func Before(t time.Time, reason error) error {
	if reason == nil {
		reason = errRequested
	}
	return &deadline{t, reason}
}

type deadline struct {
	at     time.Time
	reason error
}

func (d *deadline) Error() string { return guard.Text(d.reason) }
func (d *deadline) Unwrap() error { return d.reason }

// tighten applies the deadline, if any, of a request that was not the first.
func (gs *GracefulShutdown) tighten(reason error) {
	gs.tightenByOuter()
	guard.Go(context.Background(), "shutdown/reason", func() error {
		if f := find(reason, nil); f.before != nil {
			gs.clock.tighten(f.before.at)
		}
		return nil
	})
}

type outerKey struct{}

// tightenByOuter makes the stop of an inner service fit into the stage in which the outer one waits
// for its components.
func (gs *GracefulShutdown) tightenByOuter() {
	gs.mu.Lock()
	outer := gs.outer
	gs.mu.Unlock()
	if outer == nil || outer.ctx.Err() == nil { // the outer one has not told this one to stop
		return
	}
	outer.clock.mu.Lock()
	end := outer.clock.stageEnd
	outer.clock.mu.Unlock()
	gs.clock.tighten(end.Add(-time.Until(end) / 20))
}

func (gs *GracefulShutdown) tightenInner() {
	gs.mu.Lock()
	inner := slices.Clone(gs.inner)
	gs.mu.Unlock()
	for _, in := range inner {
		if in.isDraining() {
			in.tightenByOuter()
		}
	}
}

func (gs *GracefulShutdown) joinOuter() {
	if gs.outer == nil { // it does not change once Start is in progress
		return
	}
	gs.outer.mu.Lock()
	defer gs.outer.mu.Unlock()
	gs.outer.inner = append(gs.outer.inner, gs)
}

func (gs *GracefulShutdown) leaveOuter() {
	if gs.outer == nil {
		return
	}
	gs.outer.mu.Lock()
	defer gs.outer.mu.Unlock()
	gs.outer.inner = slices.DeleteFunc(gs.outer.inner, func(in *GracefulShutdown) bool { return in == gs })
}
