package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gracekit/gracekit/concurrent"
)

func TestMapKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := numbers(100)
		for _, opts := range [][]concurrent.Option{
			nil,
			{concurrent.Limit(1)},
			{concurrent.Limit(3)},
			{concurrent.Unlimited()},
			{concurrent.Abandon()},
			{concurrent.KeepGoing()},
			{concurrent.KeepGoing(), concurrent.Abandon(), concurrent.Timeout(time.Hour)},
			{nil, concurrent.Limit(1000)},
		} {
			got, err := concurrent.Map(t.Context(), items,
				func(_ context.Context, n int) (string, error) {
					time.Sleep(time.Duration(100-n) * time.Millisecond) // the last ones are ready first
					return fmt.Sprint(n), nil
				}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range got {
				if s != fmt.Sprint(i) {
					t.Errorf("got %q at %d", s, i)
				}
			}
		}
	})
}

func TestMapNoItems(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), over} {
		for _, items := range [][]int{nil, {}} {
			got, err := concurrent.Map(ctx, items, func(context.Context, int) (int, error) {
				t.Error("fn called")
				return 0, nil
			}, concurrent.Abandon())
			if got == nil || len(got) != 0 || err != nil {
				t.Errorf("got %#v, %v, want an empty result that is not nil", got, err)
			}
		}
	}
}

func TestDefaultLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := concurrent.ForEach(t.Context(), numbers(concurrent.DefaultLimit+1),
			func(context.Context, int) error {
				time.Sleep(time.Second)
				return nil
			}); err != nil {
			t.Error(err)
		}
		if got := time.Since(began); got != 2*time.Second {
			t.Errorf("one item more than the limit took %v, want 2s", got)
		}
	})
}

func TestUnlimitedStartsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := concurrent.ForEach(t.Context(), numbers(1000), func(context.Context, int) error {
			time.Sleep(time.Second)
			return nil
		}, concurrent.Limit(2), concurrent.Unlimited()); err != nil {
			t.Error(err)
		}
		if got := time.Since(began); got != time.Second {
			t.Errorf("took %v, want 1s", got)
		}
	})
}

// The classic template and most libraries run the other 999.
func TestErrorStopsNewItems(t *testing.T) {
	for _, limit := range []int{1, 2, 8} {
		t.Run(fmt.Sprint("limit=", limit), func(t *testing.T) {
			var calls atomic.Int64
			got, err := concurrent.Map(t.Context(), numbers(1000),
				func(ctx context.Context, n int) (int, error) {
					calls.Add(1)
					if n == 0 {
						return 1, errItem
					}
					<-ctx.Done()
					return 1, ctx.Err()
				}, concurrent.Limit(limit))
			if item, ok := errors.AsType[*concurrent.ItemError](err); !ok || item.Index != 0 ||
				item.Err != errItem || got != nil {
				t.Errorf("got %v, %v, want nil and the error of item 0", got, err)
			}
			if n := calls.Load(); n > int64(limit) {
				t.Errorf("got %d calls, want at most %d", n, limit)
			}
		})
	}
}

// Items that take no notice of their context: those that run are waited for, no other starts.
func TestErrorWaitsForTheRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var calls, running atomic.Int64
		err := concurrent.ForEach(t.Context(), numbers(1000), func(_ context.Context, n int) error {
			calls.Add(1)
			running.Add(1)
			defer running.Add(-1)
			time.Sleep(time.Second)
			if n == 0 {
				return errItem
			}
			time.Sleep(time.Minute)
			return nil
		}, concurrent.Limit(8))
		if !errors.Is(err, errItem) || calls.Load() != 8 || running.Load() != 0 ||
			time.Since(began) != 61*time.Second {
			t.Errorf("got %v after %d calls and %v, %d running; want the item's error after 8 calls and 1m1s, none running",
				err, calls.Load(), time.Since(began), running.Load())
		}
	})
}

