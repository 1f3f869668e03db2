package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gracekit/gracekit/concurrent"
)

// counter is a budget that knows how many run at the same time.
type counter struct {
	*semaphore.Weighted
	size          int64
	running, peak atomic.Int64
	out           atomic.Int64 // tokens
}

func newCounter(size int64) *counter {
	return &counter{Weighted: semaphore.NewWeighted(size), size: size}
}

func (c *counter) Acquire(ctx context.Context, n int64) error {
	err := c.Weighted.Acquire(ctx, n)
	if err == nil {
		c.out.Add(n)
	}
	return err
}

func (c *counter) Release(n int64) { c.out.Add(-n); c.Weighted.Release(n) }

// enter is called by an item that begins, the result when it ends.
func (c *counter) enter() (leave func()) {
	now := c.running.Add(1)
	for old := c.peak.Load(); now > old && !c.peak.CompareAndSwap(old, now); old = c.peak.Load() {
	}
	return func() { c.running.Add(-1) }
}

func (c *counter) check(t *testing.T) {
	t.Helper()
	if got := c.peak.Load(); got > c.size {
		t.Errorf("got %d at the same time, want at most %d", got, c.size)
	}
	if got := c.out.Load(); got != 0 {
		t.Errorf("got %d tokens that did not come back", got)
	}
}

// 100 requests that each fan out to 16: never more than 32 queries at once, and as many as that.
func TestBudgetIsSharedByCalls(t *testing.T) {
	for _, abandon := range []concurrent.Option{nil, concurrent.Abandon()} {
		synctest.Test(t, func(t *testing.T) {
			budget := newCounter(32)
			query := func(ctx context.Context, _ int) (int, error) {
				defer budget.enter()()
				return 0, wait(ctx, time.Second)
			}
			began := time.Now()
			var requests sync.WaitGroup
			for i := range 100 {
				requests.Go(func() {
					var err error
					if i%2 == 0 {
						_, err = concurrent.Map(t.Context(), numbers(16), query,
							concurrent.Budget(budget), abandon)
					} else {
						err = drain(concurrent.Stream(t.Context(), slices.Values(numbers(16)),
							query, concurrent.Budget(budget), abandon))
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			requests.Wait()
			budget.check(t)
			if took := time.Since(began); took != 50*time.Second {
				t.Errorf("1,600 seconds of work on 32 tokens took %v, want 50s", took)
			}
		})
	}
}

// A call inside of an item runs on the item's token, however many of them and however deep: with a
// budget of one, too. What runs is counted at the leaves: whoever waits for a call does not run.
func TestBudgetNestedCallsGetOn(t *testing.T) {
	for _, size := range []int64{1, 2, 3} {
		for _, limit := range []int{1, 2, 8} {
			synctest.Test(t, func(t *testing.T) {
				budget := newCounter(size)
				opts := []concurrent.Option{concurrent.Budget(budget), concurrent.Limit(limit)}
				var leaves atomic.Int64
				leaf := func(ctx context.Context, _ int) (int, error) {
					defer budget.enter()()
					leaves.Add(1)
					return 0, wait(ctx, time.Millisecond)
				}
				middle := func(ctx context.Context, n int) (int, error) {
					if n%2 == 0 {
						return 0, drain(concurrent.Stream(ctx, slices.Values(numbers(3)), leaf,
							opts...))
					}
					_, err := concurrent.Map(ctx, numbers(3), leaf, opts...)
					return 0, err
				}
				_, err := concurrent.Map(t.Context(), numbers(5),
					func(ctx context.Context, _ int) (int, error) {
						var siblings sync.WaitGroup // two calls inside of one item at the same time
						for range 2 {
							siblings.Go(func() {
								if _, err := concurrent.Map(ctx, numbers(4), middle,
									opts...); err != nil {
									t.Error(err)
								}
							})
						}
						siblings.Wait()
						return 0, nil
					}, opts...)
				if err != nil || leaves.Load() != 5*2*4*3 {
					t.Errorf("got %v after %d leaves", err, leaves.Load())
				}
				budget.check(t)
			})
		}
	}
}

// Calls inside of an item that wait for each other do not wait for the item's one token, if there
// are others.
func TestBudgetSiblingsMayWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := newCounter(2)
		err := concurrent.ForEach(t.Context(), numbers(1), func(ctx context.Context, _ int) error {
			passed := make(chan int)
			var siblings sync.WaitGroup
			for _, item := range []func(){func() { passed <- 1 }, func() { <-passed }} {
				siblings.Go(func() {
					if err := concurrent.ForEach(ctx, numbers(1),
						func(context.Context, int) error { item(); return nil },
						concurrent.Budget(budget)); err != nil {
						t.Error(err)
					}
				})
			}
			siblings.Wait()
			return nil
		}, concurrent.Budget(budget))
		if err != nil {
			t.Error(err)
		}
		budget.check(t)
	})
}

// Of two budgets, each is found through a call with the other.
func TestBudgetOfTwoKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queries, files := newCounter(1), newCounter(1)
		nest := func(b *counter, fn func(context.Context, int) error) func(context.Context,
			int) error {
			return func(ctx context.Context, _ int) error {
				return concurrent.ForEach(ctx, numbers(3), fn, concurrent.Budget(b))
			}
		}
		leaf := func(ctx context.Context, _ int) error {
			defer queries.enter()()
			return wait(ctx, time.Second)
		}
		err := nest(queries, nest(files, nest(queries,
			nest(files, nest(queries, leaf)))))(t.Context(), 0)
		if err != nil {
			t.Error(err)
		}
		queries.check(t)
		files.check(t)
	})
}

