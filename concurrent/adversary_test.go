package concurrent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gracekit/gracekit/concurrent"
)

var errReal = errors.New("no such table")

func count(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

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
			got, err := concurrent.Map(t.Context(), count(1000), func(ctx context.Context, i int) (int, error) {
				calls.Add(1)
				return 1, fmt.Errorf("%d: %w", i, errReal)
			}, concurrent.Limit(limit))
			if got != nil || !errors.Is(err, errReal) {
				t.Errorf("got %v, %v", got, err)
			}
			if n := int(calls.Load()); n > limit {
				t.Errorf("limit %d: %d calls after the first error", limit, n)
			}
		})
	}
}

func TestAdversaryErrorOnItem0(t *testing.T) {
	for _, limit := range []int{1, 8} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int32
			err := concurrent.ForEach(t.Context(), count(1000), func(ctx context.Context, i int) error {
				calls.Add(1)
				if i == 0 {
					return errReal
				}
				return wait(ctx, time.Second)
			}, concurrent.Limit(limit))
			var item *concurrent.ItemError
			if !errors.As(err, &item) || item.Index != 0 || item.Err != errReal {
				t.Errorf("got %v, want item 0", err)
			}
			if n := int(calls.Load()); n > limit {
				t.Errorf("limit %d: %d calls, want at most %d", limit, n, limit)
			}
		})
	}
}

func TestAdversaryContextAlreadyOver(t *testing.T) {
	cause := errors.New("server is stopping")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	never := func(context.Context, int) (int, error) { t.Error("fn called"); return 0, nil }
	for name, opts := range map[string][]concurrent.Option{
		"plain": nil, "keep going": {concurrent.KeepGoing()}, "abandon": {concurrent.Abandon()},
		"inline": {concurrent.Limit(1)}, "time-out": {concurrent.Timeout(time.Hour)},
	} {
		if _, err := concurrent.Map(ctx, count(9), never, opts...); !errors.Is(err, cause) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: Map got %v", name, err)
		}
		n := 0
		for _, err := range concurrent.Stream(ctx, func(yield func(int) bool) { t.Error("sequence asked") }, never, opts...) {
			n++
			if !errors.Is(err, cause) {
				t.Errorf("%s: Stream got %v", name, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: Stream yielded %d times, want once", name, n)
		}
	}
}

// The real error is reported however many "context canceled" the library's own cancel brings before it in index order.
func TestAdversaryNeverMasked(t *testing.T) {
	fn := func(ctx context.Context, i int) (int, error) {
		if i == 5 {
			time.Sleep(time.Second)
			return 0, errReal
		}
		err := wait(ctx, time.Hour)
		return 0, fmt.Errorf("asking for %d: %w", i, err)
	}
	for _, opts := range [][]concurrent.Option{nil, {concurrent.Abandon()}, {concurrent.Timeout(time.Minute)}, {concurrent.Limit(6)}} {
		synctest.Test(t, func(t *testing.T) {
			check := func(what string, err error) {
				t.Helper()
				var item *concurrent.ItemError
				if !errors.As(err, &item) || item.Index != 5 || !errors.Is(err, errReal) || errors.Is(err, context.Canceled) {
					t.Errorf("%s: got %v, want item 5 alone", what, err)
				}
			}
			_, err := concurrent.Map(t.Context(), count(100), fn, opts...)
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

// slowContext is over for those who ask it before those hear it who derived a context from it,
// as any context that is not of the standard library may be.
type slowContext struct {
	context.Context
	done chan struct{}
	err  atomic.Pointer[error]
}

func (c *slowContext) Done() <-chan struct{} { return c.done }
func (c *slowContext) Err() error {
	if err := c.err.Load(); err != nil {
		return *err
	}
	return nil
}

func TestAdversaryContextOfAnotherKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := &slowContext{Context: context.Background(), done: make(chan struct{})}
		go func() {
			time.Sleep(time.Second)
			err := context.Canceled
			ctx.err.Store(&err)
			close(ctx.done)
		}()
		for _, opts := range [][]concurrent.Option{nil, {concurrent.Abandon()}} {
			_, err := concurrent.Map(ctx, count(100), func(inner context.Context, _ int) (int, error) {
				return 0, wait(ctx, time.Hour) // the outer context, as closures often do
			}, opts...)
			var item *concurrent.ItemError
			if !errors.Is(err, context.Canceled) || errors.As(err, &item) {
				t.Errorf("got %v, want the cause alone", err)
			}
		}
	})
}

// An error that is an item's own, in the very moment in which the caller gives up: one of the two, whole.
func TestAdversaryErrorAndCancelTogether(t *testing.T) {
	cause := errors.New("the caller gave up")
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			_, err := concurrent.Map(ctx, count(4), func(ctx context.Context, i int) (int, error) {
				if i == 3 {
					time.Sleep(time.Second)
					return 0, errReal
				}
				return 0, wait(ctx, time.Hour)
			})
			var item *concurrent.ItemError
			switch {
			case err == cause:
			case errors.As(err, &item) && item.Index == 3 && item.Err == errReal:
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
			_, err := concurrent.Map(ctx, count(4), func(ctx context.Context, i int) (int, error) {
				if i == 1 {
					return 0, errReal
				}
				<-ctx.Done()
				cancel()
				return 0, ctx.Err()
			}, opts...)
			cancel()
			if !errors.Is(err, errReal) || errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the item's own", err)
			}
		})
	}
}