// The error is not hidden by "context canceled" of the items that were cancelled because of it, in
// whatever order they come back.
func TestOwnCancelNeverMasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for failing := range 8 {
			err := concurrent.ForEach(t.Context(), numbers(8),
				func(ctx context.Context, n int) error {
					if n == failing {
						time.Sleep(time.Second)
						return errItem
					}
					<-ctx.Done()
					if cause, ok := context.Cause(ctx).(*concurrent.ItemError); !ok ||
						cause.Index != failing {
						t.Errorf("got cause %v in fn, want that of item %d", cause, failing)
					}
					return ctx.Err()
				})
			want := concurrent.ItemError{Index: failing, Err: errItem}
			if item, ok := err.(*concurrent.ItemError); !ok || *item != want {
				t.Errorf("got %v, want %v", err, &want)
			}
		}
	})
}

// Without any cancellation "context canceled" is an error like any other.
func TestItemsOwnCanceledIsReal(t *testing.T) {
	for _, own := range []error{context.Canceled, context.DeadlineExceeded} {
		err := concurrent.ForEach(t.Context(), numbers(3), func(_ context.Context, n int) error {
			if n == 1 {
				return own
			}
			return nil
		}, concurrent.Limit(1))
		item, ok := err.(*concurrent.ItemError)
		if !ok || item.Index != 1 || item.Err != own || errors.Is(err, concurrent.ErrTimeout) {
			t.Errorf("got %v, want item 1 with %v", err, own)
		}
	}
}

func TestContextOverRunsNothing(t *testing.T) {
	cause := errors.New("server is stopping")
	caused, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	plain, cancelPlain := context.WithCancel(t.Context())
	cancelPlain()
	late, cancelLate := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelLate()

	for _, c := range []struct {
		name string
		ctx  context.Context
		want error
	}{
		{"cause", caused, cause},
		{"cancelled", plain, context.Canceled},
		{"deadline", late, context.DeadlineExceeded},
	} {
		for _, opts := range [][]concurrent.Option{
			{}, {concurrent.Limit(1)}, {concurrent.Abandon()}, {concurrent.Timeout(time.Second)},
			{concurrent.Unlimited()},
		} {
			got, err := concurrent.Map(c.ctx, numbers(100),
				func(context.Context, int) (int, error) {
					t.Errorf("%s: fn called", c.name)
					return 0, nil
				}, opts...)
			if got != nil || !isEnd(err, c.ctx.Err(), c.want) {
				t.Errorf("%s: got %v, %v, want nil, %v", c.name, got, err, c.want)
			}
		}
		got, err := concurrent.Map(c.ctx, numbers(100), trivial, concurrent.KeepGoing())
		if len(got) != 100 || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, %v, want 100 results and %v", c.name, got, err, c.want)
		}
	}
}

func TestParentCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("client has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		var calls atomic.Int64
		err := concurrent.ForEach(ctx, numbers(100), func(ctx context.Context, _ int) error {
			calls.Add(1)
			<-ctx.Done()
			return fmt.Errorf("query: %w", ctx.Err())
		}, concurrent.Limit(4))
		if !isEnd(err, context.Canceled, cause) || calls.Load() != 4 {
			t.Errorf("got %v after %d calls, want %v after 4", err, calls.Load(), cause)
		}
	})
}

