// Package guard calls user code so that it cannot harm the caller: a panic or runtime.Goexit
// becomes an error, and a function that hangs is abandoned.
//
// User code is every function that a user hands over, and every method of a user's value: Error,
// Unwrap, Is, Name, String.
package guard

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

var (
	// ErrExited is the error of a function that ended its goroutine instead of returning.
	ErrExited = errors.New("it has called runtime.Goexit")

	// ErrHangs is the error of a function that has not returned in time.
	ErrHangs = errors.New("it has not returned")
)

// A Panic is the error of a function that panicked. Each package has an exported type of its own
// that users can match.
type Panic struct {
	Value any    // the argument of panic
	Text  string // of Value, see [Text]
	Stack []byte // of the goroutine that panicked, as debug.Stack formats it
}

// Error returns "panic: " and Text.
func (p *Panic) Error() string { return "panic: " + p.Text }

// Unwrap returns Value if it is an error, otherwise nil.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Catch calls fn in this goroutine and returns its panic, or nil. If fn calls runtime.Goexit, Catch
// does not return either: no other way to tell the two apart works under GODEBUG=panicnil=1.
func Catch(fn func()) (p *Panic) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = new(runtime.PanicNilError)
		}
		p = &Panic{Value: v, Stack: debug.Stack(), Text: Text(v)}
	}()
	fn()
	returned = true
	return nil
}

// A Call is one run of a function in a goroutine of its own.
type Call struct {
	done chan struct{}
	err  error
}

// Go calls fn in a goroutine with the pprof label gracekit=label, so that a goroutine dump shows
// which function hangs. It keeps the labels of ctx.
func Go(ctx context.Context, label string, fn func() error) *Call {
	return Then(ctx, label, fn, func(error) {})
}

// Then is [Go], and then calls then with the result of [Call.Err], in the goroutine of fn. then
// must not be user code.
func Then(ctx context.Context, label string, fn func() error, then func(error)) *Call {
	c := &Call{done: make(chan struct{}), err: ErrExited}
	go func() {
		defer close(c.done)
		defer func() { then(c.err) }()
		p := Catch(func() {
			Label(ctx, label)
			c.err = fn()
		})
		if p != nil {
			c.err = p
		}
	}()
	return c
}

// Label gives this goroutine the pprof label gracekit=label and those of ctx. If the Value method
// of ctx, which may be user code, panics, there is no label.
func Label(ctx context.Context, label string) {
	Catch(func() { pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("gracekit", label))) })
}

// Done returns a channel that is closed when the function has ended.
func (c *Call) Done() <-chan struct{} { return c.done }

// Err returns what the function returned, a *[Panic], or [ErrExited]. It may be called once Done is
// closed.
func (c *Call) Err() error { return c.err }

// Notice is how long a function gets to return after its context has ended. Without it, the error
// of a function that obeys, which says what it was waiting for, would be lost.
const Notice = 10 * time.Millisecond

// Wait waits until the function has ended, but at most until ctx ends and then notice longer. It
// reports whether the function has ended.
func (c *Call) Wait(ctx context.Context, notice time.Duration) bool {
	select {
	case <-c.done:
		return true
	case <-ctx.Done():
	}
	return c.WaitFor(notice)
}

// WaitFor waits until the function has ended, at most d, and reports whether it has.
func (c *Call) WaitFor(d time.Duration) bool {
	_, ended := receive(c.done, d)
	return ended
}

// receive receives from c, and gives up after d. It counts d in ticks: in a process that was
// suspended, or gets no processor for a while, nothing could be sent in that time, and it must not
// be counted in full.
func receive[T any](c <-chan T, d time.Duration) (v T, ok bool) {
	const ticks = 10
	timer := time.NewTimer(d / ticks)
	defer timer.Stop()
	for n := 0; ; n++ {
		select {
		case v = <-c:
			return v, true
		default: // of several ready cases, select picks any
		}
		if n == ticks || d <= 0 {
			return v, false
		}
		select {
		case v = <-c:
			return v, true
		case <-timer.C:
			timer.Reset(d / ticks)
		}
	}
}

// Within calls fn as [Go] does and returns its error, or [ErrHangs] if it has not returned after d.
func Within(d time.Duration, label string, fn func() error) error {
	c := Go(context.Background(), label, fn)
	if !c.WaitFor(d) {
		return ErrHangs
	}
	return c.Err()
}

// Ended reports whether ctx has ended. At its deadline it waits for that, at most [Notice]: package
// net has timers of its own for that deadline, and its "i/o timeout" may come a moment earlier.
func Ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	if ctx.Err() == nil && ok && !time.Now().Before(deadline) {
		receive(ctx.Done(), Notice)
	}
	return ctx.Err() != nil
}

// Moment is how long a method gets that has nothing to wait for, such as Error or Name.
const Moment = 100 * time.Millisecond

// Text returns the text of an error or any other value, or says why there is none.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return "<nil>"
	case string:
		return v
	case error:
		if reflect.TypeOf(v) == reflect.TypeOf(errors.New("")) { // it runs nothing of a user's
			return v.Error()
		}
	}
	unavailable := func(why string) string {
		return fmt.Sprintf("%T, whose text is not available: %s", v, why)
	}
	text := make(chan string, 2) // the deferred send comes second and is then not read
	go func() {                  // not by Go, which would ask the value of a panic for its text
		why := "it has called runtime.Goexit"
		defer func() {
			if v := recover(); v != nil {
				why = fmt.Sprintf("it panics with a %T", v)
			}
			text <- unavailable(why)
		}()
		if err, ok := v.(error); ok {
			text <- err.Error()
		} else {
			text <- fmt.Sprint(v) // package fmt recovers from a panic of String
		}
	}()
	if s, ok := receive(text, Moment); ok {
		return s
	}
	return unavailable("it has not returned")
}
