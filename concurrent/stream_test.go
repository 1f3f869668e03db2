package concurrent_test

import (
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

func TestStreamHoldsAtMostLimit(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		synctest.Test(t, func(t *testing.T) {
			e := &endless{t: t, limit: int64(limit)}
			count := 0
			for n, err := range concurrent.Stream(t.Context(), e.all,
				func(_ context.Context, n int) (int, error) {
					time.Sleep(time.Duration(n%5) * time.Millisecond)
					return n, nil
				}, concurrent.Limit(limit)) {
				if n != count || err != nil {
					t.Fatalf("got %d, %v, want %d", n, err, count)
				}
				if count++; count == 500 {
					break
				}
				if count%10 == 0 {
					time.Sleep(time.Second) // a slow body holds the sequence back
					synctest.Wait()
					if got := e.pulled.Load(); got != int64(count-1+limit) {
						t.Fatalf("got %d items pulled for a body at item %d, want %d", got, count-1,
							count-1+limit)
					}
				}
				e.handed.Add(1)
			}
			if e.running.Load() || e.ended.Load() != 1 {
				t.Error("the loop was left before the sequence had returned")
			}
		})
	}
}

// An item's result is yielded when it is there, not when the sequence has the next one.
func TestStreamDoesNotWaitForTheNextItem(t *testing.T) {
	for _, limit := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan int)
			go func() {
				defer close(source)
				for i := range 3 {
					source <- i
					time.Sleep(time.Minute)
				}
			}()
			began := time.Now()
			want := time.Duration(0)
			for _, err := range concurrent.Stream(t.Context(), func(yield func(int) bool) {
				for i := range source {
					if !yield(i) {
						return
					}
				}
			}, trivial, concurrent.Limit(limit)) {
				if got := time.Since(began); err != nil || got != want {
					t.Errorf("got a result after %v, %v, want %v", got, err, want)
				}
				want += time.Minute
			}
		})
	}
}

// However the loop is left, nothing is left running. synctest would report it.
func TestStreamLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(n int) bool
	}{
		{"break", func(int) bool { return false }},
		{"panic", func(int) bool { explode("body"); return true }},
		{"Goexit", func(int) bool { runtime.Goexit(); return true }},
	} {
		for _, limit := range []int{1, 5} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := &endless{t: t, limit: 1 << 60}
					var running atomic.Int64
					var recovered any
					var caller sync.WaitGroup
					caller.Go(func() {
						defer func() {
							recovered = recover()
							if running.Load() != 0 || e.running.Load() {
								t.Errorf("%d functions run, sequence runs: %v", running.Load(),
									e.running.Load())
							}
						}()
						for n, err := range concurrent.Stream(t.Context(), e.all,
							func(ctx context.Context, n int) (int, error) {
								running.Add(1)
								defer running.Add(-1)
								if n <= 3 {
									return n, nil
								}
								<-ctx.Done()
								time.Sleep(time.Second / 2) // not at once
								return n, ctx.Err()
							}, concurrent.Limit(limit)) {
							if err != nil {
								t.Errorf("got %v", err)
							}
							if n == 3 && !c.leave(n) {
								break
							}
						}
					})
					caller.Wait()
					if want := map[string]any{"panic": "body"}[c.name]; recovered != want {
						t.Errorf("recovered %v, want %v", recovered, want)
					}
				})
			})
		}
	}
}

func TestStreamError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		var last error
		for n, err := range concurrent.Stream(t.Context(), slices.Values(numbers(100)),
			func(ctx context.Context, n int) (int, error) {
				if n == 5 {
					time.Sleep(time.Millisecond)
					return 7, errItem
				}
				if n > 5 {
					<-ctx.Done()
					return 7, ctx.Err()
				}
				time.Sleep(time.Second) // deaf: comes back after the error, successfully
				return n, nil
			}, concurrent.Limit(8)) {
			if last != nil {
				t.Error("the loop goes on after an error")
			}
			if err != nil {
				last = err
				continue
			}
			got = append(got, n)
		}
		if !slices.Equal(got, numbers(5)) {
			t.Errorf("got %v, want those before the error", got)
		}
		if item, ok := last.(*concurrent.ItemError); !ok || item.Index != 5 || item.Err != errItem {
			t.Errorf("got %v, want item 5 with %v", last, errItem)
		}
	})
}

