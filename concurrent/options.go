package concurrent

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"time"
)

// DefaultLimit is how many items run at the same time when neither [Limit] nor [Unlimited] is
// given. 16 overlaps I/O without exhausting a typical connection pool.
const DefaultLimit = 16

// An Option changes how [Map], [ForEach] and [Stream] work. A nil Option is skipped. Of two that
// contradict each other, the later one counts.
type Option interface{ apply(*config) }

type config struct {
	limit       int
	budget      budget        // nil: none
	timeout     time.Duration // 0: none
	itemTimeout time.Duration // 0: none
	keepGoing   bool
	abandon     bool
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

func newConfig(opts []Option) config {
	c := config{limit: DefaultLimit}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	return c
}

// Limit lets at most n items run at the same time. The default is [DefaultLimit]. It panics if n is
// not positive; for no limit at all there is [Unlimited].
func Limit(n int) Option {
	if n <= 0 {
		panic(fmt.Sprintf("concurrent: Limit(%d): must be positive; for no limit use Unlimited()",
			n))
	}
	return optionFunc(func(c *config) { c.limit = n })
}

// Unlimited lets all items run at the same time, which takes a goroutine for each. [Stream] panics
// with it: a look-ahead without a bound would hold the whole sequence.
func Unlimited() Option {
	return optionFunc(func(c *config) { c.limit = math.MaxInt })
}

// Budget is a limit that calls share: an item runs only while its worker has a token of b. So 100
// requests that each fan out to 16 run at most as many items at the same time as the budget has
// tokens. golang.org/x/sync/semaphore's NewWeighted makes one. The limit of the call itself holds
// as well.
//
// Waiting for a token ends with the context. Workers keep theirs for a few dozen small items, but
// not much longer than a millisecond, and a function that [Abandon] leaves behind has its token
// until it ends.
//
// A call that is made inside of an item with the same budget cannot wait for that item: it runs one
// worker at a time on the item's own token. For this it has to get the item's context. Items that
// wait for each other need a budget that has a token for each.
//
// It panics if b is nil, or cannot be compared by ==, as a pointer can.
func Budget(b interface {
	Acquire(ctx context.Context, n int64) error
	Release(n int64)
}) Option {
	if v := reflect.ValueOf(b); b == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("concurrent: Budget(nil): must be a semaphore")
	} else if !v.Comparable() {
		panic(fmt.Sprintf("concurrent: Budget(%T): must be comparable, such as a pointer", b))
	}
	return optionFunc(func(c *config) { c.budget = b })
}

// Timeout is for the whole call: it ends the context of all items with [ErrTimeout] as its cause, d
// after the call began (for [Stream]: after the range loop began). For the time of one item there
// is [ItemTimeout]. The default is no time-out but what the caller's context has; of two deadlines
// the earlier one ends the call, the caller's with its own cause. It panics if d is not positive.
func Timeout(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("concurrent: Timeout(%v): must be positive", d))
	}
	return optionFunc(func(c *config) { c.timeout = d })
}

// ItemTimeout is for each single item: it ends the context of that item with [ErrTimeout] as its
// cause, d after fn was called for it. Waiting for a worker or for the [Budget] does not count. The
// item's error is what fn returns then, usually context.DeadlineExceeded; with [Abandon] an error
// that wraps ErrTimeout, also if fn ignores its context. It panics if d is not positive.
func ItemTimeout(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("concurrent: ItemTimeout(%v): must be positive", d))
	}
	return optionFunc(func(c *config) { c.itemTimeout = d })
}

// KeepGoing runs all items even if some fail. [Map] then returns the results together with the
// errors of all items that have none, joined in the order of the items; [Stream] yields each item's
// error in its place. The text of the joined error ends after some 20 lines and says how many more
// items there are; all of them are in what it wraps. A panic, a time-out of the call and the end of
// the caller's context still stop the call.
func KeepGoing() Option {
	return optionFunc(func(c *config) { c.keepGoing = true })
}

// Abandon does not wait for functions that ignore their context: the call returns at the first
// error, panic, time-out or cancellation; with [KeepGoing], at any of these but an error. No item
// starts after that. With [ItemTimeout] it also gives up on a single item that ignores its
// time-out, and with KeepGoing the others go on. Functions still running finish in the background,
// block on nothing, and write nowhere the caller can see, unless the caller's own code gives them
// the place. With [Stream] all this also holds for a sequence that is still looking for its next
// item, and for a loop that is left early.
//
// The result of such a straggler is discarded, and so is its panic: there is no caller left in
// whose goroutine it could continue, and one late function shall not end the whole program. A
// function whose late panic must be seen recovers it itself.
//
// It takes a goroutine for each item. Use it for functions that cannot be cancelled, and see to it
// that they end: each straggler holds its goroutine until it does. The methods of a [Budget] are
// waited for all the same.
func Abandon() Option {
	return optionFunc(func(c *config) { c.abandon = true })
}