// ItemTimeout is for each item, not for the call, and not for the time that it waits for a worker.
func TestItemTimeout(t *testing.T) {
	for _, limit := range []int{1, 2, 8} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			got, err := concurrent.Map(t.Context(), numbers(8),
				func(ctx context.Context, n int) (int, error) {
					if n != 5 {
						return n, wait(ctx, time.Second)
					}
					<-ctx.Done()
					if context.Cause(ctx) != concurrent.ErrTimeout {
						t.Errorf("got cause %v, want ErrTimeout", context.Cause(ctx))
					}
					return 0, ctx.Err()
				}, concurrent.ItemTimeout(2*time.Second), concurrent.KeepGoing(),
				concurrent.Limit(limit))
			if want := "item 5: context deadline exceeded"; err == nil || err.Error() != want {
				t.Errorf("limit %d: got %v, want %q", limit, err, want)
			}
			if want := []int{0, 1, 2, 3, 4, 0, 6, 7}; !slices.Equal(got, want) {
				t.Errorf("limit %d: got %v, want %v", limit, got, want)
			}
			if took := time.Since(began); limit == 1 && took != 9*time.Second {
				t.Errorf("took %v, want 9s", took)
			}
		})
	}
}

// lateContext is over before its Done channel says so.
type lateContext struct{ context.Context }

func (lateContext) Done() <-chan struct{} { return make(chan struct{}) }

// A function that uses the caller's context instead of its own may come back before Map's own
// context has heard of the end.
func TestFunctionUsesCallersContext(t *testing.T) {
	cause := errors.New("client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := concurrent.ForEach(lateContext{ctx}, numbers(8), func(context.Context, int) error {
		cancel(cause)
		return ctx.Err()
	})
	if !isEnd(err, context.Canceled, cause) {
		t.Fatalf("got %v, want %v", err, cause)
	}
}

// Neither what the context says nor its cause is lost, whoever ended it.
func TestTheCallersEndHasErrorAndCause(t *testing.T) {
	gone := errors.New("client has gone")
	synctest.Test(t, func(t *testing.T) {
		caused, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		late, stop := context.WithTimeoutCause(t.Context(), time.Nanosecond, gone)
		defer stop()
		time.Sleep(time.Second)
		for _, c := range []struct {
			ctx  context.Context
			says error
			text string
		}{
			{caused, context.Canceled, "context canceled: client has gone"},
			{late, context.DeadlineExceeded, "context deadline exceeded: client has gone"},
		} {
			_, keeping := concurrent.Map(c.ctx, numbers(3), trivial, concurrent.KeepGoing())
			_, plain := concurrent.Map(c.ctx, numbers(3), trivial)
			streamed := drain(concurrent.Stream(c.ctx, naturals, trivial))
			for _, err := range []error{keeping, plain, streamed} {
				if !isEnd(err, c.says, gone) || err != keeping && err.Error() != c.text {
					t.Errorf("got %v, want %v", err, c.text)
				}
			}
		}
	})
}

// A call inside of an item whose call has failed says that it was cancelled, and because of what.
func TestTheEndOfACallAroundHasErrorAndCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inner error
		err := concurrent.ForEach(t.Context(), numbers(2), func(ctx context.Context, n int) error {
			if n == 0 {
				time.Sleep(time.Second)
				return errItem
			}
			inner = concurrent.ForEach(ctx, numbers(2), func(ctx context.Context, _ int) error {
				<-ctx.Done()
				return ctx.Err()
			})
			return inner
		})
		if want := "item 0: item failed"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		if !isEnd(inner, context.Canceled, errItem) {
			t.Errorf("got %v inside, want Canceled and the error of the outer item", inner)
		}
	})
}