func TestAdversaryTimeoutAndSuccessTogether(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			for _, opt := range []concurrent.Option{nil, concurrent.Limit(1), concurrent.KeepGoing()} {
				got, err := concurrent.Map(t.Context(), count(1), func(ctx context.Context, i int) (int, error) {
					time.Sleep(time.Second)
					return 7, nil
				}, concurrent.Timeout(time.Second), opt)
				if err != nil || !slices.Equal(got, []int{7}) {
					t.Errorf("got %v, %v, want success", got, err)
				}
			}
			// All items at once, which needs their goroutines to be done and seen to be done.
			got, err := concurrent.Map(t.Context(), count(8), func(ctx context.Context, i int) (int, error) {
				time.Sleep(time.Second)
				return i, nil
			}, concurrent.Timeout(time.Second), concurrent.Limit(8))
			if err != nil || !slices.Equal(got, count(8)) {
				t.Errorf("got %v, %v, want success", got, err)
			}
		})
	}
}

func TestAdversaryWhichDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fn := func(ctx context.Context, i int) (int, error) { return 0, wait(ctx, time.Hour) }
		mine := errors.New("my own deadline")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, mine)
		defer cancel()
		_, err := concurrent.Map(ctx, count(40), fn, concurrent.Timeout(time.Minute))
		if err != mine {
			t.Errorf("caller's first: got %v", err)
		}
		_, err = concurrent.Map(t.Context(), count(40), fn, concurrent.Timeout(time.Minute))
		if !errors.Is(err, concurrent.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("Timeout first: got %v", err)
		}
		if errors.Is(context.DeadlineExceeded, concurrent.ErrTimeout) {
			t.Error("any deadline passes for ErrTimeout")
		}
	})
}

func blowUp(v any) { panic(v) }

func TestAdversaryPanics(t *testing.T) {
	for _, value := range []any{"a word", errReal, nil, 42} {
		for name, opts := range map[string][]concurrent.Option{
			"plain": nil, "inline": {concurrent.Limit(1)}, "keep going": {concurrent.KeepGoing()},
			"abandon": {concurrent.Abandon()}, "unlimited": {concurrent.Limit(1000)},
		} {
			fn := func(ctx context.Context, i int) (int, error) {
				if i == 3 {
					blowUp(value)
				}
				return 0, nil
			}
			for what, call := range map[string]func(context.Context){
				"Map": func(ctx context.Context) { concurrent.Map(ctx, count(20), fn, opts...) },
				"Stream": func(ctx context.Context) {
					for range concurrent.Stream(ctx, slices.Values(count(20)), fn, opts...) {
					}
				},
			} {
				synctest.Test(t, func(t *testing.T) {
					v, goexit := ended(func() { call(t.Context()) })
					p, ok := v.(*concurrent.PanicError)
					if !ok || goexit {
						t.Fatalf("%s %s: panicked with %v, goexit %v", what, name, v, goexit)
					}
					want := value
					if value == nil {
						if _, ok := p.Value.(*runtime.PanicNilError); !ok {
							t.Errorf("%s %s: value %v, want PanicNilError", what, name, p.Value)
						}
						want = p.Value
					}
					if p.Value != want || p.Index != 3 {
						t.Errorf("%s %s: value %v of item %d", what, name, p.Value, p.Index)
					}
					if !bytes.Contains(p.Stack, []byte("blowUp")) {
						t.Errorf("%s %s: the stack is not the original one:\n%s", what, name, p.Stack)
					}
					if text := p.Error(); text != fmt.Sprintf("panic: %v\n\n%s", want, p.Stack) {
						t.Errorf("%s %s: text %q", what, name, text)
					}
					if _, isErr := want.(error); isErr != (errors.Unwrap(p) != nil) {
						t.Errorf("%s %s: unwraps to %v", what, name, errors.Unwrap(p))
					}
				})
			}
		}
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
				if v, goexit := ended(func() { concurrent.Map(t.Context(), count(20), fn, opts...) }); v != nil || !goexit {
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
	for range 300 {
		var left sync.WaitGroup
		release := make(chan struct{})
		items := count(64)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { runtime.Gosched(); cancel() }()
		got, err := concurrent.Map(ctx, items, func(_ context.Context, i int) (*int, error) {
			left.Add(1)
			defer left.Done()
			if i%3 == 0 {
				<-release
			}
			return &i, nil
		}, concurrent.Abandon(), concurrent.KeepGoing(), concurrent.Limit(8))
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
		if err == nil {
			t.Error("the context is over and some items never returned, but no error")
		}
		left.Wait()
		for i := range got {
			if got[i] != nil {
				t.Fatalf("result %d was written after the return", i)
			}
		}
	}
}

func TestAdversaryAbandonOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stubborn := func(_ context.Context, i int) (int, error) {
			if i == 2 {
				time.Sleep(time.Second)
				return 0, errReal
			}
			time.Sleep(time.Minute)
			if i == 1 {
				panic("late") // nobody is left to hear it
			}
			if i == 0 {
				runtime.Goexit()
			}
			return 0, errors.New("late")
		}
		start := time.Now()
		_, err := concurrent.Map(t.Context(), count(40), stubborn, concurrent.Abandon())
		if d := time.Since(start); d != time.Second || !errors.Is(err, errReal) {
			t.Errorf("Map: %v after %v", err, d)
		}
		start = time.Now()
		for _, err := range concurrent.Stream(t.Context(), naturals, stubborn, concurrent.Abandon()) {
			if !errors.Is(err, errReal) {
				t.Errorf("Stream: %v", err)
			}
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("Stream: after %v", d)
		}
		start = time.Now()
		_, err = concurrent.Map(t.Context(), count(40), func(context.Context, int) (int, error) {
			time.Sleep(time.Minute)
			return 0, nil
		}, concurrent.Abandon(), concurrent.Timeout(3*time.Second), concurrent.Limit(1))
		if d := time.Since(start); d != 3*time.Second || !errors.Is(err, concurrent.ErrTimeout) {
			t.Errorf("time-out: %v after %v", err, d)
		}
		time.Sleep(time.Hour) // the stragglers end, and end nothing else
	})
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

