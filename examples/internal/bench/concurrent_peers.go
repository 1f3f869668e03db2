package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"
	lop "github.com/samber/lo/parallel"
	"github.com/sourcegraph/conc/iter"
	concpool "github.com/sourcegraph/conc/pool"
	"github.com/zeromicro/go-zero/core/mr"
	"golang.org/x/sync/errgroup"

	"github.com/gracekit/gracekit/concurrent"
)

// A fanOutWay runs fn for all items, limit at a time, and returns the results.
type fanOutWay struct {
	name, module, note string
	limited            bool
	run                func(ctx context.Context, items []int, limit int, fn work) ([]int, error)
}

// Where a library has no results, no context or no errors of its own, its users' usual few lines
// stand in.
var fanOuts = []fanOutWay{
	{"gracekit concurrent.Map", gracekit, "", true, func(ctx context.Context, items []int, limit int, fn work) ([]int, error) {
		return concurrent.Map(ctx, items, fn, concurrent.Limit(limit))
	}},
	{"WaitGroup, sync.Map, channel of errors", "", "the template found in many services", false, template},
	{"errgroup", "golang.org/x/sync", "", true, func(ctx context.Context, items []int, limit int, fn work) ([]int, error) {
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
	{"conc iter.Mapper", "github.com/sourcegraph/conc", "", true, func(ctx context.Context, items []int, limit int, fn work) ([]int, error) {
		return iter.Mapper[int, int]{MaxGoroutines: limit}.MapErr(items, func(item *int) (int, error) {
			return fn(ctx, *item)
		})
	}},
	{"conc pool", "github.com/sourcegraph/conc", "", true, func(ctx context.Context, items []int, limit int, fn work) ([]int, error) {
		p := concpool.NewWithResults[int]().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(limit)
		for _, item := range items {
			p.Go(func(ctx context.Context) (int, error) { return fn(ctx, item) })
		}
		return p.Wait()
	}},
	{"lo/parallel", "github.com/samber/lo", "", false, loParallel},
	{"go-zero mr", "github.com/zeromicro/go-zero", "", true, mapReduce},
	{"ants", "github.com/panjf2000/ants/v2", "with its pool made and released", true, antsPool},
	{"pond", "github.com/alitto/pond/v2", "with its pool made and stopped", true, func(ctx context.Context, items []int, limit int, fn work) ([]int, error) {
		pool := pond.NewPool(limit) // a group of a ResultPool has no context for its tasks
		defer pool.StopAndWait()
		results := make([]int, len(items))
		group := pool.NewGroupContext(ctx)
		for i, item := range items {
			group.SubmitErr(func() (err error) {
				results[i], err = fn(group.Context(), item)
				return err
			})
		}
		return results, group.Wait()
	}},
}

// template is the classic one, with room for all errors: with a channel of one, as it is often
// found, goroutines leak.
func template(ctx context.Context, items []int, _ int, fn work) ([]int, error) {
	var wg sync.WaitGroup
	var m sync.Map
	errChan := make(chan error, len(items))
	for i, item := range items {
		wg.Go(func() {
			result, err := fn(ctx, item)
			if err != nil {
				errChan <- err
				return
			}
			m.Store(i, result)
		})
	}
	wg.Wait()
	select {
	case err := <-errChan:
		return nil, err
	default:
	}
	results := make([]int, len(items))
	for i := range items {
		result, _ := m.Load(i)
		results[i] = result.(int)
	}
	return results, nil
}

func loParallel(ctx context.Context, items []int, _ int, fn work) ([]int, error) {
	var failure atomic.Pointer[error]
	results := lop.Map(items, func(item, _ int) int {
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
}

func mapReduce(ctx context.Context, items []int, limit int, fn work) ([]int, error) {
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
}

func antsPool(ctx context.Context, items []int, limit int, fn work) ([]int, error) {
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
}
