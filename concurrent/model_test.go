package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gracekit/gracekit/concurrent"
)

// A plan is one call of Map or Stream, everything that happens to it included. It is compared with
// a serial simulation, so no two things may happen at the same moment: durations are multiples of a
// unit plus one bit that is the item's own, and chains of items share no item.
type plan struct {
	items    []planItem
	limit    int           // 0: Unlimited
	cancelAt time.Duration // 0: never
	timeout  time.Duration // 0: none
	keep     bool
	abandon  bool
	budget   bool // more than enough, so it changes nothing
}

type planItem struct {
	lasts time.Duration
	fails bool
	deaf  bool // ignores its context
}

var errParent = errors.New("parent is over")

type planError int

func (e planError) Error() string { return fmt.Sprintf("planned failure of %d", int(e)) }

func newPlan(seed uint64, n, limit, cancelAt, timeout, failing, flags uint8) plan {
	r := rand.New(rand.NewPCG(seed, 0))
	n %= 25
	bit := func(i uint8) time.Duration { return 1 << i }
	unit := bit(n + 2)
	p := plan{limit: int(limit % 12), keep: flags&1 != 0, abandon: flags&2 != 0,
		budget: flags&16 != 0}
	for i := range n {
		p.items = append(p.items, planItem{
			lasts: time.Duration(r.IntN(8))*unit + bit(i),
			fails: r.IntN(256) < int(failing),
			deaf:  r.IntN(4) < int(flags>>2&3),
		})
	}
	if cancelAt != 0 {
		p.cancelAt = time.Duration(cancelAt-1)*unit + bit(n)
	}
	if timeout != 0 {
		p.timeout = time.Duration(timeout-1)*unit + bit(n+1)
	}
	return p
}

func (p plan) options() []concurrent.Option {
	opts := []concurrent.Option{nil, concurrent.Unlimited()}
	if p.limit != 0 {
		opts = append(opts, concurrent.Limit(p.limit))
	}
	if p.timeout != 0 {
		opts = append(opts, concurrent.Timeout(p.timeout))
	}
	if p.keep {
		opts = append(opts, concurrent.KeepGoing())
	}
	if p.abandon {
		opts = append(opts, concurrent.Abandon())
	}
	if p.budget {
		opts = append(opts, concurrent.Budget(semaphore.NewWeighted(100)))
	}
	return opts
}

// end is when the context ends from outside, and why; never: a time beyond all others.
func (p plan) end() (time.Duration, error) {
	at, cause := time.Duration(1<<62), error(nil)
	if p.cancelAt != 0 {
		at, cause = p.cancelAt, errParent
	}
	if p.timeout != 0 && p.timeout < at {
		at, cause = p.timeout, concurrent.ErrTimeout
	}
	return at, cause
}

// run is the item's function.
func (p plan) run(ctx context.Context, i int) (int, error) {
	item := p.items[i]
	var over <-chan struct{}
	if !item.deaf {
		over = ctx.Done()
	}
	select {
	case <-time.After(item.lasts):
	case <-over:
		if i%2 == 0 {
			return -1, ctx.Err()
		}
		return -1, fmt.Errorf("wrapped: %w", context.Cause(ctx))
	}
	if item.fails {
		return -1, planError(i)
	}
	return i * i, nil
}

// A fate is what the simulation says of one item.
type fate struct {
	start, finish time.Duration
	started       bool
	err           bool // it returned an error
}

// finish settles items whose functions still run when the context ends.
func (p plan) finish(f fate, i int, over time.Duration) fate {
	f.finish = f.start + p.items[i].lasts
	f.err = p.items[i].fails
	if f.finish > over && !p.items[i].deaf {
		f.finish, f.err = over, true
	}
	return f
}

