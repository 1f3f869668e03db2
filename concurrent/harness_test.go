package concurrent_test

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gracekit/gracekit/concurrent"
)

var errItem = errors.New("item failed")

var ctx = context.Background()

func numbers(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}

func trivial(_ context.Context, n int) (int, error) { return n * 2, nil }

func slow(_ context.Context, n int) (int, error) {
	time.Sleep(time.Millisecond)
	return n * 2, nil
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

// ended reports how f ended when run in its own goroutine: what it panicked with, or that it called
// Goexit.
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

// calls are all the ways to run fn for the items: inline, by workers, to be abandoned, on a budget,
// and as a stream.
var calls = []struct {
	name string
	run  func(ctx context.Context, fn func(context.Context, int) error) error
}{
	{"limit 1", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.Limit(1))
	}},
	{"single item", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(1), fn)
	}},
	{"workers", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn)
	}},
	{"keep going", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.KeepGoing())
	}},
	{"abandon", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.Abandon())
	}},
	{"abandon and keep going", func(ctx context.Context,
		fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.Abandon(), concurrent.KeepGoing())
	}},
	{"budget", func(ctx context.Context, fn func(context.Context, int) error) error {
		return concurrent.ForEach(ctx, numbers(8), fn, concurrent.Budget(semaphore.NewWeighted(8)))
	}},
	{"stream budget", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn),
			concurrent.Budget(semaphore.NewWeighted(8))))
	}},
	{"stream", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn)))
	}},
	{"stream limit 1", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn),
			concurrent.Limit(1)))
	}},
	{"stream abandon", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn),
			concurrent.Abandon()))
	}},
	{"stream keep going", func(ctx context.Context, fn func(context.Context, int) error) error {
		return drain(concurrent.Stream(ctx, slices.Values(numbers(8)), withResult(fn),
			concurrent.KeepGoing()))
	}},
}

func withResult(fn func(context.Context, int) error) func(context.Context, int) (int, error) {
	return func(ctx context.Context, n int) (int, error) { return n, fn(ctx, n) }
}

func drain(stream func(func(int, error) bool)) (err error) {
	for _, err = range stream {
	}
	return err
}

// caught returns what f panics with, or nil.
func caught(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

func explode(with any) { panic(with) }

// goroutineID is the first line of the stack up to the state.
func goroutineID() string {
	id, _, _ := strings.Cut(string(debug.Stack()), "[")
	return id
}

func b2d(b bool) time.Duration { return time.Duration(b2i(b)) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

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

// isEnd reports whether err is the end of a context that says so, because of cause.
func isEnd(err, says, cause error) bool { return errors.Is(err, says) && errors.Is(err, cause) }
