package concurrent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gracekit/gracekit/internal/guard"
)

// ErrTimeout is returned when the time given by [Timeout] ran out before all items had
// succeeded; with [KeepGoing] it is the first of the errors. errors.Is(ErrTimeout, context.DeadlineExceeded) holds.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string        { return "concurrent: timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// errGoexit is the cause fn's context gets when another item ended by runtime.Goexit. The caller
// never sees it: its goroutine ends too.
var errGoexit = errors.New("concurrent: an item ended its goroutine by runtime.Goexit")

// An ItemError says which item failed.
type ItemError struct {
	Index int   // place among the items, counted from 0
	Err   error // what fn returned; if it did not run or was abandoned, an error that wraps why
}

// Error returns "item 3: " for index 3, and Err.
func (e *ItemError) Error() string { return fmt.Sprintf("item %d: %v", e.Index, e.Err) }

// Unwrap returns Err.
func (e *ItemError) Unwrap() error { return e.Err }

// A PanicError is the value with which a panic of fn, or of the sequence given to [Stream],
// continues in the caller's goroutine.
type PanicError struct {
	// Index is the place of the item among the items, counted from 0. If the sequence panicked, it
	// is that of the item it was to give.
	Index int

	Value any    // what was panicked with; *runtime.PanicNilError for nil
	Stack []byte // of the goroutine that panicked, as debug.Stack formats it

	text string // of Value as it was then, see guard.PanicText; empty if a user has made it
}

// Error returns "panic: " and the value, an empty line, and the stack.
func (e *PanicError) Error() string { return guard.PanicText(e.text, e.Value, e.Stack) }

// Unwrap returns Value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func newPanicError(index int, p *guard.Panic) *PanicError {
	return &PanicError{Index: index, Value: p.Value, Stack: p.Stack, text: p.Error()}
}

// unfinished is the error of an item that KeepGoing could not keep going for.
type unfinished struct {
	state string // "not run" or "abandoned"
	cause error
}

func (e *unfinished) Error() string { return e.state + ": " + e.cause.Error() }
func (e *unfinished) Unwrap() error { return e.cause }

// itemErrors are all errors of a call with KeepGoing: what errors.Join would make of them, but
// a time-out of 100,000 items that were not run takes one line.
type itemErrors struct {
	cause error // why the call ended early, or nil
	items []*ItemError
}

func (e *itemErrors) Unwrap() []error {
	errs := make([]error, 0, 1+len(e.items))
	if e.cause != nil {
		errs = append(errs, e.cause)
	}
	for _, item := range e.items {
		errs = append(errs, item)
	}
	return errs
}

func (e *itemErrors) Error() string {
	var lines []string
	if e.cause != nil {
		lines = append(lines, e.cause.Error())
	}
	for i := 0; i < len(e.items); {
		first, last := e.items[i], e.items[i]
		for i++; i < len(e.items) && sameFate(last, e.items[i]); i++ {
			last = e.items[i]
		}
		if first == last {
			lines = append(lines, first.Error())
		} else {
			lines = append(lines, fmt.Sprintf("items %d to %d: %v", first.Index, last.Index, first.Err))
		}
	}
	return strings.Join(lines, "\n")
}

// sameFate reports whether b is the neighbour of a and was not finished for the same reason.
func sameFate(a, b *ItemError) bool {
	x, ok := a.Err.(*unfinished)
	y, also := b.Err.(*unfinished)
	return ok && also && x == y && a.Index+1 == b.Index
}