func TestAdversaryStreamLookAhead(t *testing.T) {
	for _, limit := range []int{1, 2, 8} {
		synctest.Test(t, func(t *testing.T) {
			var given, running, most atomic.Int32
			yielded := int32(0)
			seq := func(yield func(int) bool) {
				for i := 0; ; i++ {
					given.Add(1)
					if !yield(i) {
						return
					}
				}
			}
			for v, err := range concurrent.Stream(t.Context(), seq, func(ctx context.Context, i int) (int, error) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				return i, wait(ctx, time.Duration(i%7)*time.Millisecond)
			}, concurrent.Limit(limit)) {
				if err != nil || v != int(yielded) {
					t.Fatalf("got %d, %v, want %d", v, err, yielded)
				}
				time.Sleep(time.Second) // all that may run ahead has done so
				synctest.Wait()
				if ahead := given.Load() - yielded; ahead > int32(limit) {
					t.Fatalf("limit %d: %d items asked for beyond those whose results were consumed", limit, ahead)
				}
				if yielded++; yielded == 100 {
					break
				}
			}
			if most.Load() > int32(limit) {
				t.Errorf("limit %d: %d at the same time", limit, most.Load())
			}
		})
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
		defer func() { blowUp("while cleaning up") }()
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
				if p, ok := v.(*concurrent.PanicError); !abandon && (!ok || goexit || p.Value != "while cleaning up" || !strings.Contains(string(p.Stack), "blowUp")) {
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
		got, err := concurrent.Map(t.Context(), count(20), func(ctx context.Context, i int) ([]int, error) {
			inner := concurrent.Stream(ctx, naturals, func(ctx context.Context, j int) (int, error) {
				rs, err := concurrent.Map(ctx, count(3), func(ctx context.Context, k int) (int, error) {
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

func TestAdversaryNestedPanicIsReadable(t *testing.T) {
	v, _ := ended(func() {
		concurrent.ForEach(t.Context(), count(4), func(ctx context.Context, i int) error {
			return concurrent.ForEach(ctx, count(4), func(ctx context.Context, j int) error {
				if i == 2 && j == 3 {
					blowUp(errReal)
				}
				return wait(ctx, time.Hour)
			})
		})
	})
	p, ok := v.(*concurrent.PanicError)
	if !ok || p.Index != 2 {
		t.Fatalf("got %v", v)
	}
	if !errors.Is(p, errReal) || !strings.Contains(p.Error(), "blowUp") {
		t.Errorf("the first panic is not to be found in\n%v", p)
	}
}

func TestAdversaryEmpty(t *testing.T) {
	for _, items := range [][]int{nil, {}} {
		for _, opts := range [][]concurrent.Option{nil, {concurrent.Unlimited()}, {concurrent.Abandon()}, {concurrent.KeepGoing(), concurrent.Timeout(time.Second)}} {
			got, err := concurrent.Map(t.Context(), items, func(context.Context, int) (int, error) { t.Error("called"); return 0, nil }, opts...)
			if got == nil || len(got) != 0 || err != nil {
				t.Errorf("got %#v, %v", got, err)
			}
		}
	}
}

func TestAdversaryKeepGoingErrorsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := concurrent.Map(t.Context(), count(10), func(ctx context.Context, i int) (string, error) {
			time.Sleep(time.Duration(10-i) * time.Second)
			if i%3 == 0 {
				return "junk", fmt.Errorf("bad %d", i)
			}
			return fmt.Sprint(i), nil
		}, nil, concurrent.KeepGoing(), nil)
		if want := []string{"", "1", "2", "", "4", "5", "", "7", "8", ""}; !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if want := "item 0: bad 0\nitem 3: bad 3\nitem 6: bad 6\nitem 9: bad 9"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}