func TestTimeout(t *testing.T) {
	cause := errors.New("the caller's own deadline")
	for _, c := range []struct {
		name          string
		mine, callers time.Duration
		want          error
	}{
		{"mine", 2 * time.Second, 0, concurrent.ErrTimeout},
		{"mine first", 2 * time.Second, 3 * time.Second, concurrent.ErrTimeout},
		{"caller's first", 3 * time.Second, 2 * time.Second, cause},
		{"caller's", 0, 2 * time.Second, cause},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.callers != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, c.callers, cause)
					defer cancel()
				}
				var opts []concurrent.Option
				if c.mine != 0 {
					opts = append(opts, concurrent.Timeout(c.mine))
				}
				began := time.Now()
				got, err := concurrent.Map(ctx, numbers(50),
					func(ctx context.Context, _ int) (int, error) {
						if deadline, ok := ctx.Deadline(); !ok ||
							deadline.Sub(began) != 2*time.Second {
							t.Errorf("got deadline %v in fn, want 2s after the start",
								deadline.Sub(began))
						}
						<-ctx.Done()
						if ctx.Err() != context.DeadlineExceeded {
							t.Errorf("got %v in fn, want DeadlineExceeded", ctx.Err())
						}
						return 0, ctx.Err()
					}, opts...)
				if got != nil || !isEnd(err, context.DeadlineExceeded, c.want) ||
					time.Since(began) != 2*time.Second {
					t.Errorf("got %v, %v after %v, want nil, %v after 2s", got, err,
						time.Since(began), c.want)
				}
			})
		})
	}
	if !errors.Is(concurrent.ErrTimeout, context.DeadlineExceeded) ||
		errors.Is(concurrent.ErrTimeout, context.Canceled) {
		t.Error("ErrTimeout is not a DeadlineExceeded")
	}
	if timeout, ok := concurrent.ErrTimeout.(interface{ Timeout() bool }); !ok ||
		!timeout.Timeout() {
		t.Error("ErrTimeout does not say that it is a time-out")
	}
}

// What has succeeded is not thrown away because it was late.
func TestSuccessDespiteTheEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration
		lasts   time.Duration
	}{
		{"same instant", time.Second, time.Second},
		{"late", time.Second, time.Minute},
	} {
		for _, keep := range []concurrent.Option{nil, concurrent.KeepGoing()} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					got, err := concurrent.Map(t.Context(), numbers(8),
						func(_ context.Context, n int) (int, error) {
							time.Sleep(c.lasts)
							return n, nil
						}, concurrent.Limit(8), concurrent.Timeout(c.timeout), keep)
					if err != nil || !slices.Equal(got, numbers(8)) {
						t.Errorf("got %v, %v, want all results", got, err)
					}
				})
			})
		}
	}
}

func TestKeepGoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := errors.New("another failure")
		got, err := concurrent.Map(t.Context(), numbers(6),
			func(ctx context.Context, n int) (int, error) {
				time.Sleep(time.Duration(10-n) * time.Second) // errors arrive backwards
				if ctx.Err() != nil {
					t.Errorf("context of item %d is over: %v", n, ctx.Err())
				}
				switch n {
				case 1:
					return 7, errItem
				case 4:
					return 7, other
				}
				return n, nil
			}, concurrent.KeepGoing(), concurrent.Limit(3))
		if want := []int{0, 0, 2, 3, 0, 5}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if !errors.Is(err, errItem) || !errors.Is(err, other) {
			t.Errorf("got %v, want both errors in it", err)
		}
		if want := "item 1: item failed\nitem 4: another failure"; err.Error() != want {
			t.Errorf("got text %q, want %q", err, want)
		}
		if first, ok := errors.AsType[*concurrent.ItemError](err); !ok || first.Index != 1 {
			t.Errorf("got first item error %v, want item 1", first)
		}
	})
}

