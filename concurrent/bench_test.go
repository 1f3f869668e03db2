package concurrent_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/gracekit/gracekit/concurrent"
)

func BenchmarkMap(b *testing.B) {
	works := []struct {
		name  string
		fn    func(context.Context, int) (int, error)
		sizes []int
	}{
		{"trivial", trivial, []int{100, 1_000, 100_000}},
		{"1ms", slow, []int{100, 1_000, 100_000}},
	}
	for _, w := range works {
		for _, n := range w.sizes {
			items := numbers(n)
			for _, limit := range []int{1, 8, 16} {
				b.Run(fmt.Sprintf("work=%s/items=%d/limit=%d", w.name, n, limit),
					func(b *testing.B) {
						b.ReportAllocs()
						for b.Loop() {
							if _, err := concurrent.Map(ctx, items, w.fn,
								concurrent.Limit(limit)); err != nil {
								b.Fatal(err)
							}
						}
					})
			}
		}
	}
}

// BenchmarkBudget is 1,000 trivial items, the worst that can be asked of a budget: with it they
// should take at most 1.5 times as long.
func BenchmarkBudget(b *testing.B) {
	items := numbers(1_000)
	for _, limit := range []int{8, 16} {
		for _, budget := range []struct {
			name string
			opt  concurrent.Option
		}{
			{"none", nil},
			{"32", concurrent.Budget(semaphore.NewWeighted(32))},
			{"2", concurrent.Budget(semaphore.NewWeighted(2))},
		} {
			b.Run(fmt.Sprintf("limit=%d/budget=%s", limit, budget.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := concurrent.Map(ctx, items, trivial, concurrent.Limit(limit),
						budget.opt); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkTemplate is what most services have instead, in its simplest right form: a goroutine per
// item and a WaitGroup. It has no limit and no context, and runs all items after an error.
func BenchmarkTemplate(b *testing.B) {
	for _, n := range []int{100, 1_000, 100_000} {
		items := numbers(n)
		b.Run(fmt.Sprintf("work=trivial/items=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var wg sync.WaitGroup
				results, errs := make([]int, n), make([]error, n)
				for i, item := range items {
					wg.Go(func() { results[i], errs[i] = trivial(ctx, item) })
				}
				wg.Wait()
				for _, err := range errs {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	for _, limit := range []int{1, 8, 16} {
		b.Run(fmt.Sprintf("work=trivial/items=1000/limit=%d", limit), func(b *testing.B) {
			b.ReportAllocs()
			items := numbers(1_000)
			for b.Loop() {
				for _, err := range concurrent.Stream(ctx, slices.Values(items), trivial,
					concurrent.Limit(limit)) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
