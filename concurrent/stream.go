package concurrent

import (
	"context"
	"iter"
	"math"
	"sync/atomic"

	"github.com/gracekit/gracekit/internal/guard"
)

// Stream is [Map] for sequences, with results as they come: it calls fn for up to [DefaultLimit]
// items at the same time and yields the results in the order of the items.
//
// At most that many items are in work at any time, from the moment the sequence is asked for them
// until the loop body is done with their results. So memory does not grow with the sequence, which
// may be infinite, and a slow loop body holds the sequence back; with Limit(1) everything takes
// turns. Room for Limit results is set aside at the start.
//
// An error ends the context that the other calls of fn got, and no further item starts. The loop
// still gets the results that stand before the first item without one. Its last round has the zero
// value and the error that Map would return.
//
// With [KeepGoing] the error of an item is yielded in its place as an [*ItemError], and the loop
// goes on. But if the context ends, the caller's or by [Timeout], the loop ends as it does without
// KeepGoing. A sequence that ends after the caller's context did is taken to have ended because of
// it.
//
// Leaving the loop stops everything: the functions and the sequence have returned before the range
// statement has, however it is left. Stream cannot interrupt a sequence that is waiting for its
// next item, so a sequence that may wait should end with the caller's context; or see [Abandon]. If
// the loop body panics, the functions and the sequence have a second to return.
//
// The sequence runs in one goroutine of its own, fn in several, and the loop body in the caller's.
// If fn or the sequence panics or calls [runtime.Goexit], that continues in the caller's goroutine
// as with Map, at the latest when the loop body is done; only a panic of the loop body goes before
// it.
//
// Nothing runs before the result is ranged over, and nothing at all if the context is over by then.
// Each range statement iterates the sequence anew. Stream panics if items or fn is nil and with
// [Unlimited].
func Stream[T, R any](
	ctx context.Context, items iter.Seq[T], fn func(context.Context, T) (R, error), opts ...Option,
) iter.Seq2[R, error] {
	mustHaveContext(ctx)
	if items == nil {
		panic("concurrent: Stream: items is nil")
	}
	if fn == nil {
		panic("concurrent: Stream: fn is nil")
	}
	c := newConfig(opts)
	if c.limit == math.MaxInt {
		panic("concurrent: Stream: Unlimited() has no bound for the look-ahead; use Limit(n)")
	}
	return func(yield func(R, error) bool) {
		s := &stream[T, R]{
			group: group{config: c},
			items: items,
			order: make(chan *slot[T, R], c.limit),
			free:  make(chan *slot[T, R], c.limit),
			jobs:  make(chan *slot[T, R]),
		}
		s.fn = decorate(&s.group, fn)
		s.open(ctx)
		defer s.close()
		s.run(yield)
	}
}

// A stream is one range over the result of Stream. Slots go round: the puller fills one with an
// item, puts it in order and hands it to a worker; the consumer takes it from order, waits for the
// worker, yields, and frees it.
type stream[T, R any] struct {
	group
	items iter.Seq[T]
	fn    func(context.Context, T) (R, error)

	order chan *slot[T, R] // as pulled; closed when the puller is done; never blocks the puller
	free  chan *slot[T, R] // to be filled again
	jobs  chan *slot[T, R] // to an idle worker

	stopped atomic.Bool // nothing more is wanted of the sequence
}

type slot[T, R any] struct {
	index  int
	item   T
	done   chan struct{} // of capacity 1: gets a value when the fields below are set
	ok     bool          // fn was called and returned
	result R
	err    error
}

// reset forgets the caller's item and result, so that nothing keeps them from being collected.
func (s *slot[T, R]) reset() { *s = slot[T, R]{done: s.done} }

func (s *stream[T, R]) run(yield func(R, error) bool) {
	var last error
	if s.ctx.Err() != nil {
		last = s.cause()
	} else {
		last = s.consume(yield)
		s.raise()
	}
	if last != nil {
		var zero R
		yield(zero, last)
	}
}

// consume yields until the sequence ends, an error ends it, or the loop is left. What it returns is
// to be yielded last, when nothing runs any more.
func (s *stream[T, R]) consume(yield func(R, error) bool) (last error) {
	returned := false
	defer func() {
		if !returned { // the loop body panicked or called runtime.Goexit
			s.crash(nil)
		}
		s.stopped.Store(true)
		s.close()
		if !s.abandon {
			s.await()
		}
	}()
	s.active.Store(1)
	go s.pull()
	last = s.loop(yield)
	returned = true
	return last
}

