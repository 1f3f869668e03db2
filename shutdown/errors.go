package shutdown

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/gracekit/gracekit/internal/guard"
)

var (
	// ErrShuttingDown is returned when something is added or started after the trigger. Nothing was
	// done: the caller must stop the server or close the resource that it wanted to add.
	ErrShuttingDown = errors.New("shutdown: already shutting down")

	// ErrAlreadyStarted is returned by Start and Run if an earlier Start or Run has started the
	// service, is in progress or was interrupted by the shutdown, and by AddManager after Start.
	ErrAlreadyStarted = errors.New("shutdown: already started")

	// ErrTimeout is wrapped by the error of a step that had not succeeded by its deadline, or for
	// which no time was left. It is also the cause with which a callback's context ends at its
	// deadline. It Is [context.DeadlineExceeded].
	ErrTimeout error = timeoutError{}
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "shutdown: timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// errRequested is the reason of Shutdown(nil).
var errRequested = errors.New("shutdown: requested")

// errGoexit is the error of user code that ended its goroutine instead of returning.
var errGoexit = errors.New("shutdown: runtime.Goexit was called")

// A CallbackError says which step of the stop failed: a callback, a server's drain, the wait for a
// component, a manager's hook.
type CallbackError struct {
	Name  string // of the callback, the server, the component or the manager
	Phase Phase  // 0 before and after the phases
	Stage string // "start", "finish", "release" or "observers" there; empty in the phases
	Err   error  // what the step returned, a *PanicError, or an error that Is ErrTimeout
}

// Error returns name, phase and the text of Err: "mysql (store): connection lost".
func (e *CallbackError) Error() string {
	return fmt.Sprintf("%s (%s): %s", e.Name, cmp.Or(e.Stage, e.Phase.String()), guard.Text(e.Err))
}

// Unwrap returns Err.
func (e *CallbackError) Unwrap() error { return e.Err }

// A ComponentError says which component of [GracefulShutdown.Go] failed, or which server stopped
// serving. One that did not end in time is reported by a [CallbackError].
type ComponentError struct {
	Name string // as given to Go, GoHTTP or GoGRPC
	Err  error  // what it returned, or a *PanicError
}

// Error returns name and the text of Err: "component consumer: broker is gone".
func (e *ComponentError) Error() string {
	return fmt.Sprintf("component %s: %s", e.Name, guard.Text(e.Err))
}

// Unwrap returns Err.
func (e *ComponentError) Unwrap() error { return e.Err }

// A PanicError holds the value and the stack of a panic in a callback, a component, a manager or an
// observer ([Logger], [ErrorHandler], [Watch]).
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // of the goroutine that panicked, as debug.Stack formats it
}

// Error returns "panic: " and the value, an empty line, and the stack.
func (e *PanicError) Error() string {
	return guard.PanicText("", e.Value, e.Stack)
}

// Unwrap returns Value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// A textError has the text of a user's error as it was recorded.
type textError struct {
	text string
	err  error
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.err }

// A finding is what the stop knows of a user's error. The methods of the error are user code, so
// they are called only for this.
type finding struct {
	err         error
	text        string
	panicked    bool      // err is a panic
	timeout     bool      // err Is ErrTimeout
	onlyTimeout bool      // err says only that time was up
	late        bool      // the step's deadline had passed
	skipped     bool      // the step was not begun
	stopped     bool      // err says only that something was told to stop, see saysStopped
	closed      bool      // err says only that a server was closed on purpose
	before      *deadline // set if err is a reason with a deadline
}

// find inspects an error of a user or of a guarded call. cause is that of the context which the
// user's function had.
func find(err, cause error) finding {
	if err == guard.ErrExited { // never wrapped
		err = errGoexit
	}
	f := finding{err: err}
	switch e := err.(type) { // what guard returns is not wrapped
	case nil:
		return f
	case *guard.Panic:
		f.panicked = true
		f.err = &PanicError{Value: e.Value, Stack: e.Stack}
		f.text = guard.PanicText(e.Error(), e.Value, e.Stack)
		return f
	case *ComponentError:
		_, f.panicked = e.Err.(*PanicError) // of ours, never wrapped
		f.text = guard.Text(e.Err)          // its row has the name
	case *deadline:
		f.before = e
	}
	if f.text == "" {
		f.text = guard.Text(err)
	}
	// If a method of err panics or hangs, all of these are false.
	asked := f
	if guard.Within(guard.Moment, "shutdown/error", func() error {
		asked.timeout = guard.Is(err, ErrTimeout)
		asked.stopped, asked.closed = saysStopped(err, cause)
		asked.onlyTimeout = everyLeaf(err, nil, func(err error) bool { return guard.Is(err, context.DeadlineExceeded) })
		if d, ok := guard.AsType[*deadline](err); ok {
			asked.before = d
		}
		return nil
	}) == nil {
		return asked // otherwise it may still be written
	}
	return f
}

func check(what, name string, value any) error {
	switch {
	case name == "":
		return fmt.Errorf("shutdown: %s without a name", what)
	case reflect.ValueOf(value).Kind() == reflect.Func && isNil(value):
		return fmt.Errorf("shutdown: %s %q has no function", what, name)
	case isNil(value):
		return fmt.Errorf("shutdown: %s %q is nil", what, name)
	}
	return nil
}

func isNil(value any) bool {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan, reflect.Slice:
		return v.IsNil()
	default:
		return false
	}
}

// same reports whether a and b are the same pointer. Pointers to zero-size values never are,
// because they may be equal by chance.
func same(a, b any) bool {
	t := reflect.TypeOf(a)
	return t.Kind() == reflect.Pointer && t.Elem().Size() > 0 && a == b
}