// simulateMap returns every item's fate, when the context ended and why.
func (p plan) simulateMap() (fates []fate, over time.Duration, cause error) {
	over, cause = p.end()
	fates = make([]fate, len(p.items))
	workers := make([]time.Duration, min(max(1, len(p.items)),
		p.limit+len(p.items)*b2i(p.limit == 0)))
	for i := range fates {
		w := slices.Index(workers, slices.Min(workers))
		if workers[w] >= over {
			break
		}
		f := fate{started: true, start: workers[w]}
		f.finish = f.start + p.items[i].lasts
		if p.items[i].fails && !p.keep && f.finish < over {
			over, cause = f.finish, &concurrent.ItemError{Index: i, Err: planError(i)}
		}
		fates[i] = f
		workers[w] = f.finish
	}
	for i, f := range fates {
		if f.started && f.start < over {
			fates[i] = p.finish(f, i, over)
		} else {
			fates[i] = fate{}
		}
	}
	return fates, over, cause
}

func seedCorpus(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		b := func() uint8 { return uint8(r.Uint32()) }
		cancelAt, timeout, failing := b()%64, b()%64, b()
		if r.IntN(2) == 0 {
			cancelAt = 0
		}
		if r.IntN(2) == 0 {
			timeout = 0
		}
		if r.IntN(2) == 0 {
			failing = failing % 16
		}
		if r.IntN(3) == 0 {
			failing = 0
		}
		f.Add(r.Uint64(), b(), b(), cancelAt, timeout, failing, b())
	}
}

func FuzzMap(f *testing.F) {
	seedCorpus(f)
	f.Fuzz(func(t *testing.T, seed uint64, n, limit, cancelAt, timeout, failing, flags uint8) {
		synctest.Test(t, func(t *testing.T) {
			checkMap(t, newPlan(seed, n, limit, cancelAt, timeout, failing, flags))
		})
	})
}