func (s *stream[T, R]) loop(yield func(R, error) bool) (last error) {
	quit := (<-chan struct{})(s.crashed)
	if s.abandon {
		quit = s.ctx.Done()
	}
	for {
		slot, ok := receive(s.order, quit)
		if !ok {
			return s.cause()
		}
		if slot == nil { // the sequence has ended
			if s.cut.Load() {
				return s.cause()
			}
			return nil
		}
		if _, ok := receive(slot.done, quit); !ok || !slot.ok {
			return s.cause()
		}
		result, err := slot.result, slot.err
		if err != nil {
			if !s.keepGoing {
				return s.cause()
			}
			var zero R
			result, err = zero, &ItemError{Index: slot.index, Err: err}
		}
		if !yield(result, err) {
			return nil
		}
		slot.reset()
		s.free <- slot
	}
}

// receive prefers what is there to quitting; a closed channel gives the zero value. It returns
// false if it quit.
func receive[V any](from <-chan V, quit <-chan struct{}) (v V, ok bool) {
	select {
	case v = <-from:
		return v, true
	default:
	}
	select {
	case v = <-from:
		return v, true
	case <-quit:
		return v, false
	}
}

// pull iterates the sequence. It ends when the sequence has returned.
func (s *stream[T, R]) pull() {
	defer s.leave()
	defer close(s.order)
	index := 0
	s.protect(&index, func() {
		p := puller[T, R]{stream: s}
		if !p.next() {
			return
		}
		for item := range s.items {
			if s.ctx.Err() != nil {
				s.cut.Store(true)
				return
			}
			p.slot.index, p.slot.item = index, item
			s.order <- p.slot
			p.dispatch()
			index++
			if !p.next() {
				return
			}
		}
		if s.parent.Err() != nil {
			s.cut.Store(true)
		}
	})
}

// A puller is what only the goroutine that iterates the sequence knows.
type puller[T, R any] struct {
	*stream[T, R]
	slot    *slot[T, R] // for the next item; nil only if the context is over
	made    int         // slots so far, at most limit
	workers int         // goroutines so far, at most limit
}

// next gets a slot for the next item, before the sequence is asked for it. It returns false if
// nothing more is wanted.
//
// If it is only the context that ended, the sequence is asked once more all the same, if need be
// without a slot: if it has no further item, then nothing was missed.
func (p *puller[T, R]) next() bool {
	if p.made < p.limit {
		p.made++
		p.slot = &slot[T, R]{done: make(chan struct{}, 1)}
	} else {
		select {
		case p.slot = <-p.free:
		case <-p.ctx.Done():
			p.slot = nil
		}
	}
	return !p.stopped.Load() && p.panicked.Load() == nil && !p.exited.Load()
}

// dispatch hands the slot to an idle worker, or to a new one if there is none.
func (p *puller[T, R]) dispatch() {
	select {
	case p.jobs <- p.slot:
		return
	default:
	}
	if p.workers < p.limit {
		p.workers++
		p.active.Add(1)
		go p.work(p.slot)
		return
	}
	// Fewer than limit other slots are in work, so some worker is about to ask for one. If it
	// does not, that is because the context is over.
	select {
	case p.jobs <- p.slot:
	case <-p.ctx.Done():
		p.slot.done <- struct{}{}
	}
}

// work is a worker's life, from its first slot to the end of the context.
func (s *stream[T, R]) work(slot *slot[T, R]) {
	defer s.leave()
	for {
		s.runItem(slot)
		select {
		case slot = <-s.jobs:
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *stream[T, R]) runItem(slot *slot[T, R]) {
	defer func() { slot.done <- struct{}{} }() // deferred because of runtime.Goexit
	if s.ctx.Err() != nil {
		return
	}
	s.protect(&slot.index, func() {
		ctx := s.ctx
		if s.budget != nil {
			p, err := s.take(nil)
			if err != nil {
				slot.err, slot.ok = err, ctx.Err() == nil
				return
			}
			defer p.giveBack()
			ctx = p
		}
		slot.result, slot.err = s.fn(ctx, slot.item)
		slot.ok = true
	})
	if slot.err == nil {
		return
	}
	if s.keepGoing {
		if guard.Ended(s.ctx) {
			s.cut.Store(true)
			if _, ok := slot.err.(*unfinished); ok {
				slot.ok = false
			}
		}
		return
	}
	s.stopped.Store(true)
	s.fail(&ItemError{Index: slot.index, Err: slot.err})
}
