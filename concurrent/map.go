package concurrent

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Map calls fn for each item, up to [DefaultLimit] of them at the same time, and returns the
// results in the order of the items.
//
// The first error ends the context that the other calls of fn got, and no further item starts. Map
// returns nil and an [*ItemError] as soon as the running functions have returned; from then on
// nothing of the caller's is touched. For this to be soon, fn has to heed its context; for
// functions that cannot, see [Abandon].
//
// What ended the call first is what Map returns: the *ItemError of an item, the cause
// ([context.Cause]) of the end of the caller's context, or [ErrTimeout]. Later errors are dropped,
// among them those of functions that were cancelled because of the first; [KeepGoing] keeps them.
// If all items succeed, Map returns their results, even if the context ended meanwhile. If the
// context is over from the start, no item runs.
//
// With KeepGoing, Map always returns as many results as there are items. An item without an
// *ItemError among the joined errors has succeeded; the result of any other is the zero value.
// If the end of the context kept an item from succeeding, its cause comes first among the errors,
// and the items that did not run have *ItemErrors that wrap it.
//
// If fn panics, the others are stopped and the panic continues in the caller's goroutine as a
// [*PanicError] with the original stack; it goes before any error, and of several panics the first
// one counts. If fn calls [runtime.Goexit], as FailNow of a test does, the others are stopped and
// the caller's goroutine ends as well. Both hold with KeepGoing.
//
// The context that fn gets ends at the latest when Map returns. fn is called from several
// goroutines, the caller's among them; all of them end before Map returns. With Limit(1) or a
// single item everything runs in the caller's goroutine. No items give an empty, non-nil result.
// Calls may be made at the same time and may be nested, they share nothing. Map panics if fn is nil.
func Map[T, R any](ctx context.Context, items []T, fn func(context.Context, T) (R, error), opts ...Option) ([]R, error) {
	if fn == nil {
		panic("concurrent: Map: fn is nil")
	}
	return mapItems(ctx, items, fn, opts)
}

// ForEach is [Map] for functions without a result: all that is said there of errors, panics and contexts holds.
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
	c.limit = min(c.limit, len(items))
	if c.abandon {
		items = slices.Clone(items) // a straggler may come to read its item when the slice is the caller's again
	}
	m := &mapping[T, R]{
		group:   group{config: c},
		items:   items,
		fn:      fn,
		results: make([]R, len(items)),
		idle:    make(chan struct{}),
	}
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

	// KeepGoing: what became of each item. Nil is success, notRun the beginning of every one; what a
	// caller who did not wait finds still running is abandoned.
	errs              []error
	notRun, abandoned *unfinished

	// Workers claim items by counting next up; len(items) or more means that there is nothing left
	// to do. They keep everything else they need per item in locals, so next may bounce between
	// the processors' caches without taking the fields above along.
	next   atomic.Int64
	failed atomic.Bool // at least one item did not succeed

	start  func()       // m.work, made only once
	hired  int          // workers so far; each one hires the next, so never two at once
	active atomic.Int64 // workers that have not left
	idle   chan struct{}

	mu       sync.Mutex // Abandon with KeepGoing: also guards the elements of results and errs
	deserted bool       // the caller is gone or going
}

// run returns when all workers have left or, with Abandon, the context is over.
func (m *mapping[T, R]) run() {
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
		ctx, items, fn, results, keepGoing := m.ctx, m.items, m.fn, m.results, m.keepGoing
		for hire := true; ; hire = false {
			i = int(m.next.Add(1)) - 1
			if i >= len(items) {
				return
			}
			if ctx.Err() != nil {
				m.cutShort()
				return
			}
			if hire {
				m.hire()
			}
			if keepGoing && !m.begin(i) {
				return
			}
			result, err := fn(ctx, items[i])
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

func (m *mapping[T, R]) leave() {
	if m.active.Add(-1) == 0 {
		close(m.idle)
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

// begin notes, with KeepGoing, that item i is about to run. It returns false if it shall not, as
// nobody waits any more.
func (m *mapping[T, R]) begin(i int) bool {
	if !m.abandon {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deserted {
		return false
	}
	m.errs[i] = m.abandoned
	return true
}

// finish notes, with KeepGoing, what fn returned for item i.
func (m *mapping[T, R]) finish(i int, result R, err error) {
	if m.abandon {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.deserted {
			return
		}
	}
	m.errs[i] = err
	if err == nil {
		m.results[i] = result
		return
	}
	m.failed.Store(true)
	if m.ctx.Err() != nil {
		m.cut.Store(true)
	}
}

// desert leaves the running functions alone: from here on they write nowhere the caller can see.
// Without KeepGoing the results they write are not returned.
func (m *mapping[T, R]) desert() {
	m.cutShort()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deserted = true
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