func checkMap(t *testing.T, p plan) {
	defer time.Sleep(time.Hour) // stragglers write now, if anywhere
	fates, over, cause := p.simulateMap()
	var wantCalls int
	var lastFinish time.Duration
	failed, running := false, false
	for _, f := range fates {
		wantCalls += b2i(f.started)
		lastFinish = max(lastFinish, f.finish)
		failed = failed || !f.started || f.err
		running = running || f.started && f.finish >= over
	}
	wantTime := lastFinish
	if p.abandon && (running || failed && !p.keep) {
		wantTime, failed = over, true
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	if p.cancelAt != 0 {
		time.AfterFunc(p.cancelAt, func() { cancel(errParent) })
	}
	defer cancel(nil)
	indexes := make([]int, len(p.items))
	for i := range indexes {
		indexes[i] = i
	}
	var calls, current, peak atomic.Int64
	began := time.Now()
	results, err := concurrent.Map(ctx, indexes, func(ctx context.Context, i int) (int, error) {
		calls.Add(1)
		now := current.Add(1)
		defer current.Add(-1)
		for old := peak.Load(); now > old && !peak.CompareAndSwap(old, now); old = peak.Load() {
		}
		return p.run(ctx, i)
	}, p.options()...)
	took := time.Since(began)

	if got := int(calls.Load()); got != wantCalls {
		t.Errorf("got %d calls, want %d", got, wantCalls)
	}
	if p.limit != 0 && peak.Load() > int64(p.limit) {
		t.Errorf("got %d calls at the same time, want at most %d", peak.Load(), p.limit)
	}
	if took != wantTime {
		t.Errorf("got back after %v, want %v", took, wantTime)
	}
	if !p.abandon && current.Load() != 0 {
		t.Errorf("got back while %d functions were running", current.Load())
	}
	switch {
	case !failed:
		if err != nil {
			t.Errorf("got error %v, want none", err)
		}
	case !p.keep:
		wantSame(t, err, cause)
		if results != nil {
			t.Errorf("got results %v with an error, want nil", results)
		}
		return
	default:
		checkJoined(t, p, fates, over, cause, err)
	}
	if results == nil || len(results) != len(p.items) {
		t.Fatalf("got results %v, want %d", results, len(p.items))
	}
	for i, got := range results {
		want := i * i
		if f := fates[i]; !f.started || f.err || p.abandon && failed && f.finish > over {
			want = 0
		}
		if got != want {
			t.Errorf("got result %d of item %d, want %d", got, i, want)
		}
	}
}

// wantSame compares what is returned bare: an ItemError by its fields, anything else by identity.
func wantSame(t *testing.T, got, want error) {
	t.Helper()
	g, ok := got.(*concurrent.ItemError)
	w, also := want.(*concurrent.ItemError)
	if ok && also && *g == *w || got == want || isCause(got, want) {
		return
	}
	t.Errorf("got error %v, want %v", got, want)
}

// isCause reports whether err says alone why the context ended.
func isCause(err, cause error) bool {
	if _, item := err.(*concurrent.ItemError); item || cause == nil {
		return false
	}
	return err == cause || cause == errParent && isEnd(err, context.Canceled, cause)
}

func checkJoined(t *testing.T, p plan, fates []fate, over time.Duration, cause, err error) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got error %v of type %T, want a joined one", err, err)
	}
	errs := joined.Unwrap()
	cut := false
	for i, f := range fates {
		var want error
		switch {
		case !f.started:
			want, cut = cause, true
		case p.abandon && f.finish > over:
			want, cut = cause, true
		case f.finish == over: // an echo; with Abandon it may have come too late
			want, cut = nil, true
		case f.err && f.finish > over:
			want, cut = planError(i), true
		case f.err:
			want = planError(i)
		default:
			continue
		}
		if len(errs) > 0 && isCause(errs[0], cause) {
			errs = errs[1:]
		}
		if len(errs) == 0 {
			t.Fatalf("got no error for item %d in %v", i, err)
		}
		item, ok := errs[0].(*concurrent.ItemError)
		if !ok || item.Index != i || want != nil && !errors.Is(item, want) {
			t.Errorf("got error %v, want item %d with %v", errs[0], i, want)
		}
		errs = errs[1:]
	}
	if len(errs) != 0 {
		t.Errorf("got further errors %v", errs)
	}
	if errors.Is(err, context.Canceled) && cause == nil {
		t.Errorf("got an echo without a cause in %v", err)
	}
	if cut != isCause(joined.Unwrap()[0], cause) {
		t.Errorf("got cause first in %v: want %v", joined.Unwrap(), cut)
	}
}

func FuzzStream(f *testing.F) {
	seedCorpus(f)
	f.Fuzz(func(t *testing.T, seed uint64, n, limit, cancelAt, timeout, failing, flags uint8) {
		synctest.Test(t, func(t *testing.T) {
			checkStream(t, newPlan(seed, n, limit, cancelAt, timeout, failing, flags))
		})
	})
}

// simulateStream returns every item's fate, when the context ended and why, and whether its end
// came before the sequence was known to have ended.
func (p plan) simulateStream() (fates []fate, over time.Duration, cause error, early bool) {
	over, cause = p.end()
	limit := p.limit
	fates = make([]fate, len(p.items))
	consumed := make([]time.Duration, len(p.items)+1) // when the results up to and without i were
	free := func(i int) time.Duration {               // when there is a slot for item i
		if i < limit {
			return 0
		}
		return consumed[i-limit+1]
	}
	for i := range fates {
		f := fate{started: true, start: free(i)}
		f.finish = f.start + p.items[i].lasts
		consumed[i+1] = max(consumed[i], f.finish)
		fates[i] = f
	}
	if !p.keep {
		for i, f := range fates { // items that start after the end are sorted out below
			if p.items[i].fails && f.finish < over {
				over, cause = f.finish, &concurrent.ItemError{Index: i, Err: planError(i)}
			}
		}
	}
	for i, f := range fates {
		if f.start < over {
			fates[i] = p.finish(f, i, over)
		} else {
			fates[i] = fate{}
		}
	}
	return fates, over, cause, free(len(p.items)) >= over
}

