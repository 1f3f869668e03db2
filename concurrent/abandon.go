package concurrent

import (
	"context"
	"runtime"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A function is called for each item.
type function[T, R any] = func(context.Context, T) (R, error)

// decorate wraps fn as ItemTimeout and Abandon ask.
func decorate[T, R any](g *group, fn function[T, R]) function[T, R] {
	if g.abandon {
		fn = abandonable(g, fn)
	}
	if g.itemTimeout > 0 {
		fn = timed(g.itemTimeout, fn)
	}
	return fn
}

func timed[T, R any](d time.Duration, fn function[T, R]) function[T, R] {
	return func(ctx context.Context, item T) (R, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, d, ErrTimeout)
		defer cancel()
		return fn(ctx, item)
	}
}

// abandonable runs fn in another goroutine and returns at the latest when the context ends.
func abandonable[T, R any](g *group, fn function[T, R]) function[T, R] {
	type end struct {
		result   R
		err      error
		panicked *guard.Panic
		returned bool // or it has called runtime.Goexit
	}
	return func(ctx context.Context, item T) (result R, err error) {
		var p *permit
		if g.budget != nil {
			p, _ = ctx.Value(permitKey{g.budget}).(*permit)
			p.holders.Add(1) // the token is out until fn has really ended
		}
		ended := make(chan end, 1) // buffered, so that a late fn can send and exit
		go func() {
			var e end
			defer func() { ended <- e }()
			e.panicked = guard.Catch(func() {
				if p != nil {
					defer p.drop()
				}
				if ctx.Err() != nil { // the call is back already
					e.err = &unfinished{"not run", context.Cause(ctx)}
					return
				}
				e.result, e.err = fn(ctx, item)
				// Whether fn or the end of its context comes first is chance.
				if e.err == context.DeadlineExceeded && context.Cause(ctx) == ErrTimeout {
					e.err = ErrTimeout
				}
			})
			e.returned = true
		}()
		var e end
		select {
		case e = <-ended:
		case <-ctx.Done():
			select {
			case e = <-ended:
			default:
				return result, &unfinished{"abandoned", context.Cause(ctx)}
			}
		}
		if e.panicked != nil {
			panic(e.panicked) // protect takes the original one out
		}
		if !e.returned {
			runtime.Goexit()
		}
		return e.result, e.err
	}
}