func TestKeepGoingTimeout(t *testing.T) {
	for _, abandon := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var opt concurrent.Option
			if abandon {
				opt = concurrent.Abandon()
			}
			release := make(chan struct{})
			got, err := concurrent.Map(t.Context(), numbers(1000),
				func(ctx context.Context, n int) (int, error) {
					switch {
					case n == 1:
						return 0, errItem
					case n == 3 && abandon:
						<-release // deaf
						return n, nil
					case n >= 3 && n != 4:
						time.Sleep(time.Minute) // to come back after the one above is abandoned
						return 0, errors.New("connection reset")
					}
					return n, nil
				}, concurrent.KeepGoing(), concurrent.Limit(3), concurrent.Timeout(time.Second),
				opt)
			if len(got) != 1000 || got[2] != 2 {
				t.Errorf("got %d results, want 1000 with those that succeeded", len(got))
			}
			want := "concurrent: timed out\nitem 1: item failed\n" +
				"item 3: connection reset\nitem 5: connection reset\nitem 6: connection reset\n" +
				"items 7 to 999: not run: concurrent: timed out"
			if abandon {
				want = "concurrent: timed out\nitem 1: item failed\n" +
					"item 3: abandoned: concurrent: timed out\nitems 5 to 6: abandoned: concurrent: timed out\n" +
					"items 7 to 999: not run: concurrent: timed out"
			}
			if err.Error() != want {
				t.Errorf("got text\n%v\nwant\n%v", err, want)
			}
			if !errors.Is(err, concurrent.ErrTimeout) || !errors.Is(err, errItem) {
				t.Errorf("got %v, want both in it", err)
			}
			failed := map[int]error{}
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				if item, ok := e.(*concurrent.ItemError); ok {
					failed[item.Index] = item.Err
				}
			}
			if len(failed) != 997 || !errors.Is(failed[999], concurrent.ErrTimeout) {
				t.Errorf("got %d items with an error, want one for each of the 997 without a result", len(failed))
			}
			before := slices.Clone(got)
			close(release)
			time.Sleep(time.Hour)
			if !slices.Equal(got, before) {
				t.Error("a straggler wrote into the results")
			}
		})
	}
}

func TestNested(t *testing.T) {
	for _, limit := range []int{1, 2, 16} {
		sums, err := concurrent.Map(t.Context(), numbers(20),
			func(ctx context.Context, n int) (int, error) {
				inner, err := concurrent.Map(ctx, numbers(20), trivial, concurrent.Limit(limit))
				return n + len(inner), err
			}, concurrent.Limit(limit))
		if err != nil || len(sums) != 20 || sums[19] != 39 {
			t.Errorf("got %v, %v", sums, err)
		}
	}
}

// The error of an item of the inner call names both items.
func TestNestedError(t *testing.T) {
	err := concurrent.ForEach(t.Context(), numbers(4), func(ctx context.Context, n int) error {
		return concurrent.ForEach(ctx, numbers(4), func(_ context.Context, m int) error {
			if n == 2 && m == 1 {
				return errItem
			}
			return nil
		}, concurrent.Limit(1))
	}, concurrent.Limit(1))
	if want := "item 2: item 1: item failed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// Limit(1) and a single item do without another goroutine: what fn does to its goroutine, it does
// to the caller's.
func TestInline(t *testing.T) {
	for _, c := range []struct {
		name  string
		items int
		opt   concurrent.Option
	}{{"limit 1", 5, concurrent.Limit(1)}, {"one item", 1, nil}} {
		t.Run(c.name, func(t *testing.T) {
			before := goroutineID()
			if err := concurrent.ForEach(t.Context(), numbers(c.items),
				func(context.Context, int) error {
					if got := goroutineID(); got != before {
						t.Errorf("got goroutine %s, want the caller's, %s", got, before)
					}
					return nil
				}, c.opt); err != nil {
				t.Error(err)
			}
		})
	}
}

// The context of fn is over when Map returns, so nothing that fn left behind on it stays.
func TestContextEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []context.Context
		for _, opt := range []concurrent.Option{nil, concurrent.Limit(1), concurrent.Abandon(),
			concurrent.Timeout(time.Hour)} {
			if err := concurrent.ForEach(t.Context(), numbers(3),
				func(ctx context.Context, _ int) error {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, ctx)
					return nil
				}, opt); err != nil {
				t.Error(err)
			}
		}
		for _, ctx := range seen {
			if ctx.Err() == nil {
				t.Error("context is not over")
			}
		}
	})
}

