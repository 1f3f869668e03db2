package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gracekit/gracekit/concurrent"
)

type User struct {
	Name     string
	Policies int
}

// countPolicies stands for a query.
func countPolicies(ctx context.Context, user string) (int, error) {
	counts := map[string]int{"colin": 3, "admin": 12, "guest": 0}
	n, ok := counts[user]
	if !ok {
		return 0, fmt.Errorf("no user %q", user)
	}
	return n, ctx.Err()
}

// A list endpoint: one page of users, and for each the number of its policies from elsewhere.
func ExampleMap() {
	ctx := context.Background() // of the request
	page := []string{"colin", "admin", "guest"}

	users, err := concurrent.Map(ctx, page, func(ctx context.Context, name string) (User, error) {
		n, err := countPolicies(ctx, name)
		if err != nil {
			return User{}, fmt.Errorf("count policies of %s: %w", name, err)
		}
		return User{Name: name, Policies: n}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, u := range users {
		fmt.Printf("%s: %d\n", u.Name, u.Policies)
	}
	// Output:
	// colin: 3
	// admin: 12
	// guest: 0
}

// The error says which item it was.
func ExampleItemError() {
	page := []string{"colin", "nobody", "guest"}
	_, err := concurrent.Map(context.Background(), page, countPolicies)
	fmt.Println(err)
	if item, ok := errors.AsType[*concurrent.ItemError](err); ok {
		fmt.Println("failed for", page[item.Index])
	}
	// Output:
	// item 1: no user "nobody"
	// failed for nobody
}

// Something is to be done for each, and nothing comes back.
func ExampleForEach() {
	flush := func(ctx context.Context, addr string) error {
		return ctx.Err() // ask the cache at addr
	}
	caches := []string{"cache-1", "cache-2", "cache-3"}
	err := concurrent.ForEach(context.Background(), caches, flush, concurrent.Limit(2))
	fmt.Println(err)
	// Output: <nil>
}

// One at a time, in the caller's goroutine: for a test, or a resource that bears no more.
func ExampleLimit() {
	total := 0
	err := concurrent.ForEach(context.Background(), []int{1, 2, 3},
		func(_ context.Context, n int) error {
			total += n
			return nil
		}, concurrent.Limit(1))
	fmt.Println(total, err)
	// Output: 6 <nil>
}

// The function gets a context that ends in time; what it returns then does not matter.
func ExampleTimeout() {
	replicas := []string{"a", "b", "c"}
	_, err := concurrent.Map(context.Background(), replicas,
		func(ctx context.Context, replica string) (int, error) {
			if replica == "b" { // does not answer
				<-ctx.Done()
				return 0, fmt.Errorf("dial %s: %w", replica, ctx.Err())
			}
			return 1, nil
		}, concurrent.Timeout(20*time.Millisecond))
	fmt.Println(err)
	fmt.Println(errors.Is(err, concurrent.ErrTimeout), errors.Is(err, context.DeadlineExceeded))
	// Output:
	// concurrent: timed out
	// true true
}

// Where the function needs the index, the indices are the items.
func ExampleForEach_index() {
	page := []string{"colin", "admin", "guest"}
	indices := make([]int, len(page))
	for i := range indices {
		indices[i] = i
	}
	rows := make([]string, len(page)) // each call writes to its own place
	err := concurrent.ForEach(context.Background(), indices,
		func(ctx context.Context, i int) error {
			n, err := countPolicies(ctx, page[i])
			rows[i] = fmt.Sprintf("%d. %s: %d", i+1, page[i], n)
			return err
		})
	fmt.Println(rows, err)
	// Output: [1. colin: 3 2. admin: 12 3. guest: 0] <nil>
}

// One replica that does not answer in time fails alone.
func ExampleItemTimeout() {
	replicas := []string{"a", "b", "c"}
	answers, err := concurrent.Map(context.Background(), replicas,
		func(ctx context.Context, replica string) (int, error) {
			if replica == "b" { // does not answer
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 1, nil
		}, concurrent.ItemTimeout(20*time.Millisecond), concurrent.KeepGoing())
	fmt.Println(answers, err)
	// Output: [1 0 1] item 1: context deadline exceeded
}

// All requests together make at most 2 queries at the same time, however many there are and however
// far each of them fans out.
func ExampleBudget() {
	queries := concurrent.Budget(semaphore.NewWeighted(2)) // once, beside the database
	var running, most atomic.Int64
	count := func(ctx context.Context, user string) (int, error) {
		if now := running.Add(1); now > most.Load() {
			most.Store(now)
		}
		defer running.Add(-1)
		time.Sleep(time.Millisecond)
		return countPolicies(ctx, user)
	}
	page := []string{"colin", "admin", "guest"}

	var requests sync.WaitGroup
	for range 10 {
		requests.Go(func() {
			if _, err := concurrent.Map(context.Background(), page, count, queries); err != nil {
				fmt.Println(err)
			}
		})
	}
	requests.Wait()
	fmt.Println(most.Load() <= 2)
	// Output: true
}

// What came through is used, what did not is named.
func ExampleKeepGoing() {
	page := []string{"colin", "nobody", "guest", "nemo"}
	counts, err := concurrent.Map(context.Background(), page, countPolicies, concurrent.KeepGoing())
	fmt.Println(counts)
	fmt.Println(err)
	// Output:
	// [3 0 0 0]
	// item 1: no user "nobody"
	// item 3: no user "nemo"
}

// A driver that cannot be interrupted does not hold up the request.
func ExampleAbandon() {
	hang := make(chan struct{})
	defer close(hang)
	_, err := concurrent.Map(context.Background(), []string{"legacy"},
		func(context.Context, string) (int, error) {
			<-hang // no context to heed
			return 0, nil
		}, concurrent.Timeout(20*time.Millisecond), concurrent.Abandon())
	fmt.Println(err)
	// Output: concurrent: timed out
}
