// Package peers runs the packages of gracekit beside the libraries people use for the same job.
//
//	go -C examples test -run '^$' -bench . -benchmem ./internal/peers
package peers

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"
	lop "github.com/samber/lo/parallel"
	"github.com/sourcegraph/conc/iter"
	concpool "github.com/sourcegraph/conc/pool"
	"github.com/zeromicro/go-zero/core/mr"
	"golang.org/x/sync/errgroup"

	"github.com/gracekit/gracekit/concurrent"
)

type mapFunc func(context.Context, int) (int, error)

// fanOuts are the ways to run fn for all items, limit at a time. Where a library has no results,
// no context or no errors of its own, its users' usual few lines stand in.
var fanOuts = []struct {
	name string
	run  func(ctx context.Context, items []int, limit int, fn mapFunc) ([]int, error)
}{
	{"gracekit", func(ctx context.Context, items []int, limit int, fn mapFunc) ([]int, error) {
		return concurrent.Map(ctx, items, fn, concurrent.Limit(limit))
	}},
	{"errgroup", func(ctx context.Context, items []int, limit int, fn mapFunc) ([]int, error) {
		results := make([]int, len(items))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(limit)
		for i, item := range items {
			g.Go(func() (err error) {
				results[i], err = fn(ctx, item)
				return err
			})
		}
		return results, g.Wait()
	}},
	{"conc-iter", func(ctx context.Context, items []int, limit int, fn mapFunc) ([]int, error) {
		return iter.Mapper[int, int]{MaxGoroutines: limit}.MapErr(items, func(item *int) (int, error) {
			return fn(ctx, *item)
		})
	}},
	{"conc-pool", func(ctx context.Context, items []int, limit int, fn mapFunc) ([]int, error) {
		p := concpool.NewWithResults[int]().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(limit)
		for _, item := range items {
			p.Go(func(ctx context.Context) (int, error) { return fn(ctx, item) })
		}
		return p.Wait() // in no particular order
	}},
	{"lo-parallel", func(ctx context.Context, items []int, _ int, fn mapFunc) ([]int, error) {
		var failure atomic.Pointer[error]
		results := lop.Map(items, func(item, _ int) int { // no limit
			result, err := fn(ctx, item)
			if err != nil {
				failure.CompareAndSwap(nil, &err)
			}
			return result
		})
		if err := failure.Load(); err != nil {
			return nil, *err
		}
		return results, nil
	}},
	{"go-zero-mr", func(ctx context.Context, items []int, limit int, fn mapFunc) ([]int, error) {
		type indexed struct{ i, result int }
		return mr.MapReduce(func(source chan<- int) {
			for i := range items {
				source <- i
			}
		}, func(i int, w mr.Writer[indexed], cancel func(error)) {
			result, err := fn(ctx, items[i])
			if err != nil {
				cancel(err)
				return
			}
			w.Write(indexed{i, result})
		}, func(pipe <-chan indexed, w mr.Writer[[]int], _ func(error)) {
			results := make([]int, len(items))
			for r := range pipe {
				results[r.i] = r.result
			}
			w.Write(results)
		}, mr.WithContext(ctx), mr.WithWorkers(limit))
	}},
	{"ants", func(ctx context.Context, items []int, limit int, fn mapFunc) ([]int, error) {
		pool, err := ants.NewPool(limit)
		if err != nil {
			return nil, err
		}
		defer pool.Release()
		results := make([]int, len(items))
		done := make(chan error, len(items))
		for i, item := range items {
			if err := pool.Submit(func() {
				var err error
				results[i], err = fn(ctx, item)
				done <- err
			}); err != nil {
				return nil, err
			}
		}
		for range items {
			err = errors.Join(err, <-done)
		}
		return results, err
	}},
	{"pond", func(ctx context.Context, items []int, limit int, fn mapFunc) ([]int, error) {
		pool := pond.NewResultPool[int](limit)
		defer pool.StopAndWait()
		group := pool.NewGroupContext(ctx)
		for _, item := range items {
			group.SubmitErr(func() (int, error) { return fn(ctx, item) })
		}
		return group.Wait()
	}},
}

func numbers(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}

// BenchmarkConcurrent is the overhead: the work takes no time.
func BenchmarkConcurrent(b *testing.B) {
	double := func(_ context.Context, n int) (int, error) { return 2 * n, nil }
	for _, n := range []int{100, 1_000, 100_000} {
		items := numbers(n)
		for _, limit := range []int{1, 8, 16} {
			for _, f := range fanOuts {
				b.Run(fmt.Sprintf("work=trivial/items=%d/limit=%d/%s", n, limit, f.name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := f.run(b.Context(), items, limit, double); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkConcurrentSlow is the use: the work is to wait for a millisecond.
func BenchmarkConcurrentSlow(b *testing.B) {
	wait := func(_ context.Context, n int) (int, error) {
		time.Sleep(time.Millisecond)
		return 2 * n, nil
	}
	for _, n := range []int{100, 1_000} {
		items := numbers(n)
		for _, limit := range []int{1, 8, 16} {
			for _, f := range fanOuts {
				b.Run(fmt.Sprintf("work=1ms/items=%d/limit=%d/%s", n, limit, f.name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := f.run(b.Context(), items, limit, wait); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkConcurrentError counts the calls of 1,000 that still run when the first item fails at once
// and every other one takes a millisecond: reported as calls/op, the failed one among them.
func BenchmarkConcurrentError(b *testing.B) {
	items := numbers(1_000)
	failure := errors.New("failure")
	for _, limit := range []int{1, 8} {
		for _, f := range fanOuts {
			b.Run(fmt.Sprintf("limit=%d/%s", limit, f.name), func(b *testing.B) {
				var calls atomic.Int64
				for b.Loop() {
					_, err := f.run(b.Context(), items, limit, func(_ context.Context, n int) (int, error) {
						calls.Add(1)
						if n == 0 {
							return 0, failure
						}
						time.Sleep(time.Millisecond)
						return n, nil
					})
					if !errors.Is(err, failure) {
						b.Fatalf("got %v, want %v", err, failure)
					}
				}
				b.ReportMetric(float64(calls.Load())/float64(b.N), "calls/op")
			})
		}
	}
}
