package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gracekit/gracekit/concurrent"
)

func naturals(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

// wait is work of d that heeds its context.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ended reports how f ended when run in its own goroutine: what it panicked with, or that it called Goexit.
func ended(f func()) (panicked any, goexit bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		goexit = true
		defer func() {
			if v := recover(); v != nil {
				panicked, goexit = v, false
			}
		}()
		f()
		goexit = false
	}()
	<-done
	return panicked, goexit
}

// The template everybody copies: 100 failures leak 99 goroutines and do not stop the calls.
func TestAdversaryAllFail(t *testing.T) {
	for _, limit := range []int{1, 2, 8, 100} {
		synctest.Test(t, func(t *testing.T) { // a goroutine left behind fails the bubble
			var calls atomic.Int32
			got, err := concurrent.Map(t.Context(), numbers(1000), func(ctx context.Context, i int) (int, error) {
				calls.Add(1)
				return 1, fmt.Errorf("%d: %w", i, errItem)
			}, concurrent.Limit(limit))
			if got != nil || !errors.Is(err, errItem) {
				t.Errorf("got %v, %v", got, err)
			}
			if n := int(calls.Load()); n > limit {
				t.Errorf("limit %d: %d calls after the first error", limit, n)
			}
		})
	}
}

// The real error is reported however many "context canceled" the library's own cancel brings before it in index order.
func TestAdversaryNeverMasked(t *testing.T) {
	fn := func(ctx context.Context, i int) (int, error) {
		if i == 5 {
			time.Sleep(time.Second)
			return 0, errItem
		}
		err := wait(ctx, time.Hour)
		return 0, fmt.Errorf("asking for %d: %w", i, err)
	}
	for _, opts := range [][]concurrent.Option{nil, {concurrent.Abandon()}, {concurrent.Timeout(time.Minute)}, {concurrent.Limit(6)}} {
		synctest.Test(t, func(t *testing.T) {
			check := func(what string, err error) {
				t.Helper()
				var item *concurrent.ItemError
				if !errors.As(err, &item) || item.Index != 5 || !errors.Is(err, errItem) || errors.Is(err, context.Canceled) {
					t.Errorf("%s: got %v, want item 5 alone", what, err)
				}
			}
			_, err := concurrent.Map(t.Context(), numbers(100), fn, opts...)
			check("Map", err)
			var errs []error
			for _, err := range concurrent.Stream(t.Context(), naturals, fn, opts...) {
				errs = append(errs, err)
			}
			if len(errs) != 1 {
				t.Fatalf("Stream: got %v, want one error", errs)
			}
			check("Stream", errs[0])
		})
	}
}

// An error that is an item's own, in the very moment in which the caller gives up: one of the two, whole.
func TestAdversaryErrorAndCancelTogether(t *testing.T) {
	cause := errors.New("the caller gave up")
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			_, err := concurrent.Map(ctx, numbers(4), func(ctx context.Context, i int) (int, error) {
				if i == 3 {
					time.Sleep(time.Second)
					return 0, errItem
				}
				return 0, wait(ctx, time.Hour)
			})
			var item *concurrent.ItemError
			switch {
			case err == cause:
			case errors.As(err, &item) && item.Index == 3 && item.Err == errItem:
			default:
				t.Errorf("got %v", err)
			}
		})
	}
}

// The error is what makes the caller cancel: it came first and stays.
func TestAdversaryErrorThenCancel(t *testing.T) {
	for _, opts := range [][]concurrent.Option{nil, {concurrent.Abandon()}, {concurrent.Limit(2)}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := concurrent.Map(ctx, numbers(4), func(ctx context.Context, i int) (int, error) {
				if i == 1 {
					return 0, errItem
				}
				<-ctx.Done()
				cancel()
				return 0, ctx.Err()
			}, opts...)
			cancel()
			if !errors.Is(err, errItem) || errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the item's own", err)
			}
		})
	}
}

func TestAdversaryGoexit(t *testing.T) {
	for name, opts := range map[string][]concurrent.Option{
		"plain": nil, "inline": {concurrent.Limit(1)}, "keep going": {concurrent.KeepGoing()}, "abandon": {concurrent.Abandon()},
	} {
		for place := range 3 { // the caller's goroutine, another, both
			fn := func(ctx context.Context, i int) (int, error) {
				if place == 2 || i == place*3 {
					runtime.Goexit()
				}
				return 0, nil
			}
			synctest.Test(t, func(t *testing.T) {
				if v, goexit := ended(func() { concurrent.Map(t.Context(), numbers(20), fn, opts...) }); v != nil || !goexit {
					t.Errorf("Map %s: %v, %v", name, v, goexit)
				}
				v, goexit := ended(func() {
					for range concurrent.Stream(t.Context(), naturals, fn, opts...) {
					}
				})
				if v != nil || !goexit {
					t.Errorf("Stream %s: %v, %v", name, v, goexit)
				}
			})
		}
	}
}