func checkStream(t *testing.T, p plan) {
	defer time.Sleep(time.Hour)
	if p.limit == 0 {
		p.limit = concurrent.DefaultLimit
	}
	fates, over, cause, early := p.simulateStream()

	type pair struct {
		index int // of a result or an ItemError
		err   error
	}
	var want []pair
	ended := false // by an item without a result
	cut := early && cause == errParent
	calls := 0
	for _, f := range fates {
		calls += b2i(f.started)
	}
	var lastYield, lastFinish time.Duration
	for i, f := range fates {
		lastFinish = max(lastFinish, f.finish)
		if ended {
			continue
		}
		switch {
		case !f.started, p.abandon && f.finish > over, f.err && !p.keep:
			ended, cut = true, true
		case f.err:
			want = append(want, pair{i, planError(i)})
			if f.finish >= over {
				cut = true
				want[len(want)-1].err = nil
				if f.finish > over {
					want[len(want)-1].err = planError(i)
				}
			}
		default:
			want = append(want, pair{index: i})
		}
		lastYield = max(lastYield, f.finish)
	}
	wantTime := lastFinish
	if p.abandon && cut {
		wantTime = over
		for _, f := range fates[:len(want)] { // what was there is yielded first
			wantTime = max(wantTime, f.finish)
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if p.cancelAt != 0 {
		time.AfterFunc(p.cancelAt, func() { cancel(errParent) })
	}
	var got, pulled, handed atomic.Int64
	inSequence := atomic.Int32{}
	sequence := func(yield func(int) bool) {
		if inSequence.Add(1) != 1 {
			t.Error("the sequence is iterated twice at the same time")
		}
		defer inSequence.Add(-1)
		for i := range p.items {
			if held := pulled.Add(1) - handed.Load(); held > int64(p.limit) && ctx.Err() == nil &&
				p.timeout == 0 {
				t.Errorf("got %d items in work, want at most %d", held, p.limit)
			}
			if !yield(i) {
				return
			}
		}
	}
	began := time.Now()
	var results []pair
	var last error
	stream := concurrent.Stream(ctx, iter.Seq[int](sequence),
		func(ctx context.Context, i int) (int, error) {
			got.Add(1)
			return p.run(ctx, i)
		}, p.keepLimit()...)
	for v, err := range stream {
		if last != nil {
			t.Fatalf("got %v, %v after the last error %v", v, err, last)
		}
		item, isItem := err.(*concurrent.ItemError)
		switch {
		case err == nil:
			if want := len(results) * len(results); v != want {
				t.Errorf("got %d, want %d", v, want)
			}
			results = append(results, pair{index: len(results)})
			handed.Add(1)
		case isItem && p.keep:
			results = append(results, pair{item.Index, item.Err})
			handed.Add(1)
		default:
			last = err
		}
		if err != nil && v != 0 {
			t.Errorf("got value %d with error %v, want zero", v, err)
		}
	}
	took := time.Since(began)
	if int(got.Load()) != calls {
		t.Errorf("got %d calls, want %d", got.Load(), calls)
	}
	if len(results) != len(want) && !(p.abandon && cut && len(results) < len(want)) {
		t.Errorf("got %v, want %v", results, want)
	}
	for i, g := range results {
		if i < len(want) && (g.index != want[i].index || want[i].err != nil &&
			g.err != want[i].err) {
			t.Errorf("got %v at %d, want %v", g, i, want[i])
		}
	}
	if !cut {
		cause = nil
	}
	wantSame(t, last, cause)
	if took != wantTime {
		t.Errorf("got back after %v, want %v", took, wantTime)
	}
	if !p.abandon && inSequence.Load() != 0 {
		t.Error("got back while the sequence was running")
	}
}

// keepLimit are the options without Unlimited.
func (p plan) keepLimit() []concurrent.Option {
	return append(p.options(), concurrent.Limit(p.limit))
}