// Waiting for a token ends with the context, and no item has run then.
func TestBudgetWaitingEndsWithTheContext(t *testing.T) {
	gone := errors.New("client has gone")
	synctest.Test(t, func(t *testing.T) {
		budget := newCounter(1)
		if err := budget.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		fn := func(context.Context, int) (int, error) { t.Error("fn called"); return 0, nil }
		_, mapped := concurrent.Map(ctx, numbers(9), fn, concurrent.Budget(budget))
		streamed := drain(concurrent.Stream(ctx, naturals, fn, concurrent.Budget(budget)))
		for _, err := range []error{mapped, streamed} {
			if !isEnd(err, context.Canceled, gone) {
				t.Errorf("got %v, want %v", err, gone)
			}
		}
		budget.Release(1)
		budget.check(t)
	})
}

// A worker that waits for a token does not hold up a call whose items have all been run.
func TestBudgetNobodyWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := newCounter(2)
		if err := budget.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := concurrent.ForEach(t.Context(), numbers(10), func(context.Context, int) error {
			time.Sleep(time.Second)
			return nil
		}, concurrent.Budget(budget)); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %v, want 10s on the one token that was there", took)
		}
		budget.Release(1)
		budget.check(t)
	})
}

// Items that take long give their token back after each, so that other calls have their turn.
func TestBudgetTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := newCounter(1)
		var order []string
		var both sync.WaitGroup
		for _, name := range []string{"a", "b"} {
			both.Go(func() {
				if err := concurrent.ForEach(t.Context(), numbers(5),
					func(context.Context, int) error {
						order = append(order, name)
						time.Sleep(time.Second)
						return nil
					}, concurrent.Budget(budget), concurrent.Limit(1)); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if got := strings.Join(order, ""); got != "ababababab" && got != "bababababa" {
			t.Errorf("got order %s, want turns", got)
		}
	})
}

// What Abandon leaves behind still does its work, and still has its token.
func TestBudgetCountsWhatIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := newCounter(2)
		deaf := func(context.Context, int) (int, error) {
			defer budget.enter()()
			time.Sleep(time.Hour)
			return 0, nil
		}
		opts := []concurrent.Option{concurrent.Budget(budget), concurrent.Abandon(),
			concurrent.ItemTimeout(time.Second)}
		began := time.Now()
		for range 3 {
			_, err := concurrent.Map(t.Context(), numbers(2), deaf,
				append(opts, concurrent.KeepGoing())...)
			if !errors.Is(err, concurrent.ErrTimeout) {
				t.Errorf("got %v, want a time-out", err)
			}
		}
		if err := drain(concurrent.Stream(t.Context(), naturals, deaf, opts...)); !errors.Is(err,
			concurrent.ErrTimeout) {
			t.Errorf("got %v, want a time-out", err)
		}
		if took := time.Since(began); took < 3*time.Hour {
			t.Errorf("took %v, want the wait for those left behind", took)
		}
		time.Sleep(2 * time.Hour)
		budget.check(t)
	})
}

