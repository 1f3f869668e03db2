package concurrent_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/gracekit/gracekit/concurrent"
)

// At most 10 allocations whatever the number of items, also when all workers come to be.
func TestAllocations(t *testing.T) {
	var arrived atomic.Int64
	together := func(_ context.Context, n int) (int, error) {
		if n < 8 { // no worker gets a second item before there are eight
			arrived.Add(1)
			for arrived.Load()%8 != 0 {
				runtime.Gosched()
			}
		}
		return n, nil
	}
	for _, n := range []int{100, 1_000, 10_000} {
		items := numbers(n)
		for name, fn := range map[string]func(context.Context, int) (int,
			error){"one worker": trivial, "eight workers": together} {
			got := leastAllocs(func() {
				if _, err := concurrent.Map(t.Context(), items, fn,
					concurrent.Limit(8)); err != nil {
					t.Fatal(err)
				}
			})
			t.Logf("%d items, %s: %v allocations", n, name, got)
			if got > 10 {
				t.Errorf("%d items, %s: got %v allocations, want at most 10", n, name, got)
			}
		}
	}
}

// A Budget costs some for the call and two for each worker, and nothing for an item.
func TestBudgetAllocations(t *testing.T) {
	budget := concurrent.Budget(semaphore.NewWeighted(32))
	for _, n := range []int{100, 10_000} {
		items := numbers(n)
		got := leastAllocs(func() {
			if _, err := concurrent.Map(t.Context(), items, trivial, concurrent.Limit(8),
				budget); err != nil {
				t.Fatal(err)
			}
		})
		if t.Logf("%d items: %v allocations", n, got); got > 10+6+2*8 {
			t.Errorf("%d items: got %v allocations, want at most 32", n, got)
		}
	}
}

// The least of several measurements: the runtime allocates, too, now and then, for a goroutine that
// waits for a lock.
func leastAllocs(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 4 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}