func TestStreamKeepGoing(t *testing.T) {
	var got []int
	for n, err := range concurrent.Stream(t.Context(), slices.Values(numbers(6)),
		func(_ context.Context, n int) (int, error) {
			if n%2 == 1 {
				return 7, errItem
			}
			return n, nil
		}, concurrent.KeepGoing()) {
		if item, ok := err.(*concurrent.ItemError); err != nil &&
			(!ok || item.Index != len(got) || n != 0 || item.Err != errItem) {
			t.Errorf("got %v, %v at %d", n, err, len(got))
		}
		got = append(got, n)
	}
	if want := []int{0, 0, 2, 0, 4, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestStreamContextOver(t *testing.T) {
	cause := errors.New("client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	count := 0
	for n, err := range concurrent.Stream(ctx,
		func(func(int) bool) { t.Error("the sequence was touched") }, trivial) {
		count++
		if n != 0 || !isEnd(err, context.Canceled, cause) {
			t.Errorf("got %v, %v, want 0, %v", n, err, cause)
		}
	}
	if count != 1 {
		t.Errorf("got %d rounds, want 1", count)
	}
	for range concurrent.Stream(ctx, slices.Values(numbers(1)), trivial) {
		break // and no second round
	}
}

func TestStreamTimeout(t *testing.T) {
	for _, c := range []struct {
		name    string
		items   int
		results int
		want    error
	}{
		{"more items", 9, 4, concurrent.ErrTimeout},
		// The sequence had no more items, and all came through. The same instant counts as in time.
		{"last items", 4, 4, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				results := 0
				var last error
				for _, err := range concurrent.Stream(t.Context(), slices.Values(numbers(c.items)),
					func(_ context.Context, n int) (int, error) {
						time.Sleep(time.Second)
						return n, nil
					}, concurrent.Limit(2), concurrent.Timeout(1500*time.Millisecond)) {
					if last = err; err == nil {
						results++
					}
				}
				if results != c.results || last != c.want {
					t.Errorf("got %d results and %v, want %d and %v", results, last, c.results,
						c.want)
				}
			})
		})
	}
}

// A cursor that ends because its context did looks like one that has come to its end. The loop must
// not take the half for the whole.
func TestStreamSequenceEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var results int
		var last error
		for _, err := range concurrent.Stream(ctx, func(yield func(int) bool) {
			for i := range 3 {
				if !yield(i) {
					return
				}
			}
			<-ctx.Done()
		}, trivial) {
			if last = err; err == nil {
				results++
			}
		}
		if results != 3 || last != context.DeadlineExceeded {
			t.Errorf("got %d results and %v, want 3 and %v", results, last,
				context.DeadlineExceeded)
		}
	})
}

func TestStreamRangedTwice(t *testing.T) {
	stream := concurrent.Stream(t.Context(), slices.Values(numbers(50)), trivial)
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			count := 0
			for n, err := range stream {
				if err != nil || n != 2*count {
					t.Errorf("got %d, %v, want %d", n, err, 2*count)
				}
				count++
			}
			if count != 50 {
				t.Errorf("got %d results, want 50", count)
			}
		})
	}
	loops.Wait()
}

func TestStreamEmpty(t *testing.T) {
	for range concurrent.Stream(t.Context(), slices.Values[[]int](nil), trivial) {
		t.Error("got a round")
	}
}

// The sequence is the caller's code just as fn is.
func TestStreamSequencePanics(t *testing.T) {
	waits := func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	for _, c := range []struct {
		name string
		opt  concurrent.Option
		fn   func(context.Context, int) (int, error)
	}{
		{"limit 1", concurrent.Limit(1), trivial},
		{"limit 4", concurrent.Limit(4), waits},
		{"abandon", concurrent.Abandon(), waits},
		{"keep going", concurrent.KeepGoing(), waits},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := caught(func() {
					for range concurrent.Stream(t.Context(), func(yield func(int) bool) {
						for i := range 3 {
							if !yield(i) {
								return
							}
						}
						explode(errItem)
					}, c.fn, c.opt) {
					}
				})
				if p, ok := got.(*concurrent.PanicError); !ok || p.Index != 3 ||
					!errors.Is(p, errItem) {
					t.Errorf("got %v, want the sequence's panic at item 3", got)
				}
			})
		})
	}
}

