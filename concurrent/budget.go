package concurrent

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A budget is the argument of [Budget].
type budget = interface {
	Acquire(ctx context.Context, n int64) error
	Release(n int64)
}

// A permit is one token while it is out, and the context of the items that run on it. A call that
// is made inside of such an item finds it there, and one worker of that call at a time may borrow
// the token: the item itself only waits meanwhile. So calls inside of calls always get on.
type permit struct {
	context.Context
	group  *group
	source *permit // who lent the token; nil: the budget

	// Of the worker alone.
	held  bool
	items int           // since it has the token
	since time.Duration // of the call, when it got the token
	slice int           // as many items run on one token

	holders atomic.Int32  // the worker, a borrower, functions that Abandon left behind
	lent    atomic.Bool   // one borrower at a time
	back    chan struct{} // buffered: the token came back from a borrower
}

type permitKey struct{ budget }

func (p *permit) Value(key any) any {
	if k, ok := key.(permitKey); ok && k.budget == p.group.budget {
		return p
	}
	return p.Context.Value(key)
}

// String keeps fmt from reading p by reflection while other goroutines write to it.
func (p *permit) String() string { return fmt.Sprintf("%v.WithBudget", p.Context) }

// take returns a permit with a token. That is p, unless its items left a holder behind.
func (g *group) take(p *permit) (*permit, error) {
	source, err := g.acquire()
	if err != nil {
		return p, fmt.Errorf("concurrent: Budget: %w", err)
	}
	if p == nil || p.holders.Load() > 0 {
		p = &permit{Context: g.ctx, group: g, slice: 1, back: make(chan struct{}, 1)}
	}
	p.source, p.held, p.items, p.since = source, true, 0, time.Since(g.began)
	p.holders.Store(1)
	return p, nil
}

// A token is given back after a slice of items: longer and longer slices while they take next to no
// time, one item if they take long. Small items would be slower with a token, or a look at the
// clock, for each.
const (
	maxSlice  = 64
	shortTime = time.Millisecond / 2
	longTime  = time.Millisecond
)

// spent is called after each item, and reports whether the token is to be given back.
func (p *permit) spent() bool {
	p.items++
	return p.items >= p.slice || p.holders.Load() > 1
}

func (p *permit) nextSlice() {
	switch took := time.Since(p.group.began) - p.since; {
	case took < shortTime:
		p.slice = min(4*p.slice, maxSlice)
	case took > longTime:
		p.slice = 1
	}
	p.giveBack()
}

func (p *permit) has() bool { return p != nil && p.held }

func (p *permit) giveBack() {
	if p.has() {
		p.held = false
		p.drop()
	}
}

// drop is called by each holder when it is done. The last one gives the token back.
func (p *permit) drop() {
	source := p.source // before the worker may use p again
	if p.holders.Add(-1) > 0 {
		return
	}
	if source == nil {
		p.group.budget.Release(1)
		return
	}
	source.lent.Store(false)
	select {
	case source.back <- struct{}{}:
	default:
	}
	source.drop()
}

// lend makes the caller a holder, unless somebody else has borrowed the token, or the items that
// ran on it are over.
func (p *permit) lend() bool {
	if !p.lent.CompareAndSwap(false, true) {
		return false
	}
	for n := p.holders.Load(); n > 0; n = p.holders.Load() {
		if p.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
	p.lent.Store(false)
	return false
}

// acquire gets a token: that of the item around this call, or one of the budget, for which source
// is nil.
func (g *group) acquire() (source *permit, err error) {
	if g.outer == nil {
		return nil, g.budget.Acquire(g.wait, 1)
	}
	if g.outer.lend() {
		return g.outer, nil
	}
	ctx, cancel := context.WithCancel(g.wait)
	defer cancel()
	acquired := make(chan error, 1)
	go func() {
		err := context.Canceled // if Acquire panics
		defer func() { acquired <- err }()
		g.protect(new(int), func() { err = g.budget.Acquire(ctx, 1) })
	}()
	for {
		select {
		case err := <-acquired:
			return nil, err
		case <-g.outer.back:
			if g.outer.lend() {
				cancel()
				if <-acquired == nil {
					g.budget.Release(1)
				}
				return g.outer, nil
			}
		}
	}
}
