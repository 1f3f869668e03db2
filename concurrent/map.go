package concurrent

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Map calls fn for each item, up to [DefaultLimit] of them at the same time, and returns the
// results in the order of the items.
//
// The first error ends the context that the other calls of fn got, no further item starts, and
// Map returns nil and an [*ItemError] as soon as the running functions have returned; from then on
// nothing of the caller's is touched. fn has to heed its context for this to be soon, or
// see [Abandon].
//
// What ended the call first is what Map returns: the *ItemError of an item, the cause
// ([context.Cause]) of the end of the caller's context, or [ErrTimeout]. Later errors, among them
// those of functions that were cancelled because of the first, are dropped; [KeepGoing] keeps
// them. If all items succeed, Map returns their results, even if the context ended meanwhile. If the
// context is over from the start, no item runs.
//
// With KeepGoing, Map always returns as many results as there are items. An item without an
// *ItemError among the joined errors has succeeded; the result of any other is the zero value.
// When the context ended early, its cause comes first among the errors and the items that did not
// run have *ItemErrors that wrap it.
//
// If fn panics, the others are stopped and the panic continues in the caller's goroutine as a
// [*PanicError] with the original stack; it goes before any error, and of several panics the first
// one counts. If fn calls [runtime.Goexit], as FailNow of a test does, the others are stopped and
// the caller's goroutine ends as well. Both hold with KeepGoing.
//
// The context that fn gets ends at the latest when Map returns. fn is called from several
// goroutines, the caller's among them; all of them end before Map returns. With Limit(1) or a
// single item everything runs in the caller's goroutine. No items give an empty, non-nil
// result. Calls may be nested, they share nothing. Map panics if fn is nil.
func Map[T, R any](ctx context.Context, items []T, fn func(context.Context, T) (R, error), opts ...Option) ([]R, error) {
	if fn == nil {
		panic("concurrent: Map: fn is nil")
	}
	return mapItems(ctx, items, fn, opts)
}

// ForEach is [Map] for functions without a result.
func ForEach[T any](ctx context.Context, items []T, fn func(context.Context, T) error, opts ...Option) error {
	if fn == nil {
		panic("concurrent: ForEach: fn is nil")
	}
	_, err := mapItems(ctx, items, func(ctx context.Context, item T) (struct{}, error) {
		return struct{}{}, fn(ctx, item)
	}, opts)
	return err
}

