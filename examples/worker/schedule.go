package main

import "time"

// nextTick returns when the tick after last is scheduled: at a multiple of the interval on the
// clock in UTC, so that every process, before and after a restart, gives the same tick the same
// name. A result that is not after now is due.
//
//	last is the tick before       the next one, which may be due, or still to come
//	ticks have been missed        the newest of them: it stands for the others, too
//	last is in the future         the one after it: the clock was set back, and no tick is to run twice
func nextTick(last, now time.Time, every time.Duration) time.Time {
	after, due := last.Truncate(every).Add(every), now.Truncate(every)
	if due.After(after) {
		return due
	}
	return after
}
