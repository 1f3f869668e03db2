package concurrent_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gracekit/gracekit/concurrent"
)

// endless is an infinite sequence that knows whether it is being iterated, and how far it got.
type endless struct {
	t       *testing.T
	pulled  atomic.Int64
	handed  atomic.Int64 // set by the test
	limit   int64
	running atomic.Bool
	ended   atomic.Int64
}

func (e *endless) all(yield func(int) bool) {
	if e.running.Swap(true) {
		e.t.Error("iterated from two goroutines at once")
	}
	defer e.ended.Add(1)
	defer e.running.Store(false)
	for i := 0; ; i++ {
		if held := e.pulled.Add(1) - e.handed.Load(); held > e.limit {
			e.t.Errorf("got %d items in work, want at most %d", held, e.limit)
		}
		if !yield(i) {
			return
		}
	}
}

func TestStreamHoldsAtMostLimit(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		synctest.Test(t, func(t *testing.T) {
			e := &endless{t: t, limit: int64(limit)}
			count := 0
			for n, err := range concurrent.Stream(t.Context(), e.all, func(_ context.Context, n int) (int, error) {
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
						t.Fatalf("got %d items pulled for a body at item %d, want %d", got, count-1, count-1+limit)
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
								t.Errorf("%d functions run, sequence runs: %v", running.Load(), e.running.Load())
							}
						}()
						for n, err := range concurrent.Stream(t.Context(), e.all, func(ctx context.Context, n int) (int, error) {
							running.Add(1)
							defer running.Add(-1)
							if n <= 3 {
								return n, nil
							}
							<-ctx.Done()
							time.Sleep(time.Second) // not at once
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
		for n, err := range concurrent.Stream(t.Context(), slices.Values(numbers(100)), func(ctx context.Context, n int) (int, error) {
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
	for n, err := range concurrent.Stream(t.Context(), slices.Values(numbers(6)), func(_ context.Context, n int) (int, error) {
		if n%2 == 1 {
			return 7, errItem
		}
		return n, nil
	}, concurrent.KeepGoing()) {
		if item, ok := err.(*concurrent.ItemError); err != nil && (!ok || item.Index != len(got) || n != 0 || item.Err != errItem) {
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
	for n, err := range concurrent.Stream(ctx, func(func(int) bool) { t.Error("the sequence was touched") }, trivial) {
		count++
		if n != 0 || err != cause {
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
				for _, err := range concurrent.Stream(t.Context(), slices.Values(numbers(c.items)), func(_ context.Context, n int) (int, error) {
					time.Sleep(time.Second)
					return n, nil
				}, concurrent.Limit(2), concurrent.Timeout(1500*time.Millisecond)) {
					if last = err; err == nil {
						results++
					}
				}
				if results != c.results || last != c.want {
					t.Errorf("got %d results and %v, want %d and %v", results, last, c.results, c.want)
				}
			})
		})
	}
}

// A cursor that ends because its context did looks like one that has come to its end. The loop
// must not take the half for the whole.
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
			t.Errorf("got %d results and %v, want 3 and %v", results, last, context.DeadlineExceeded)
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

func TestStreamPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endless{t: t, limit: 1 << 60}
		next, stop := iter.Pull2(concurrent.Stream(t.Context(), e.all, trivial))
		for i := range 10 {
			if n, err, ok := next(); n != 2*i || err != nil || !ok {
				t.Errorf("got %d, %v, %v, want %d", n, err, ok, 2*i)
			}
		}
		stop()
		if e.running.Load() {
			t.Error("the sequence still runs")
		}
	})
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
				if p, ok := got.(*concurrent.PanicError); !ok || p.Index != 3 || !errors.Is(p, errItem) {
					t.Errorf("got %v, want the sequence's panic at item 3", got)
				}
			})
		})
	}
}

func TestStreamSequenceExits(t *testing.T) {
	for _, opt := range []concurrent.Option{concurrent.Limit(1), concurrent.Limit(4), concurrent.Abandon(), concurrent.KeepGoing()} {
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

// A panic that came to be while the loop was being left is not lost; one of the loop body goes first.
func TestStreamPanicWhileLeaving(t *testing.T) {
	for _, body := range []string{"break", "panic"} {
		synctest.Test(t, func(t *testing.T) {
			got := caught(func() {
				for range concurrent.Stream(t.Context(), slices.Values(numbers(5)), func(ctx context.Context, n int) (int, error) {
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
			if body == "break" && (!ok || p.Value != "while leaving") || body == "panic" && got != "body" {
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
			fn: func(_ context.Context, n int) (int, error) { time.Sleep(time.Hour); return n, nil }},
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
				for _, err := range concurrent.Stream(t.Context(), c.items, func(ctx context.Context, n int) (int, error) {
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

// When nothing more is wanted of it, the sequence is asked for nothing more; when only the context has
// ended, once, to learn whether an item is missed.
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
