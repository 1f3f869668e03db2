package health

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A Probe looks at one thing once and returns nil if it is healthy.
//
// It should return soon after ctx ends. One that does not is reported as timed out and is not
// called again before it has returned, so slow calls never pile up. A panic becomes a [PanicError].
//
// [Wait] and a check of a [Registry] call a probe in a goroutine of their own, once at a time. A
// probe that is given to two of them must be safe for concurrent use; the probes of this package
// are.
type Probe func(ctx context.Context) error

var (
	// ErrTimeout is in the error of an attempt, or of a run of a check, that was not over in time.
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
// The host may be a wildcard ("", "0.0.0.0", "::"), as in the address of a server that listens on
// all interfaces: each attempt then tries 127.0.0.1 and, if that fails, ::1. An address that begins
// with "/", "@" (Linux: abstract) or "unix:" is a unix socket. For an address that cannot work, the
// probe fails with a [Permanent] error.
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

// Ping returns a probe that calls p.PingContext. If p is nil, or a nil pointer, the probe fails
// with a [Permanent] error.
//
// For an [*database/sql.DB], use [DB]: a ping needs a connection of the pool, so under load Ping
// fails although the database is well. All replicas, which have the same load, would leave their
// balancer together. That is true of other pools, too.
func Ping(p interface{ PingContext(context.Context) error }) Probe {
	if isNil(p) {
		return broken(fmt.Errorf("health: Ping(%T(nil)): expected something to ping", p))
	}
	return p.PingContext
}

// busyFor is how long a pool may be so busy that pings get no connection.
const busyFor = time.Minute

// DB returns a probe that pings db. If a ping times out while all connections that
// [sql.DB.SetMaxOpenConns] allows are in use, that proves nothing about the database: for one
// minute a check of a [Registry] counts it neither as a failure nor as a success. After that it
// counts, and so does any other failure at once. For [Wait] each is a failed attempt. If db is nil,
// the probe fails with a [Permanent] error.
func DB(db *sql.DB) Probe {
	if db == nil {
		return broken(errors.New("health: DB(nil): expected a *sql.DB"))
	}
	var mu sync.Mutex
	var busySince time.Time
	return func(ctx context.Context) error {
		began := time.Now()
		err := db.PingContext(ctx)
		stats := db.Stats()
		busy := err != nil && guard.Ended(ctx) &&
			stats.MaxOpenConnections > 0 && stats.InUse >= stats.MaxOpenConnections

		mu.Lock()
		defer mu.Unlock()
		if !busy {
			busySince = time.Time{}
			return err
		}
		if busySince.IsZero() {
			busySince = began
		}
		err = fmt.Errorf("all %d connections of the pool are in use: %w", stats.InUse, err)
		if began.Sub(busySince) < busyFor {
			err = &busyError{err}
		}
		return err
	}
}

// A busyError proves nothing.
type busyError struct{ error }

func (e *busyError) Unwrap() error { return e.error }

// Permanent marks err as one that no further attempt will mend, such as a wrong password: [Wait]
// gives up at once. It has the text of err, unwraps to it, and Is [ErrPermanent]. Permanent(nil) is
// nil. A [Registry] treats it like any other failure.
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

// A PanicError is the error of a probe or of a function of [Registry.OnChange] that panicked.
type PanicError struct {
	Value any    // the argument of panic
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

// An outcome is the error of one run and everything that has to be known about it. Whoever has one
// need not call a method of the error, which is user code.
type outcome struct {
	err       error
	text      string // of err
	permanent bool   // err Is ErrPermanent
	busy      bool   // err proves nothing
	cut       bool   // err only says that the context ended
}

// judge calls the methods of err, so it is called where the probe ran, within its time.
func judge(ctx context.Context, err error) outcome {
	if err == nil {
		return outcome{}
	}
	o := outcome{err: err, text: err.Error(), permanent: guard.Is(err, ErrPermanent)}
	_, o.busy = guard.AsType[*busyError](err)
	if guard.Ended(ctx) {
		o.cut = guard.Is(err, ctx.Err()) || guard.Is(err, context.Cause(ctx)) ||
			guard.Is(err, os.ErrDeadlineExceeded)
	}
	return o
}

// failed is the outcome for an error of this package.
func failed(err error) outcome { return outcome{err: err, text: err.Error()} }

// overdue is the outcome of a run that has not ended although its time was up.
func overdue(timeout time.Duration) outcome {
	return failed(fmt.Errorf("%w after %v and ignores its context", ErrTimeout, timeout))
}

// late is the outcome of a run that ended when its time was up: it has timed out, unless it was
// well all the same.
func (o outcome) late(timeout time.Duration) outcome {
	if o.err != nil {
		o.text = fmt.Sprintf("%v after %v: %s", ErrTimeout, timeout, o.text)
		o.err = &safeError{o.text, []error{ErrTimeout, o.err}}
	}
	return o
}

// probeError replaces the errors of package guard by those of this package.
func probeError(err error) error {
	if err == guard.ErrExited { // guard never wraps it, and Is is user code
		return errExited
	}
	if p, ok := err.(*guard.Panic); ok { // likewise
		return newPanicError(p)
	}
	return err
}

// A safeError wraps errors without asking them for their text when it is printed.
type safeError struct {
	text string
	errs []error
}

func (e *safeError) Error() string   { return e.text }
func (e *safeError) Unwrap() []error { return e.errs }

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