// What Abandon left running shares nothing with what the caller got or handed in.
// The functions really ignore their context, and the race detector looks on.
func TestAdversaryAbandonTouchesNothing(t *testing.T) {
	for _, keep := range []concurrent.Option{nil, concurrent.KeepGoing()} {
		for range 200 {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				items := numbers(64)
				ctx, cancel := context.WithCancel(t.Context())
				go func() { runtime.Gosched(); cancel() }()
				got, err := concurrent.Map(ctx, items, func(_ context.Context, i int) (*int, error) {
					if i%3 == 0 {
						<-release
					}
					return &i, nil
				}, concurrent.Abandon(), concurrent.Limit(8), keep)
				if err == nil {
					t.Error("the context is over and some items never returned, but no error")
				}
				close(release)
				for i := range items { // races with a worker that still reads its item
					items[i] = -1
				}
				for i := range got { // races with a straggler that still writes its result
					if got[i] != nil && *got[i] != i {
						t.Errorf("result %d is %d", i, *got[i])
					}
					got[i] = nil
				}
				synctest.Wait()
				for i := range got {
					if got[i] != nil {
						t.Fatalf("result %d was written after the return", i)
					}
				}
			})
		}
	}
}

// A sequence that must not be entered twice at once, and that counts what it gave.
func guarded(given *int) iter.Seq[int] {
	var inside atomic.Bool
	return func(yield func(int) bool) {
		for i := 0; ; i++ {
			if !inside.CompareAndSwap(false, true) {
				panic("sequence entered twice")
			}
			*given++ // the race detector sees two goroutines
			inside.Store(false)
			if !yield(i) {
				return
			}
		}
	}
}

func TestAdversaryStreamWays(t *testing.T) {
	ways := map[string]func(seq iter.Seq2[int, error]){
		"break": func(seq iter.Seq2[int, error]) {
			for v := range seq {
				if v == 10 {
					break
				}
			}
		},
		"return": func(seq iter.Seq2[int, error]) {
			for range seq {
				return
			}
		},
		"panic": func(seq iter.Seq2[int, error]) {
			for v := range seq {
				if v == 3 {
					panic("in the loop body")
				}
			}
		},
		"goexit": func(seq iter.Seq2[int, error]) {
			for v := range seq {
				if v == 3 {
					runtime.Goexit()
				}
			}
		},
		"pull": func(seq iter.Seq2[int, error]) {
			next, stop := iter.Pull2(seq)
			for range 5 {
				next()
			}
			stop()
			if _, _, ok := next(); ok {
				panic("a value after stop")
			}
		},
		"pull and nothing": func(seq iter.Seq2[int, error]) {
			_, stop := iter.Pull2(seq)
			stop()
		},
		"twice": func(seq iter.Seq2[int, error]) {
			for range 2 {
				first := true
				for v := range seq {
					if first && v != 0 {
						panic(fmt.Sprintf("starts with %d", v))
					}
					first = false
					if v == 5 {
						break
					}
				}
			}
		},
	}
	for name, way := range ways {
		for _, opts := range [][]concurrent.Option{{concurrent.Limit(1)}, {concurrent.Limit(2)}, {concurrent.Limit(4)}, {concurrent.Limit(4), concurrent.Abandon()}, {concurrent.Limit(4), concurrent.KeepGoing()}} {
			synctest.Test(t, func(t *testing.T) {
				var given int
				var running atomic.Int32
				seq := concurrent.Stream(t.Context(), guarded(&given), func(ctx context.Context, i int) (int, error) {
					running.Add(1)
					defer running.Add(-1)
					return i, wait(ctx, time.Duration(i%5)*time.Millisecond)
				}, opts...)
				v, goexit := ended(func() { way(seq) })
				if len(opts) == 1 {
					given++ // races with a sequence that is still running
					if n := running.Load(); n != 0 {
						t.Errorf("%s: %d functions still run", name, n)
					}
				}
				if wantExit := name == "goexit"; goexit != wantExit {
					t.Errorf("%s: goexit %v", name, goexit)
				}
				want := any(nil)
				if name == "panic" {
					want = "in the loop body"
				}
				if v != want {
					t.Errorf("%s: panicked with %v", name, v)
				}
			})
		}
	}
}

