package concurrent

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/gracekit/gracekit/internal/guard"
)

// Map calls fn for each item, up to [DefaultLimit] of them at the same time, and returns the
// results in the order of the items.
//
// The first error ends the context that the other calls of fn got, and no further item starts. Map
// returns nil and an [*ItemError] as soon as the running functions have returned; from then on
// nothing of the caller's is touched. For this to be soon, fn has to obey its context; for
// functions that cannot, see [Abandon].
//
// What ended the call first is what Map returns: the *ItemError of an item, the end of the caller's
// context, with its cause ([context.Cause]) where it has one, or [ErrTimeout]. Later errors are
// dropped, among them those of functions that were cancelled because of the first; [KeepGoing]
// keeps them. If all items succeed, Map returns their results, even if the context ended meanwhile.
// If the context is over from the start, no item runs.
//
// With KeepGoing, Map always returns as many results as there are items. An item without an
// *ItemError among the joined errors has succeeded; the result of any other is the zero value. If
// the end of the context kept an item from succeeding, that comes first among the errors, and the
// items that did not run have *ItemErrors that wrap it.
//
// If fn panics, the others are stopped and the panic continues in the caller's goroutine as a
// [*PanicError] with the original stack; it goes before any error, and of several panics the first
// one counts. If fn calls [runtime.Goexit], as FailNow of a test does, the others are stopped and
// the caller's goroutine ends as well. Others that do not return within a second after that are
// left behind; see "Panics" in the package documentation. All this holds with KeepGoing, too.
//
// The context that fn gets ends at the latest when Map returns. fn is called from several
// goroutines; all of them end before Map returns. With Limit(1) or a single item everything runs in
// the caller's goroutine. No items give an empty, non-nil result. Calls may be made at the same
// time and may be nested. Map panics if fn is nil.
func Map[T, R any](
	ctx context.Context, items []T, fn func(context.Context, T) (R, error), opts ...Option,
) ([]R, error) {
	if fn == nil {
		panic("concurrent: Map: fn is nil")
	}
	return mapItems(ctx, items, fn, opts)
}

// ForEach is [Map] for functions without a result: all that is said there of errors, panics and
// contexts holds.
func ForEach[T any](
	ctx context.Context, items []T, fn func(context.Context, T) error, opts ...Option,
) error {
	if fn == nil {
		panic("concurrent: ForEach: fn is nil")
	}
	_, err := mapItems(ctx, items, func(ctx context.Context, item T) (struct{}, error) {
		return struct{}{}, fn(ctx, item)
	}, opts)
	return err
}

func mapItems[T, R any](
	ctx context.Context, items []T, fn func(context.Context, T) (R, error), opts []Option,
) ([]R, error) {
	mustHaveContext(ctx)
	c := newConfig(opts)
	if len(items) == 0 {
		return []R{}, nil
	}
	c.limit = min(c.limit, len(items))
	m := &mapping[T, R]{
		group:   group{config: c},
		items:   items,
		results: make([]R, len(items)),
	}
	m.fn = decorate(&m.group, fn)
	if c.keepGoing {
		m.notRun = &unfinished{state: "not run"}
		m.abandoned = &unfinished{state: "abandoned"}
		m.errs = slices.Repeat([]error{m.notRun}, len(items))
	}
	m.open(ctx)
	defer m.close()
	m.run()
	return m.outcome()
}

// A mapping is one call of Map.
type mapping[T, R any] struct {
	group
	items   []T
	fn      func(context.Context, T) (R, error)
	results []R

	// KeepGoing: what became of each item. Nil is success, notRun the beginning of every one.
	errs              []error
	notRun, abandoned *unfinished

	// Workers claim items by counting next up; len(items) or more means that there is nothing left
	// to do. They keep everything else they need per item in locals, so next may bounce between the
	// processors' caches without taking the fields above along.
	next   atomic.Int64
	failed atomic.Bool // at least one item did not succeed

	start func() // m.work, made only once
	hired int    // workers so far; each one hires the next, so never two at once
}

// run returns when all workers have left. The caller works only where it is alone: else its own
// item might wait forever for one that panicked.
func (m *mapping[T, R]) run() {
	m.start = m.work
	m.hired = 1
	m.active.Store(1)
	if m.limit == 1 {
		m.work()
	} else {
		go m.start()
		m.await()
	}
	m.raise()
}

// work claims and runs items until none is left. It is one worker's whole life.
func (m *mapping[T, R]) work() {
	defer m.leave()
	var i int
	m.protect(&i, func() {
		ctx, items, fn, results, keepGoing := m.ctx, m.items, m.fn, m.results, m.keepGoing
		budgeted := m.budget != nil
		var p *permit
		defer func() { p.giveBack() }()
		for hire := true; ; hire = false {
			var result R
			var err error
			if budgeted && !p.has() && m.next.Load() < int64(len(items)) {
				p, err = m.take(p) // before an item is claimed, so that no item waits
			}
			i = int(m.next.Add(1)) - 1
			if i >= len(items) {
				if budgeted {
					m.enough()
				}
				return
			}
			if ctx.Err() != nil {
				m.cutShort()
				return
			}
			if hire {
				m.hire()
			}
			if !budgeted {
				result, err = fn(ctx, items[i])
			} else if err == nil {
				if result, err = fn(p, items[i]); p.spent() {
					p.nextSlice()
				}
			}
			switch {
			case keepGoing:
				m.finish(i, result, err)
			case err == nil:
				results[i] = result
			default:
				m.stop() // first, since ending the context takes longer
				m.fail(&ItemError{Index: i, Err: err})
			}
		}
	})
}

// hire starts one more worker if there is work for it. Only a worker that has just claimed its
// first item calls it: if the items take next to no time, most of the goroutines never come to be,
// and if the first one fails at once, it is likely to stay the only one.
func (m *mapping[T, R]) hire() {
	if m.hired < m.limit && m.next.Load() < int64(len(m.items)) {
		m.hired++
		m.active.Add(1)
		go m.start()
	}
}

// stop lets no worker claim another item.
func (m *mapping[T, R]) stop() {
	m.failed.Store(true)
	m.next.Store(int64(len(m.items)))
}

// cutShort stops because the context is over.
func (m *mapping[T, R]) cutShort() {
	m.cut.Store(true)
	m.stop()
}

// finish notes, with KeepGoing, what fn returned for item i.
func (m *mapping[T, R]) finish(i int, result R, err error) {
	if err == nil {
		m.results[i], m.errs[i] = result, nil
		return
	}
	m.failed.Store(true)
	if guard.Ended(m.ctx) {
		m.cut.Store(true)
		if _, ok := err.(*unfinished); ok {
			err = m.abandoned
		}
	}
	m.errs[i] = err
}

// outcome is what Map returns.
func (m *mapping[T, R]) outcome() ([]R, error) {
	if !m.failed.Load() {
		return m.results, nil
	}
	if !m.keepGoing {
		return nil, m.cause()
	}
	all := new(itemErrors)
	if m.cut.Load() {
		all.cause = m.cause()
		m.notRun.cause, m.abandoned.cause = all.cause, all.cause
	}
	for i, err := range m.errs {
		if err != nil {
			all.items = append(all.items, &ItemError{Index: i, Err: err})
		}
	}
	return m.results, all
}