// However an item ends, its token comes back.
func TestBudgetTokensComeBack(t *testing.T) {
	for name, end := range map[string]func() error{
		"error":  func() error { return errItem },
		"panic":  func() error { explode("in fn"); return nil },
		"Goexit": func() error { runtime.Goexit(); return nil },
	} {
		for _, opt := range []concurrent.Option{nil, concurrent.KeepGoing(), concurrent.Abandon(),
			concurrent.Limit(1)} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					budget := newCounter(3)
					opts := []concurrent.Option{opt, concurrent.Budget(budget)}
					fn := func(_ context.Context, n int) (int, error) {
						if n%5 == 3 {
							return 0, end()
						}
						return n, nil
					}
					ended(func() { concurrent.Map(t.Context(), numbers(20), fn, opts...) })
					ended(func() {
						drain(concurrent.Stream(t.Context(), slices.Values(numbers(20)),
							fn, opts...))
					})
					synctest.Wait()
					budget.check(t)
				})
			})
		}
	}
}

// badBudget fails, panics, or ends its goroutine.
type badBudget struct{ acquire func() error }

func (b *badBudget) Acquire(context.Context, int64) error { return b.acquire() }
func (b *badBudget) Release(int64)                        {}

func TestBudgetThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("redis is down")
		fn := func(context.Context, int) (int, error) { t.Error("fn called"); return 0, nil }
		opt := concurrent.Budget(&badBudget{func() error { return full }})
		_, mapped := concurrent.Map(t.Context(), numbers(3), fn, opt, concurrent.Limit(1))
		streamed := drain(concurrent.Stream(t.Context(), naturals, fn, opt, concurrent.Limit(1)))
		for _, err := range []error{mapped, streamed} {
			if want := "item 0: concurrent: Budget: redis is down"; err == nil ||
				err.Error() != want || !errors.Is(err, full) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		_, err := concurrent.Map(t.Context(), numbers(3), fn, opt, concurrent.KeepGoing())
		if want := strings.ReplaceAll("item 0: X\nitem 1: X\nitem 2: X", "X",
			"concurrent: Budget: redis is down"); err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	})
}

// A panic of the budget is one of the call's, also where a call inside of an item asks for a token
// in a goroutine of its own.
func TestBudgetThatPanics(t *testing.T) {
	for name, acquire := range map[string]func() error{
		"panic":  func() error { explode("budget"); return nil },
		"Goexit": func() error { runtime.Goexit(); return nil },
	} {
		for _, nested := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				bad := &badBudget{acquire: acquire}
				opt := concurrent.Budget(bad)
				run := func(ctx context.Context) {
					concurrent.ForEach(ctx, numbers(3),
						func(context.Context, int) error { return nil }, opt)
				}
				v, exited := ended(func() {
					if !nested {
						run(t.Context())
						return
					}
					bad.acquire = func() error { return nil }
					concurrent.ForEach(t.Context(), numbers(1),
						func(ctx context.Context, _ int) error {
							bad.acquire = acquire
							hold, sibling := make(chan struct{}), make(chan struct{})
							go func() { // takes the item's own token
								defer close(sibling)
								concurrent.ForEach(ctx, numbers(1),
									func(context.Context, int) error { <-hold; return nil }, opt)
							}()
							synctest.Wait()
							defer func() { close(hold); <-sibling }()
							run(ctx)
							return nil
						}, opt)
				})
				p, ok := v.(*concurrent.PanicError)
				if exited != (name == "Goexit") || !exited &&
					(!ok || !strings.Contains(p.Error(), "explode")) {
					t.Errorf("%s, nested: %v: got %v, exited: %v", name, nested, v, exited)
				}
			})
		}
	}
}

// A token that is held only as long as an item runs is not lent by what the item left behind.
func TestBudgetItemIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := newCounter(1)
		var left context.Context
		if err := concurrent.ForEach(t.Context(), numbers(1),
			func(ctx context.Context, _ int) error {
				left = context.WithoutCancel(ctx)
				return nil
			}, concurrent.Budget(budget)); err != nil {
			t.Error(err)
		}
		if err := budget.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(left, time.Second)
		defer cancel()
		err := concurrent.ForEach(ctx, numbers(1), func(context.Context, int) error {
			t.Error("ran without a token")
			return nil
		}, concurrent.Budget(budget))
		if err != context.DeadlineExceeded {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		budget.Release(1)
		budget.check(t)
	})
}

// Printing the context does not read what goroutines write.
func TestBudgetContextCanBePrinted(t *testing.T) {
	if err := concurrent.ForEach(context.Background(), numbers(50),
		func(ctx context.Context, _ int) error {
			if got := fmt.Sprint(ctx); !strings.HasSuffix(got, ".WithBudget") {
				return errors.New(got)
			}
			return nil
		}, concurrent.Budget(newCounter(3))); err != nil {
		t.Error(err)
	}
}