// Sequences that misbehave: they go on after being told to stop, panic or leave while they clean up.
func TestAdversaryStreamBadSequence(t *testing.T) {
	deaf := func(yield func(int) bool) {
		for i := range 50 {
			yield(i)
		}
	}
	bitter := func(yield func(int) bool) {
		defer func() { explode("while cleaning up") }()
		naturals(yield)
	}
	gone := func(yield func(int) bool) {
		defer runtime.Goexit()
		naturals(yield)
	}
	for _, limit := range []int{1, 4} {
		for _, abandon := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				opts := []concurrent.Option{concurrent.Limit(limit)}
				if abandon {
					opts = append(opts, concurrent.Abandon())
				}
				run := func(seq iter.Seq[int]) (any, bool, int) {
					var calls atomic.Int32
					v, goexit := ended(func() {
						for range concurrent.Stream(t.Context(), seq, func(ctx context.Context, i int) (int, error) {
							calls.Add(1)
							return i, nil
						}, opts...) {
							break
						}
					})
					synctest.Wait()
					return v, goexit, int(calls.Load())
				}
				v, goexit, calls := run(deaf)
				if _, ok := v.(*concurrent.PanicError); !abandon && !ok || goexit || calls > limit { // as the range statement does
					t.Errorf("deaf: %v, %v, %d calls", v, goexit, calls)
				}
				v, goexit, _ = run(bitter)
				if p, ok := v.(*concurrent.PanicError); !abandon && (!ok || goexit || p.Value != "while cleaning up" || !strings.Contains(string(p.Stack), "explode")) {
					t.Errorf("bitter: %v, %v", v, goexit)
				}
				if v, goexit, _ := run(gone); !abandon && (v != nil || !goexit) {
					t.Errorf("gone: %v, %v", v, goexit)
				}
			})
		}
	}
}

// Of a panic in the loop body and one in the sequence, the first one is the one to read.
func TestAdversaryStreamTwoPanics(t *testing.T) {
	for _, limit := range []int{1, 4} {
		v, _ := ended(func() {
			seq := func(yield func(int) bool) {
				defer func() { panic("second") }()
				naturals(yield)
			}
			for range concurrent.Stream(t.Context(), seq, func(_ context.Context, i int) (int, error) { return i, nil }, concurrent.Limit(limit)) {
				panic("first")
			}
		})
		if v != "first" {
			t.Errorf("limit %d: got %v", limit, v)
		}
	}
}

func TestAdversaryNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := concurrent.Map(t.Context(), numbers(20), func(ctx context.Context, i int) ([]int, error) {
			inner := concurrent.Stream(ctx, naturals, func(ctx context.Context, j int) (int, error) {
				rs, err := concurrent.Map(ctx, numbers(3), func(ctx context.Context, k int) (int, error) {
					return i*100 + j*10 + k, wait(ctx, time.Duration(k)*time.Millisecond)
				}, concurrent.Limit(2))
				if err != nil {
					return 0, err
				}
				return rs[2], nil
			}, concurrent.Limit(3))
			// A stream of a stream.
			outer := concurrent.Stream(ctx, func(yield func(int) bool) {
				for v, err := range inner {
					if err != nil || !yield(v) {
						return
					}
				}
			}, func(ctx context.Context, v int) (int, error) { return v, nil }, concurrent.Limit(2))
			var vs []int
			for v, err := range outer {
				if err != nil {
					return nil, err
				}
				if vs = append(vs, v); len(vs) == 3 {
					return vs, nil
				}
			}
			return nil, errors.New("ended early")
		}, concurrent.Limit(4))
		if err != nil {
			t.Fatal(err)
		}
		for i, vs := range got {
			if want := []int{i*100 + 2, i*100 + 12, i*100 + 22}; !reflect.DeepEqual(vs, want) {
				t.Errorf("item %d: got %v, want %v", i, vs, want)
			}
		}
	})
}

// An item that did not come through leaves no trace in the loop, least of all the result of an earlier one.
func TestAdversaryStreamYieldsOnlyResults(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { explode("in fn") }, "Goexit": runtime.Goexit} {
		for _, limit := range []int{1, 2, 3} {
			synctest.Test(t, func(t *testing.T) {
				var got []int
				ended(func() {
					for v, err := range concurrent.Stream(t.Context(), naturals, func(_ context.Context, i int) (int, error) {
						if i == 6 {
							end()
						}
						return 100 + i, nil
					}, concurrent.Limit(limit)) {
						if err != nil {
							t.Errorf("%s: got %v", name, err)
						}
						got = append(got, v)
					}
				})
				for i, v := range got {
					if i >= 6 || v != 100+i {
						t.Fatalf("%s: got %v, want results of the items before 6", name, got)
					}
				}
			})
		}
	}
}

