package concurrent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gracekit/gracekit/internal/guard"
)

// ErrTimeout is returned when the time given by [Timeout] ran out before all items had succeeded;
// with [KeepGoing] it is the first of the errors. It is also the cause of the end of an item's
// context by [ItemTimeout]. errors.Is(ErrTimeout, context.DeadlineExceeded) holds.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string        { return "concurrent: timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// errGoexit is the cause that fn's context gets when another item ended by runtime.Goexit. The
// caller never sees it: its goroutine ends, too.
var errGoexit = errors.New("concurrent: an item ended its goroutine by runtime.Goexit")

// An endError is the end of the caller's context, where the context has a cause of its own.
type endError struct{ err, cause error }

func (e *endError) Error() string   { return fmt.Sprintf("%v: %v", e.err, e.cause) }
func (e *endError) Unwrap() []error { return []error{e.err, e.cause} }

// An ItemError says which item failed.
type ItemError struct {
	Index int   // place among the items, counted from 0
	Err   error // what fn returned; if it did not run or was abandoned, an error that wraps why
}

// Error returns "item 3: " for index 3, and Err.
func (e *ItemError) Error() string { return fmt.Sprintf("item %d: %v", e.Index, e.Err) }

// Unwrap returns Err.
func (e *ItemError) Unwrap() error { return e.Err }

// A PanicError is the value with which a panic of fn, of the sequence given to [Stream], or of the
// [Budget] continues in the caller's goroutine. A recovery that looks for a value of its own finds
// it by errors.Is or errors.As, or in Value; a comparison with == does not. Only
// http.ErrAbortHandler, which net/http compares so, continues as it is, without the stack.
type PanicError struct {
	// Index is the place of the item among the items, counted from 0; in nested calls it is that of
	// the outermost one. If the sequence panicked, it is that of the item it was to give. If the
	// budget panicked, it says nothing.
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
	if inner, ok := p.Value.(*guard.Panic); ok {
		p = inner // it comes from the goroutine of an item that may be abandoned
	}
	if inner, ok := p.Value.(*PanicError); ok { // of a nested call
		return &PanicError{Index: index, Value: inner.Value, Stack: inner.Stack, text: inner.text}
	}
	return &PanicError{Index: index, Value: p.Value, Stack: p.Stack, text: p.Error()}
}

// isAbort reports whether Value is http.ErrAbortHandler. It goes by the text, so that net/http need
// not be imported.
func (e *PanicError) isAbort() bool {
	return e.text == "panic: net/http: abort Handler" &&
		fmt.Sprintf("%T", e.Value) == "*errors.errorString"
}

// unfinished is the error of an item that did not run or was abandoned.
type unfinished struct {
	state string // "not run" or "abandoned"
	cause error
}

func (e *unfinished) Error() string { return e.state + ": " + e.cause.Error() }
func (e *unfinished) Unwrap() error { return e.cause }

// itemErrors are all errors of a call with KeepGoing, as errors.Join would join them, but with a
// text that does not grow with the number of items.
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

const maxLines = 20 // of a text, before it says how many more items there are

func (e *itemErrors) Error() string {
	var lines []string
	if e.cause != nil {
		lines = append(lines, e.cause.Error())
	}
	for i := 0; i < len(e.items); {
		if len(lines) >= maxLines {
			lines = append(lines, fmt.Sprintf("and %d more", len(e.items)-i))
			break
		}
		first, last := e.items[i], e.items[i]
		for i++; i < len(e.items) && sameFate(last, e.items[i]); i++ {
			last = e.items[i]
		}
		text := first.Error()
		if first != last {
			text = fmt.Sprintf("items %d to %d: %v", first.Index, last.Index, first.Err)
		}
		more := strings.Split(text, "\n")
		if most := maxLines - len(lines); len(more) > most {
			more = append(more[:most], "…")
		}
		lines = append(lines, more...)
	}
	return strings.Join(lines, "\n")
}

// sameFate reports whether b is the neighbour of a and was not finished for the same reason.
func sameFate(a, b *ItemError) bool {
	x, ok := a.Err.(*unfinished)
	y, also := b.Err.(*unfinished)
	return ok && also && x == y && a.Index+1 == b.Index
}
