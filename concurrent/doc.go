// Package concurrent calls a function for each of many items, several at the same time, and ends
// when it should: [Map] returns the results in the order of the items, [ForEach] has none to
// return, and [Stream] takes a sequence of any length and yields the results as they come, in order
// too.
//
//	users, err := concurrent.Map(ctx, rows, func(ctx context.Context, row Row) (User, error) {
//		n, err := policies.Count(ctx, row.Name)
//		return User{Row: row, Policies: n}, err
//	})
//
// The first error stops the rest and is the one reported, with the index of its item. Cancellation
// and time-outs come back unchanged, panics continue where the caller can recover them, and
// when the call is back nothing of it still runs, unless [Abandon] is given or a function that
// panicked leaves others waiting.
//
// # When to use what
//
//	the task                                                use
//	--------------------------------------------------     --------------------------------------
//	a function for every element of a slice                 Map, ForEach
//	  … and what failed must not spoil the rest             … with KeepGoing
//	  … and no item may take too long                       … with ItemTimeout
//	  … and the function may ignore its context             … with Abandon
//	  … and the function needs the index                    … of the indices (see the example)
//	a function for every element of something long,         Stream
//	  a cursor, a file: one slow item holds back the
//	  results after it
//	a few different functions, each written out             golang.org/x/sync/errgroup
//	tasks that start further tasks of the same group        errgroup without a limit
//	an endless queue of work, handed in from many           a worker pool: goroutines that range
//	  places: background jobs                                 over a channel, started at start-up
//	one limit for many calls                                Budget
//	work that takes nanoseconds per item                    a loop
//
// The nearest relative is [errgroup] with SetLimit. It leaves it to its user to place the results,
// to check the context so as not to run everything after an error, and to name the item; it starts
// a goroutine for each item. It is right where the functions differ.
//
// # Limits
//
// [Limit] holds for one call. Ten requests that each call Map with Limit(8) make up to 80 calls of
// the function at the same time, and nested calls multiply. They share nothing, so they never wait
// for each other. [Budget] is the limit that calls share, nested ones among them.
//
// # Panics
//
// A panic of fn stops the others and continues in the caller's goroutine, where a service's
// recovery middleware sees it. The others get a second to return. If they wait for a value that the
// panicked function never sent, they would wait forever, and the panic would never show. So after
// that second the panic continues all the same, and they are left behind. The same holds for
// runtime.Goexit. One case cannot be mended: a loop body of Stream that waits for a function that
// panicked. It is the caller's own goroutine that waits there.
//
// [errgroup]: https://pkg.go.dev/golang.org/x/sync/errgroup
package concurrent
