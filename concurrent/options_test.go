package concurrent_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gracekit/gracekit/concurrent"
)

func TestBadArguments(t *testing.T) {
	var none context.Context
	for _, c := range []struct {
		name string
		call func()
		want string
	}{
		{"Limit 0", func() { concurrent.Limit(0) },
			"concurrent: Limit(0): must be positive; for no limit use Unlimited()"},
		{"Limit -3", func() { concurrent.Limit(-3) },
			"concurrent: Limit(-3): must be positive; for no limit use Unlimited()"},
		{"Timeout 0", func() { concurrent.Timeout(0) },
			"concurrent: Timeout(0s): must be positive"},
		{"Timeout -1s", func() { concurrent.Timeout(-time.Second) },
			"concurrent: Timeout(-1s): must be positive"},
		{"ItemTimeout 0", func() { concurrent.ItemTimeout(0) },
			"concurrent: ItemTimeout(0s): must be positive"},
		{"ItemTimeout -1s", func() { concurrent.ItemTimeout(-time.Second) },
			"concurrent: ItemTimeout(-1s): must be positive"},
		{"Budget nil", func() { concurrent.Budget(nil) },
			"concurrent: Budget(nil): must be a semaphore"},
		{"Budget nil pointer", func() { concurrent.Budget((*semaphore.Weighted)(nil)) },
			"concurrent: Budget(nil): must be a semaphore"},
		{"Budget without ==", func() { concurrent.Budget(slicesBudget{}) },
			"concurrent: Budget(concurrent_test.slicesBudget): must be comparable, such as a pointer"},
		{"Map nil context", func() { concurrent.Map(none, nil, trivial) },
			"concurrent: the context is nil"},
		{"Stream nil context", func() { concurrent.Stream(none, slices.Values(numbers(1)), trivial) },
			"concurrent: the context is nil"},
		{"Map nil fn", func() { concurrent.Map[int, int](t.Context(), nil, nil) },
			"concurrent: Map: fn is nil"},
		{"ForEach nil fn", func() { concurrent.ForEach[int](t.Context(), nil, nil) },
			"concurrent: ForEach: fn is nil"},
		{"Stream nil fn", func() {
			concurrent.Stream[int, int](t.Context(),
				slices.Values(numbers(1)), nil)
		}, "concurrent: Stream: fn is nil"},
		{"Stream nil items", func() { concurrent.Stream(t.Context(), nil, trivial) },
			"concurrent: Stream: items is nil"},
		{"Stream Unlimited", func() {
			concurrent.Stream(t.Context(), slices.Values(numbers(1)), trivial,
				concurrent.Unlimited())
		}, "concurrent: Stream: Unlimited() has no bound for the look-ahead; use Limit(n)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("got panic %v, want %v", got, c.want)
				}
			}()
			c.call()
			t.Error("no panic")
		})
	}
}

type slicesBudget struct{ _ []badBudget }

func (slicesBudget) Acquire(context.Context, int64) error { return nil }
func (slicesBudget) Release(int64)                        {}