func mapItems[T, R any](ctx context.Context, items []T, fn func(context.Context, T) (R, error), opts []Option) ([]R, error) {
	c := newConfig(opts)
	if len(items) == 0 {
		return []R{}, nil
	}
	m := &mapping[T, R]{
		group:   group{config: c},
		items:   items,
		fn:      fn,
		results: make([]R, len(items)),
		limit:   min(c.limit, len(items)),
		idle:    make(chan struct{}),
	}
	if c.keepGoing && c.abandon {
		m.settled = make([]bool, len(items))
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

	// Workers claim items by counting next up; len(items) or more means that there is nothing left
	// to do. They keep everything else they need per item in locals, so next may bounce between
	// the processors' caches without taking the fields above along.
	next   atomic.Int64
	failed atomic.Bool // at least one item did not succeed

	start  func() // m.work, made only once
	limit  int
	hired  int          // workers so far; each one hires the next, so never two at once
	active atomic.Int64 // workers that have not left
	idle   chan struct{}

	mu        sync.Mutex
	errs      []*ItemError // KeepGoing: in the order of their arrival
	cut       bool         // KeepGoing: the end of the context cost an item
	unclaimed int          // items from here on will never be claimed
	closed    bool         // Abandon: the caller is gone or going
	settled   []bool       // KeepGoing with Abandon: items whose result or error is in
}

// run returns when all workers have left or, with Abandon, the context is over.
func (m *mapping[T, R]) run() {
	m.unclaimed = len(m.items)
	m.start = m.work
	m.hired = 1
	m.active.Store(1)
	// Deferred because fn may call runtime.Goexit in this goroutine: the others are waited for all
	// the same, and a panic among them still goes first.
	defer func() {
		m.wait()
		m.raise()
	}()
	if m.abandon {
		go m.start()
		return
	}
	m.work()
}

func (m *mapping[T, R]) wait() {
	if !m.abandon {
		<-m.idle
		return
	}
	select {
	case <-m.idle:
	case <-m.ctx.Done():
		select {
		case <-m.idle: // success at the same moment: nothing to abandon
		default:
			m.desert()
		}
	}
}

// work claims and runs items until none is left. It is one worker's whole life.
func (m *mapping[T, R]) work() {
	defer m.leave()
	var i int
	m.protect(&i, func() {
		ctx, items, fn, results, guarded := m.ctx, m.items, m.fn, m.results, m.settled != nil
		for hire := true; ; hire = false {
			i = int(m.next.Add(1)) - 1
			if i >= len(items) {
				return
			}
			if ctx.Err() != nil {
				m.skip(i)
				return
			}
			if hire {
				m.hire()
			}
			result, err := fn(ctx, items[i])
			switch {
			case err != nil:
				m.itemFailed(i, err)
			case guarded:
				m.settle(i, result)
			default:
				results[i] = result
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

func (m *mapping[T, R]) leave() {
	if m.active.Add(-1) == 0 {
		close(m.idle)
	}
}

// stop lets no worker claim another item.
func (m *mapping[T, R]) stop() {
	m.failed.Store(true)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unclaimed = min(m.unclaimed, int(m.next.Swap(int64(len(m.items)))))
}

// itemFailed takes the error of item i.
func (m *mapping[T, R]) itemFailed(i int, err error) {
	failure := &ItemError{Index: i, Err: err}
	if !m.keepGoing {
		m.stop() // first, since ending the context takes longer
		m.fail(failure)
		return
	}
	m.failed.Store(true)
	m.record(failure, m.ctx.Err() != nil)
}

// skip takes note that item i is claimed but will not run, since the context is over.
func (m *mapping[T, R]) skip(i int) {
	m.stop()
	if m.keepGoing {
		m.record(&ItemError{Index: i}, true)
	}
}

func (m *mapping[T, R]) record(failure *ItemError, cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.errs = append(m.errs, failure)
	m.cut = m.cut || cut
	if m.settled != nil {
		m.settled[failure.Index] = true
	}
}

// settle takes the result of item i where the caller may leave with the results while functions
// still run.
func (m *mapping[T, R]) settle(i int, result R) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.results[i] = result
		m.settled[i] = true
	}
}

// desert leaves the running functions alone: from here on they write nowhere the caller can see.
// Without KeepGoing there is nothing to guard, as the results are then not returned.
func (m *mapping[T, R]) desert() {
	m.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.cut = true
}

// outcome is what Map returns.
func (m *mapping[T, R]) outcome() ([]R, error) {
	if !m.failed.Load() {
		return m.results, nil
	}
	if !m.keepGoing {
		return nil, m.cause()
	}
	return m.results, m.joined()
}

// joined collects the errors of all items that have no result.
func (m *mapping[T, R]) joined() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := &itemErrors{items: m.errs}
	if m.cut {
		all.cause = m.cause()
	}
	notRun := &unfinished{state: "not run", cause: all.cause}
	for _, e := range all.items {
		if e.Err == nil {
			e.Err = notRun
		}
	}
	if m.closed {
		abandoned := &unfinished{state: "abandoned", cause: all.cause}
		for i, settled := range m.settled[:m.unclaimed] {
			if !settled {
				all.items = append(all.items, &ItemError{Index: i, Err: abandoned})
			}
		}
	}
	for i := m.unclaimed; i < len(m.items); i++ {
		all.items = append(all.items, &ItemError{Index: i, Err: notRun})
	}
	slices.SortFunc(all.items, func(a, b *ItemError) int { return cmp.Compare(a.Index, b.Index) })
	return all
}
