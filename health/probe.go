package health

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A Probe looks at one thing once and returns nil if it is well.
//
// It should return soon after ctx ends. One that does not is reported as timed out and is not called
// again before it has returned, so slow calls never pile up. A panic becomes a [PanicError].
// Wait and a Registry call a probe in a goroutine of its own, which ends when the probe returns, and never
// call the same one twice at a time. The probes of this package are safe for concurrent use.
type Probe func(ctx context.Context) error

var (
	// ErrTimeout is in the error of an attempt, or of a run of a check, that was not over in the time it had.
	// It Is [context.DeadlineExceeded].
	ErrTimeout error = timeoutError{}

	// ErrPermanent is matched by every error made by [Permanent], and is the Cause in a [WaitError]
	// when a probe returned one.
	ErrPermanent = errors.New("health: permanent failure")
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "health: probe timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// TCP returns a probe that connects to addr, "host:port", and hangs up.
//
// The host may be a wildcard ("", "0.0.0.0", "::"), as in the address of a server that listens on all
// interfaces: each attempt then tries 127.0.0.1 and, if that fails, ::1. An address that begins
// with "/", "@" (Linux: abstract) or "unix:" is a unix socket. For an address that cannot work
// the probe fails with a [Permanent] error.
func TCP(addr string) Probe {
	a, err := parseAddress(addr)
	if err != nil {
		return broken(fmt.Errorf("health: TCP(%q): %w", addr, err))
	}
	return func(ctx context.Context) error {
		conn, err := a.dial(ctx)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// Ping returns a probe that calls p.PingContext: for *[database/sql.DB], and for what is modelled on it.
// If p is nil, or a nil pointer, the probe fails with a [Permanent] error.
func Ping(p interface{ PingContext(context.Context) error }) Probe {
	if isNil(p) {
		return broken(fmt.Errorf("health: Ping(%T(nil)): expected something to ping", p))
	}
	return p.PingContext
}

// Permanent marks err as one that no further attempt will mend, such as a wrong password: [Wait] gives up at once.
// It has the text of err, unwraps to it, and Is [ErrPermanent]. Permanent(nil) is nil.
// A [Registry] treats it like any other failure.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string        { return e.err.Error() }
func (e *permanentError) Unwrap() error        { return e.err }
func (e *permanentError) Is(target error) bool { return target == ErrPermanent }

// A PanicError is what a panic in a probe or a function of [Registry.OnChange] becomes.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // of the goroutine that panicked, as debug.Stack formats it

	text string // of Value as it was then, see guard.PanicText; empty if a user has made it
}

// Error gives the value, an empty line and the stack.
func (e *PanicError) Error() string { return guard.PanicText(e.text, e.Value, e.Stack) }

// Unwrap returns the value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func newPanicError(p *guard.Panic) *PanicError {
	return &PanicError{Value: p.Value, Stack: p.Stack, text: p.Error()}
}

// errExited stands for a probe that ended its goroutine instead of returning.
var errExited = errors.New("health: the probe called runtime.Goexit")

// noticeTime is how long a probe gets to return after its context has ended, before it counts as
// one that ignores its context. It is longer than guard.Notice because nothing is lost by waiting,
// and probes have connections to close.
const noticeTime = 50 * time.Millisecond

// attempt calls probe once and waits until it has returned or its time is up. In that case the call
// is returned too if it is still going on: there must not be another one before it is done. The
// label is for the goroutine, see [guard.Go].
func attempt(
	ctx context.Context, label string, probe Probe, timeout time.Duration,
) (stuck *guard.Call, err error) {
	attemptCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	call := guard.Go(attemptCtx, label, func() error { return probe(attemptCtx) })
	returned := call.Wait(attemptCtx, noticeTime)
	timedOut := attemptCtx.Err() != nil && ctx.Err() == nil
	switch {
	case !returned && timedOut:
		return call, fmt.Errorf("%w after %v and ignores its context", ErrTimeout, timeout)
	case !returned:
		return call, fmt.Errorf("the probe ignores its context: %w", context.Cause(ctx))
	}
	err = probeError(call.Err())
	if err != nil && timedOut {
		err = fmt.Errorf("%w after %v: %w", ErrTimeout, timeout, err)
	}
	return nil, err
}

// probeError replaces the errors of package guard by those of this package.
func probeError(err error) error {
	if err == guard.ErrExited { //nolint:errorlint // guard never wraps it, and Is is user code
		return errExited
	}
	if p, ok := err.(*guard.Panic); ok { //nolint:errorlint // likewise
		return newPanicError(p)
	}
	return err
}

// broken returns the probe for input that can never work.
func broken(err error) Probe {
	err = Permanent(err)
	return func(context.Context) error { return err }
}

// isNil reports whether v is nil or a nil pointer, which as an interface value is not nil.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}
