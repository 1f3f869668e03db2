package shutdown

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A clock knows when Delay, Grace and Tail are over. They can only come nearer, by Hurry, by the
// deadline of a reason, and by that of a service around this one.
type clock struct {
	config config

	mu       sync.Mutex
	delay    time.Duration
	graceEnd time.Time
	tailEnd  time.Time
	stageEnd time.Time     // of what is running now
	moved    chan struct{} // closed when an end has come nearer, and made anew
}

func (c *clock) begin(cfg config, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config = cfg
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

// changes returns a channel that is closed when an end has come nearer.
func (c *clock) changes() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}

// setStage notes the end of the stage that runs now.
func (c *clock) setStage(end time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stageEnd = end
}

func (c *clock) hurry() (earlier bool) {
	now := time.Now()
	// Without a Tail, what obeys gets a moment to be heard all the same.
	return c.move(0, now, now.Add(max(c.config.tail, 2*guard.Notice)))
}

// leastRest is what a deadline that is near, or over, leaves: what has to be flushed gets a moment,
// and the platform's clock may differ from ours.
const leastRest = 100 * time.Millisecond

// tighten makes the stop end at t. A quarter of the rest, at most Tail, is for what has not begun
// then.
func (c *clock) tighten(t time.Time) {
	now := time.Now()
	rest := max(t.Sub(now), leastRest)
	tail := min(c.config.tail, rest/4)
	grace := rest - tail
	c.move(min(c.config.delay, grace/2), now.Add(grace), now.Add(rest))
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

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Before returns a reason with a deadline, for [GracefulShutdown.Shutdown] and managers: a platform
// has said when it takes the machine away. The stop is over by then: Tail becomes at most a quarter
// of the rest, Grace what remains of it, and Delay at most half of that. It is never longer than
// the options say. A later request whose deadline is earlier tightens a stop in progress; the first
// reason stays. The error has the text of reason and unwraps to it. A nil reason stands for
// "requested".
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

func (d *deadline) Error() string {
	return guard.Text(d.reason)
}

func (d *deadline) Unwrap() error { return d.reason }

// tighten looks whether a request that was not the first has an earlier deadline.
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

// tightenByOuter keeps a service that is a component of another one inside the time that the other
// one waits for its components, if that is stopping.
func (gs *GracefulShutdown) tightenByOuter() {
	gs.mu.Lock()
	outer := gs.outer
	gs.mu.Unlock()
	if outer == nil || outer.ctx.Err() == nil { // the outer one has not asked this one to stop
		return
	}
	outer.clock.mu.Lock()
	end := outer.clock.stageEnd
	outer.clock.mu.Unlock()
	gs.clock.tighten(end.Add(-time.Until(end) / 20))
}

// tightenInner tells the services inside this one that its end has come nearer.
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

func (gs *GracefulShutdown) leaveOuter() {
	if gs.outer == nil { // it does not change after Start
		return
	}
	gs.outer.mu.Lock()
	defer gs.outer.mu.Unlock()
	gs.outer.inner = slices.DeleteFunc(gs.outer.inner, func(in *GracefulShutdown) bool { return in == gs })
}