func TestStreamSequenceExits(t *testing.T) {
	for _, opt := range []concurrent.Option{concurrent.Limit(1), concurrent.Limit(4),
		concurrent.Abandon(), concurrent.KeepGoing()} {
		synctest.Test(t, func(t *testing.T) {
			returned := false
			var caller sync.WaitGroup
			caller.Go(func() {
				for range concurrent.Stream(t.Context(), func(yield func(int) bool) {
					yield(0)
					runtime.Goexit()
				}, trivial, opt) {
				}
				returned = true
			})
			caller.Wait()
			if returned {
				t.Error("the caller's goroutine did not end")
			}
		})
	}
}

// A panic that came to be while the loop was being left is not lost; one of the loop body goes
// first.
func TestStreamPanicWhileLeaving(t *testing.T) {
	for _, body := range []string{"break", "panic"} {
		synctest.Test(t, func(t *testing.T) {
			got := caught(func() {
				for range concurrent.Stream(t.Context(), slices.Values(numbers(5)),
					func(ctx context.Context, n int) (int, error) {
						if n > 0 {
							<-ctx.Done()
							explode("while leaving")
						}
						return n, nil
					}) {
					synctest.Wait() // all five have started
					if body == "panic" {
						explode("body")
					}
					break
				}
			})
			p, ok := got.(*concurrent.PanicError)
			if body == "break" && (!ok || p.Value != "while leaving") || body == "panic" &&
				got != "body" {
				t.Errorf("%s: got %v", body, got)
			}
		})
	}
}

// Neither a deaf function nor a deaf sequence holds the loop up, nor does leaving it.
func TestStreamAbandon(t *testing.T) {
	for _, c := range []struct {
		name  string
		fn    func(context.Context, int) (int, error)
		items iter.Seq[int]
		leave bool
		want  error
	}{
		{name: "deaf function", items: slices.Values(numbers(30)), want: concurrent.ErrTimeout,
			fn: func(_ context.Context, n int) (int, error) {
				time.Sleep(time.Hour)
				return n, nil
			}},
		{name: "deaf sequence", fn: trivial, want: concurrent.ErrTimeout,
			items: func(yield func(int) bool) { yield(0); time.Sleep(time.Hour); yield(1) }},
		{name: "left", leave: true, items: slices.Values(numbers(30)),
			fn: func(_ context.Context, n int) (int, error) {
				time.Sleep(time.Duration(n) * time.Hour)
				return n, nil
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var last error
				var calls atomic.Int64
				for _, err := range concurrent.Stream(t.Context(), c.items,
					func(ctx context.Context, n int) (int, error) {
						calls.Add(1)
						return c.fn(ctx, n)
					}, concurrent.Abandon(), concurrent.Timeout(time.Second), concurrent.Limit(3)) {
					if last = err; c.leave {
						break
					}
				}
				got := time.Since(began)
				if want := time.Second * b2d(!c.leave); last != c.want || got != want {
					t.Errorf("got %v after %v, want %v after %v", last, got, c.want, want)
				}
				synctest.Wait()
				before := calls.Load()
				time.Sleep(100 * time.Hour) // the stragglers end
				if calls.Load() != before {
					t.Error("items started after the loop had ended")
				}
			})
		})
	}
}

// What has come through by the time the context ends is still yielded, also with Abandon.
func TestStreamAbandonYieldsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		for n, err := range concurrent.Stream(t.Context(), slices.Values(numbers(8)), trivial,
			concurrent.Abandon(), concurrent.Timeout(time.Second), concurrent.Limit(9)) {
			if err != nil {
				t.Errorf("got %v", err)
			}
			time.Sleep(2 * time.Second)
			got = append(got, n/2)
		}
		if !slices.Equal(got, numbers(8)) {
			t.Errorf("got %v, want all results", got)
		}
	})
}

