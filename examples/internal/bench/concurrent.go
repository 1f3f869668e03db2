package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// work is what is done for each item.
type work func(ctx context.Context, item int) (int, error)

var errItem = errors.New("item 0 fails")

func concurrentScenarios(context.Context, config, io.Writer) ([]scenario, error) {
	double := func(_ context.Context, n int) (int, error) { return 2 * n, nil }
	wait := func(_ context.Context, n int) (int, error) {
		time.Sleep(time.Millisecond)
		return 2 * n, nil
	}
	lacks := sync.OnceValue(func() [][]string { // it takes a while
		all := make([][]string, len(fanOuts))
		var wg sync.WaitGroup
		for i, f := range fanOuts {
			wg.Go(func() { all[i] = f.lacks() })
		}
		wg.Wait()
		return all
	})
	return []scenario{
		fanOut("10 items, no work, 8 at a time", 10, 8, double, lacks),
		fanOut("1000 items, no work, 8 at a time", 1_000, 8, double, lacks),
		fanOut("1000 items, no work, one at a time", 1_000, 1, double, lacks),
		fanOut("100 items of 1ms, 8 at a time", 100, 8, wait, lacks),
		callsAfterError("calls for 1000 items of 1ms, the first fails at once, 8 at a time", 1_000, 8),
		callsAfterError("calls for 100 items of 1ms, the first fails at once, one at a time", 100, 1),
	}, nil
}

func fanOut(name string, items, limit int, fn work, lacks func() [][]string) scenario {
	s := scenario{name: name, unit: nanoseconds}
	input := numbers(items)
	for i, f := range fanOuts {
		c := contestant{name: f.name, module: f.module, note: f.note, lacks: func() []string { return lacks()[i] }}
		c.unranked = f.unranked(items, limit)
		c.op = func() error {
			results, err := f.run(context.Background(), input, limit, fn)
			if err == nil && len(results) != items {
				err = fmt.Errorf("got %d results, want %d", len(results), items)
			}
			return err
		}
		c.check = func() error { return f.checkResults(limit) }
		s.contestants = append(s.contestants, c)
	}
	return s
}

// callsAfterError counts the calls that are made although the first item fails at once, that one
// among them.
func callsAfterError(name string, items, limit int) scenario {
	s := scenario{name: name, unit: calls}
	input := numbers(items)
	for _, f := range fanOuts {
		c := contestant{name: f.name, module: f.module, unranked: f.unranked(items, limit)}
		c.sample = func(ctx context.Context) (float64, error) {
			var called atomic.Int64
			_, err := f.run(ctx, input, limit, func(_ context.Context, n int) (int, error) {
				called.Add(1)
				if n == 0 {
					return 0, errItem
				}
				time.Sleep(time.Millisecond)
				return n, nil
			})
			if !errors.Is(err, errItem) {
				return 0, fmt.Errorf("got the error %v, want %w", err, errItem)
			}
			return float64(called.Load()), nil
		}
		s.contestants = append(s.contestants, c)
	}
	return s
}

func (f fanOutWay) unranked(items, limit int) string {
	if f.limited || limit >= items {
		return ""
	}
	return "all items at a time"
}

// checkResults holds it to what all of them promise: every item is done once, and an error of one
// comes back.
func (f fanOutWay) checkResults(limit int) error {
	items := numbers(100)
	results, err := f.run(context.Background(), items, limit, func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	if err != nil {
		return err
	}
	slices.Sort(results)
	for i, r := range results {
		if r != 2*i {
			return fmt.Errorf("result %d is %d, want %d", i, r, 2*i)
		}
	}
	if _, err = f.run(context.Background(), items, limit, func(_ context.Context, n int) (int, error) {
		if n == 0 {
			return 0, errItem
		}
		return n, nil
	}); !errors.Is(err, errItem) {
		return fmt.Errorf("got the error %v, want %w", err, errItem)
	}
	return nil
}

// lacks tries what not all of them promise.
func (f fanOutWay) lacks() (lacks []string) {
	const limit = 4
	var running, most atomic.Int64
	results, err := f.run(context.Background(), numbers(100), limit, func(_ context.Context, n int) (int, error) {
		now := running.Add(1)
		defer running.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		time.Sleep(time.Duration(100-n) * 50 * time.Microsecond) // the last are done first
		return n, nil
	})
	if err != nil || !slices.IsSorted(results) {
		lacks = append(lacks, "order")
	}
	if most.Load() > limit {
		lacks = append(lacks, "limit")
	}
	if !f.cancels() {
		lacks = append(lacks, "cancelling running items")
	}
	return lacks
}

// cancels reports whether the context of a running item ends when another one fails.
func (f fanOutWay) cancels() bool {
	var cancelled atomic.Bool
	running := make(chan struct{})
	_, _ = f.run(context.Background(), numbers(2), 2, func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			<-running
			return 0, errItem
		}
		close(running)
		select {
		case <-ctx.Done():
			cancelled.Store(true)
		case <-time.After(2 * time.Second): // otherwise it would never end; a busy machine needs much less
		}
		return n, nil
	})
	return cancelled.Load()
}

func numbers(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}
