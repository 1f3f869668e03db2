package signals

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// An Error is the cause of a context that ended because of a signal:
//
//	var sigErr *signals.Error
//	if errors.As(context.Cause(ctx), &sigErr) {
//		os.Exit(sigErr.ExitCode())
//	}
//
// errors.Is(err, context.Canceled) holds, so code that checks for cancellation keeps working.
type Error struct {
	Signal os.Signal // the first one
}

// Error returns "signals: received " and the name of the signal, such as "interrupt".
func (e *Error) Error() string {
	if e.Signal == nil {
		return "signals: received a signal"
	}
	return "signals: received " + e.Signal.String()
}

// Is reports whether target is [context.Canceled].
func (e *Error) Is(target error) bool { return target == context.Canceled }

// ExitCode returns the status that shells report for a process ended by the signal: 128 plus its
// number, so 130 for SIGINT and 143 for SIGTERM (POSIX: "greater than 128"; bash, dash and zsh add
// exactly that). It is 1 if the signal has no number.
func (e *Error) ExitCode() int {
	if n, ok := e.Signal.(syscall.Signal); ok && n > 0 {
		return 128 + int(n)
	}
	return 1
}

// FromContext returns the signal that ended ctx or a parent of it. It returns nil, false while ctx
// is not done, and if something else ended it.
//
// With package shutdown, pass it GracefulShutdown.Context.
func FromContext(ctx context.Context) (os.Signal, bool) {
	if e, ok := errors.AsType[*Error](context.Cause(ctx)); ok {
		return e.Signal, true
	}
	return nil, false
}