// When nothing more is wanted of it, the sequence is asked for nothing more; when only the context
// has ended, once, to learn whether an item is missed.
func TestStreamStopsAskingTheSequence(t *testing.T) {
	cause := errors.New("client has gone")
	for _, c := range []struct {
		name   string
		end    func(cancel context.CancelCauseFunc) error
		pulled int64
	}{
		{"error", func(context.CancelCauseFunc) error { return errItem }, 2},
		{"panic", func(context.CancelCauseFunc) error { explode(errItem); return nil }, 2},
		{"Goexit", func(context.CancelCauseFunc) error { runtime.Goexit(); return nil }, 2},
		{"cancelled", func(cancel context.CancelCauseFunc) error { cancel(cause); return nil }, 3},
	} {
		for _, limit := range []int{2, 9} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancelCause(t.Context())
					var pulled atomic.Int64
					var caller sync.WaitGroup
					caller.Go(func() {
						defer func() { recover() }()
						for range concurrent.Stream(ctx, func(yield func(int) bool) {
							for i := range 100 {
								pulled.Add(1)
								if !yield(i) {
									return
								}
								if i == 1 {
									time.Sleep(time.Minute) // meanwhile item 1 ends it all
								}
							}
						}, func(_ context.Context, n int) (int, error) {
							switch n {
							case 0:
								time.Sleep(time.Hour) // deaf: keeps the loop waiting
							case 1:
								time.Sleep(time.Second)
								return 0, c.end(cancel)
							}
							return n, nil
						}, concurrent.Limit(limit)) {
						}
					})
					caller.Wait()
					time.Sleep(2 * time.Hour) // what a panic did not wait for
					want := c.pulled
					if limit > 2 {
						want = 3 // it was already looking for the next one
					}
					if got := pulled.Load(); got > want {
						t.Errorf("limit %d: got %d items pulled, want at most %d", limit, got, want)
					}
				})
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

func TestStreamIsLeftInAnyWay(t *testing.T) {
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
		for _, opts := range [][]concurrent.Option{{concurrent.Limit(1)}, {concurrent.Limit(2)},
			{concurrent.Limit(4)}, {concurrent.Limit(4), concurrent.Abandon()},
			{concurrent.Limit(4), concurrent.KeepGoing()}} {
			synctest.Test(t, func(t *testing.T) {
				var given int
				var running atomic.Int32
				seq := concurrent.Stream(t.Context(), guarded(&given),
					func(ctx context.Context, i int) (int, error) {
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

// Sequences that misbehave: they go on after being told to stop, panic or leave while they clean
// up.
func TestStreamBadSequence(t *testing.T) {
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
						for range concurrent.Stream(t.Context(), seq,
							func(ctx context.Context, i int) (int, error) {
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
				if _, ok := v.(*concurrent.PanicError); !abandon && !ok || goexit ||
					calls > limit { // as the range statement does
					t.Errorf("deaf: %v, %v, %d calls", v, goexit, calls)
				}
				v, goexit, _ = run(bitter)
				if p, ok := v.(*concurrent.PanicError); !abandon &&
					(!ok || goexit || p.Value != "while cleaning up" ||
						!strings.Contains(string(p.Stack), "explode")) {
					t.Errorf("bitter: %v, %v", v, goexit)
				}
				if v, goexit, _ := run(gone); !abandon && (v != nil || !goexit) {
					t.Errorf("gone: %v, %v", v, goexit)
				}
			})
		}
	}
}

func TestNestedStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := concurrent.Map(t.Context(), numbers(20),
			func(ctx context.Context, i int) ([]int, error) {
				inner := concurrent.Stream(ctx, naturals,
					func(ctx context.Context, j int) (int, error) {
						rs, err := concurrent.Map(ctx, numbers(3),
							func(ctx context.Context, k int) (int, error) {
								return i*100 + j*10 + k,
									wait(ctx, time.Duration(k)*time.Millisecond)
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
				}, func(ctx context.Context, v int) (int, error) { return v, nil },
					concurrent.Limit(2))
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

// An item that did not come through leaves no trace in the loop, least of all the result of an
// earlier one.
func TestStreamYieldsOnlyResults(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { explode("in fn") },
		"Goexit": runtime.Goexit} {
		for _, limit := range []int{1, 2, 3} {
			synctest.Test(t, func(t *testing.T) {
				var got []int
				ended(func() {
					for v, err := range concurrent.Stream(t.Context(), naturals,
						func(_ context.Context, i int) (int, error) {
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

// A cancellation at any moment, also between two steps of the stream, ends it, with nothing made
// up.
func TestStreamCancelledAnywhere(t *testing.T) {
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
		for v, err := range concurrent.Stream(ctx, naturals,
			func(_ context.Context, i int) (int, error) {
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
func TestStreamGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	most := 0
	for v, err := range concurrent.Stream(t.Context(), naturals,
		func(_ context.Context, i int) (int, error) {
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