// An error that is an item's own, in the very moment in which the caller gives up: one of the two,
// whole.
func TestErrorAndCancelAtTheSameMoment(t *testing.T) {
	cause := errors.New("the caller gave up")
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			_, err := concurrent.Map(ctx, numbers(4),
				func(ctx context.Context, i int) (int, error) {
					if i == 3 {
						time.Sleep(time.Second)
						return 0, errItem
					}
					return 0, wait(ctx, time.Hour)
				})
			var item *concurrent.ItemError
			switch {
			case errors.Is(err, cause) && errors.Is(err, context.Canceled):
			case errors.As(err, &item) && item.Index == 3 && item.Err == errItem:
			default:
				t.Errorf("got %v", err)
			}
		})
	}
}

// The error is what makes the caller cancel: it came first and stays.
func TestErrorThatMakesTheCallerCancel(t *testing.T) {
	for _, opts := range [][]concurrent.Option{nil, {concurrent.Abandon()}, {concurrent.Limit(2)}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := concurrent.Map(ctx, numbers(4),
				func(ctx context.Context, i int) (int, error) {
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

// A call leaves nothing at its caller's context, nor a timer: the caller may make many on one
// context.
func TestContextIsReleased(t *testing.T) {
	for name, opts := range map[string][]concurrent.Option{
		"plain": nil, "time-out": {concurrent.Timeout(time.Hour)},
		"abandon": {concurrent.Abandon(), concurrent.Timeout(time.Hour)},
	} {
		parent := &registry{Context: context.Background(), done: make(chan struct{})}
		if _, err := concurrent.Map(parent, numbers(9), trivial, opts...); err != nil {
			t.Error(err)
		}
		for range concurrent.Stream(parent, naturals, trivial, opts...) {
			break
		}
		ended(func() {
			concurrent.Map(parent, numbers(9),
				func(context.Context, int) (int, error) { panic("in fn") }, opts...)
		})
		if n := parent.waiting.Load(); n != 0 {
			t.Errorf("%s: %d contexts still wait for the end of the parent", name, n)
		}
	}
}

// A deadline that came after the last failure and kept no item from its end is not among the
// errors.
func TestKeepGoingHarmlessDeadline(t *testing.T) {
	for _, opt := range []concurrent.Option{nil, concurrent.Limit(9)} {
		synctest.Test(t, func(t *testing.T) {
			got, err := concurrent.Map(t.Context(), numbers(2),
				func(_ context.Context, i int) (int, error) {
					if i == 0 {
						return 0, errItem
					}
					time.Sleep(time.Minute)
					return i, nil
				}, concurrent.KeepGoing(), concurrent.Timeout(time.Second), opt)
			if len(got) != 2 || got[1] != 1 || !errors.Is(err, errItem) ||
				errors.Is(err, concurrent.ErrTimeout) {
				t.Errorf("got %v, %v, want item 0 alone to have failed", got, err)
			}
		})
	}
}

// Package net has a timer of its own for the deadline of a context. It may fire first.
func TestTimeoutOfTheNetworkIsNoItemError(t *testing.T) {
	atDeadline := func(ctx context.Context, i int) (int, error) {
		deadline, _ := ctx.Deadline()
		time.Sleep(time.Until(deadline))
		return i, os.ErrDeadlineExceeded
	}
	cause := errors.New("the caller's own deadline")
	for _, keepGoing := range []concurrent.Option{nil, concurrent.KeepGoing()} {
		synctest.Test(t, func(t *testing.T) {
			for range 100 {
				_, err := concurrent.Map(t.Context(), numbers(3), atDeadline,
					concurrent.Timeout(time.Second), keepGoing)
				if !errors.Is(err, concurrent.ErrTimeout) {
					t.Fatalf("Map: got %v, want ErrTimeout", err)
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
				for _, e := range concurrent.Stream(ctx, slices.Values(numbers(3)), atDeadline,
					keepGoing) {
					err = e
				}
				cancel()
				if !isEnd(err, context.DeadlineExceeded, cause) {
					t.Fatalf("Stream: got %v, want the caller's deadline", err)
				}
			}
		})
	}
}
