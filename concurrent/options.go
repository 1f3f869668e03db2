package concurrent

import (
	"fmt"
	"math"
	"time"
)

// DefaultLimit is how many items run at the same time when neither [Limit] nor [Unlimited] is
// given. Sixteen keeps a page of rows short of waiting and a connection pool short of exhausted.
const DefaultLimit = 16

// An Option changes how [Map], [ForEach] and [Stream] work. A nil Option is skipped. Of two
// that contradict each other, the later one counts.
type Option interface{ apply(*config) }

type config struct {
	limit     int
	timeout   time.Duration // 0: none
	keepGoing bool
	abandon   bool
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

// Limit lets at most n items run at the same time. The default is [DefaultLimit]. It panics if
// n is not positive; for no limit at all there is [Unlimited].
func Limit(n int) Option {
	if n <= 0 {
		panic(fmt.Sprintf("concurrent: Limit(%d): must be positive; for no limit use Unlimited()", n))
	}
	return optionFunc(func(c *config) { c.limit = n })
}

// Unlimited lets all items run at the same time, which takes a goroutine for each. [Stream]
// panics with it: a look-ahead without a bound would hold the whole sequence.
func Unlimited() Option {
	return optionFunc(func(c *config) { c.limit = math.MaxInt })
}

// Timeout ends the context of the items with [ErrTimeout] as its cause, d after the call began
// (for [Stream]: after the range loop began). The default is no time-out but what the caller's
// context has; of two deadlines the earlier one ends the call, the caller's with its own cause.
// It panics if d is not positive.
func Timeout(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("concurrent: Timeout(%v): must be positive", d))
	}
	return optionFunc(func(c *config) { c.timeout = d })
}

// KeepGoing runs all items even if some fail. [Map] then returns the results together with the
// errors of all items that have none, joined in the order of the items; [Stream] yields each
// item's error in its place. A panic, a time-out and the end of the caller's context still stop
// the call.
func KeepGoing() Option {
	return optionFunc(func(c *config) { c.keepGoing = true })
}

// Abandon does not wait for functions that ignore their context: the call returns at the first
// error, panic, time-out or cancellation; with [KeepGoing], at any of these but an error. No item
// starts after that. Those still running finish in the background, block on nothing, and write
// nowhere the caller can see, unless the caller's own code gives them the place. With [Stream] all
// this also holds for a sequence that is still looking for its next item, and for a loop that is
// left early.
//
// What such a straggler returns is discarded, and so is its panic: nobody is left to whom it
// could continue, and one late function shall not end the whole program. A function whose late
// panic must be seen recovers it itself.
//
// With Abandon the functions never run in the caller's goroutine, and [Map] works on a copy of the
// slice of items. Use it for functions that cannot be cancelled, and see to it that they end: each
// straggler holds its goroutine until it does.
func Abandon() Option {
	return optionFunc(func(c *config) { c.abandon = true })
}