// A cancellation at any moment, also between two steps of the stream, ends it, with nothing made up.
func TestAdversaryStreamCancelledAnywhere(t *testing.T) {
	for n := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for range n % 100 {
				runtime.Gosched()
			}
			cancel()
		}()
		want := 0
		var last error
		for v, err := range concurrent.Stream(ctx, naturals, func(_ context.Context, i int) (int, error) {
			return 100 + i, nil
		}, concurrent.Limit(1+n%3)) {
			if last = err; err == nil {
				if v != 100+want {
					t.Fatalf("got %d, want %d", v, 100+want)
				}
				want++
			}
		}
		if last != context.Canceled {
			t.Fatalf("got %v, want %v", last, context.Canceled)
		}
	}
}

// Goroutines are as many as the limit and the sequence need, however long the sequence.
func TestAdversaryStreamGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	most := 0
	for v, err := range concurrent.Stream(t.Context(), naturals, func(_ context.Context, i int) (int, error) {
		return i, nil
	}, concurrent.Limit(1)) {
		if err != nil {
			t.Fatal(err)
		}
		if most = max(most, runtime.NumGoroutine()); v == 5000 {
			break
		}
	}
	if most > before+2 {
		t.Errorf("got %d goroutines more, want one for fn and one for the sequence", most-before)
	}
}

// registry is a parent that counts the contexts which wait for its end.
type registry struct {
	context.Context
	done    chan struct{}
	waiting atomic.Int32
}

func (r *registry) Done() <-chan struct{} { return r.done }
func (r *registry) AfterFunc(func()) (stop func() bool) {
	r.waiting.Add(1)
	var once atomic.Bool
	return func() bool {
		if once.CompareAndSwap(false, true) {
			r.waiting.Add(-1)
		}
		return true
	}
}

// A call leaves nothing at its caller's context, nor a timer: the caller may make many on one context.
func TestAdversaryContextIsReleased(t *testing.T) {
	for name, opts := range map[string][]concurrent.Option{
		"plain": nil, "time-out": {concurrent.Timeout(time.Hour)}, "abandon": {concurrent.Abandon(), concurrent.Timeout(time.Hour)},
	} {
		parent := &registry{Context: context.Background(), done: make(chan struct{})}
		if _, err := concurrent.Map(parent, numbers(9), trivial, opts...); err != nil {
			t.Error(err)
		}
		for range concurrent.Stream(parent, naturals, trivial, opts...) {
			break
		}
		ended(func() {
			concurrent.Map(parent, numbers(9), func(context.Context, int) (int, error) { panic("in fn") }, opts...)
		})
		if n := parent.waiting.Load(); n != 0 {
			t.Errorf("%s: %d contexts still wait for the end of the parent", name, n)
		}
	}
}

// With the old meaning of panic(nil), recover returns nil for a panic as it does for Goexit.
func TestAdversaryPanicNil(t *testing.T) {
	t.Setenv("GODEBUG", "panicnil=1")
	v, goexit := ended(func() {
		concurrent.ForEach(t.Context(), numbers(4), func(context.Context, int) error { panic(nil) })
	})
	p, ok := v.(*concurrent.PanicError)
	if !ok || goexit {
		t.Fatalf("got %v, Goexit %v, want a PanicError", v, goexit)
	}
	if _, ok := p.Value.(*runtime.PanicNilError); !ok {
		t.Errorf("got value %v, want a PanicNilError", p.Value)
	}
}

// A deadline that came after the last failure and kept no item from its end is not among the errors.
func TestAdversaryKeepGoingHarmlessDeadline(t *testing.T) {
	for _, opt := range []concurrent.Option{nil, concurrent.Limit(9)} {
		synctest.Test(t, func(t *testing.T) {
			got, err := concurrent.Map(t.Context(), numbers(2), func(_ context.Context, i int) (int, error) {
				if i == 0 {
					return 0, errItem
				}
				time.Sleep(time.Minute)
				return i, nil
			}, concurrent.KeepGoing(), concurrent.Timeout(time.Second), opt)
			if len(got) != 2 || got[1] != 1 || !errors.Is(err, errItem) || errors.Is(err, concurrent.ErrTimeout) {
				t.Errorf("got %v, %v, want item 0 alone to have failed", got, err)
			}
		})
	}
}
