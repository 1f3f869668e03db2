package shutdown

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrShuttingDown is returned when something is added or started after the trigger. Nothing was done: a server or callback that got
	// it is the caller's to stop.
	ErrShuttingDown = errors.New("shutdown: already shutting down")

	// ErrAlreadyStarted is returned by Start and Run if a Start or Run before has started the service, and by AddManager after that.
	ErrAlreadyStarted = errors.New("shutdown: already started")

	// ErrTimeout is in the error of each callback that had not returned by its deadline, or for which no time was
	// left. It Is [context.DeadlineExceeded], and it is the cause with which a callback's context ends at its deadline.
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

// A CallbackError says which callback failed, or which server's draining, component's end or manager's hook.
type CallbackError struct {
	Name  string // of the callback, the server, the component or the manager
	Phase Phase  // a manager's hooks have phases of their own, see [Phase.String]
	Err   error  // what it returned, a *PanicError, or one that Is ErrTimeout
}

// Error returns name, phase and Err: "mysql (store): connection lost".
func (e *CallbackError) Error() string { return fmt.Sprintf("%s (%s): %v", e.Name, e.Phase, e.Err) }

// Unwrap returns Err.
func (e *CallbackError) Unwrap() error { return e.Err }

// A ComponentError says which component, run with [GracefulShutdown.Go], failed. One that did not end in time is a [CallbackError].
type ComponentError struct {
	Name string // as given to Go
	Err  error  // what it returned, or a *PanicError
}

// Error returns name and Err: "component consumer: broker is gone".
func (e *ComponentError) Error() string { return fmt.Sprintf("component %s: %v", e.Name, e.Err) }

// Unwrap returns Err.
func (e *ComponentError) Unwrap() error { return e.Err }

// A PanicError holds the value and the stack of a panic in a callback, a component, a manager, the Logger or the ErrorHandler.
type PanicError struct {
	Value any    // what was panicked with
	Stack []byte // of the goroutine that panicked, as debug.Stack formats it
}

// Error returns "panic: " and the value, an empty line, and the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n\n%s", e.Value, e.Stack) }

// Unwrap returns Value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
