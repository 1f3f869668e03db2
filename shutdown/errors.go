package shutdown

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrShuttingDown is returned when something is added or started after the shutdown has begun. Nothing was
	// done: a server or callback that got it is the caller's to stop.
	ErrShuttingDown = errors.New("shutdown: already shutting down")

	// ErrAlreadyStarted is returned by Start and Run when they were called before, and by AddManager after them.
	ErrAlreadyStarted = errors.New("shutdown: already started")

	// ErrTimeout is in the error of each callback that had not returned by its deadline, or for which no time was
	// left. It Is [context.DeadlineExceeded], and it is the cause of the callback's context.
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

// A CallbackError says which callback failed. A manager's hooks have their own phases, see [Phase.String].
type CallbackError struct {
	Name  string
	Phase Phase
	Err   error
}

func (e *CallbackError) Error() string { return fmt.Sprintf("%s (%s): %v", e.Name, e.Phase, e.Err) }
func (e *CallbackError) Unwrap() error { return e.Err }

// A ComponentError says which component, run with [GracefulShutdown.Go], failed.
type ComponentError struct {
	Name string
	Err  error
}

func (e *ComponentError) Error() string { return fmt.Sprintf("component %s: %v", e.Name, e.Err) }
func (e *ComponentError) Unwrap() error { return e.Err }

// A PanicError holds the value and the stack of a panic in a callback, a component, a manager, the Logger or the ErrorHandler. It unwraps to
// the value if that is an error.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n\n%s", e.Value, e.Stack) }

func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
