// Package concurrent calls a function for each of many items, several at the same time, and ends
// when it should: [Map] returns the results in the order of the items, [ForEach] has none to
// return, and [Stream] takes a sequence of any length and yields the results as they come, in
// order too.
//
//	users, err := concurrent.Map(ctx, rows, func(ctx context.Context, row Row) (User, error) {
//		n, err := policies.Count(ctx, row.Name)
//		return User{Row: row, Policies: n}, err
//	})
//
// The first error stops the rest and is the one reported, with the index of its item. Cancellation
// and time-outs come back as what they are, panics continue where the caller can recover them, and
// when the call is back nothing of it still runs, unless [Abandon] is given.
//
// # When to use what
//
//	the task                                                use
//	--------------------------------------------------     --------------------------------------
//	a function for every element of a slice                 Map, ForEach
//	  … and what failed must not spoil the rest             … with KeepGoing
//	  … and the function may ignore its context             … with Abandon
//	a function for every element of something long,         Stream
//	  a cursor, a file, a channel
//	a few different functions, each written out             golang.org/x/sync/errgroup
//	tasks that start further tasks of the same group        errgroup without a limit
//	work without end, handed in from many places:           a worker pool: goroutines that range
//	  a queue, background jobs                                over a channel, started at start-up
//	one limit for the whole process, not for each call      golang.org/x/sync/semaphore, or the
//	                                                          limit of the resource itself
//	work of nanoseconds an item                             a loop
//
// The nearest relative is [errgroup] with SetLimit. It leaves it to its user to place the results,
// to check the context so as not to run everything after an error, and to name the item; it starts
// a goroutine for each item. It is right where the functions differ.
//
// # Limits
//
// The limit holds for one call. Ten requests that each call Map with Limit(8) make up to 80 calls
// of the function at the same time, and nested calls multiply. They share no pool, so they never
// wait for each other.
//
// [errgroup]: https://pkg.go.dev/golang.org/x/sync/errgroup
package concurrent
