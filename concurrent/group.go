package concurrent

import (
	"context"
	"runtime"
	"sync/atomic"

	"github.com/gracekit/gracekit/internal/guard"
)

// A group is what the goroutines of one call have in common: a context, and how it ended.
//
// The context is also the judge of what came first. An item's error, the caller's cancellation and
// the time-out all end it, and only the first to do so becomes its cause. So an error that merely
// echoes the end of the context always comes too late to be reported.
type group struct {
	config
	parent  context.Context
	ctx     context.Context // what fn gets
	cancel  context.CancelCauseFunc
	release context.CancelFunc // frees the timer; nil without Timeout

	cut      atomic.Bool                // the end of the context cost an item, as far as can be known
	panicked atomic.Pointer[PanicError] // the first one
	exited   atomic.Bool                // some user code called runtime.Goexit
}

func (g *group) open(parent context.Context) {
	g.parent = parent
	if g.timeout > 0 {
		parent, g.release = context.WithTimeoutCause(parent, g.timeout, ErrTimeout)
	}
	g.ctx, g.cancel = context.WithCancelCause(parent)
}

func (g *group) close() {
	g.cancel(nil)
	if g.release != nil {
		g.release()
	}
}

// fail ends the context because of err, unless it is over already.
func (g *group) fail(err error) {
	if g.parent.Err() != nil {
		// fn may have seen the caller's own context, and be back here before g.ctx has heard of it.
		err = context.Cause(g.parent)
	}
	g.cancel(err)
}

// cause is why the context ended.
func (g *group) cause() error {
	if err := context.Cause(g.ctx); err != nil {
		return err
	}
	return context.Cause(g.parent)
}

// protect runs user code. A panic ends here, is kept for raise and ends the context;
// runtime.Goexit goes on, but is known to raise too. index is read when it happens.
func (g *group) protect(index *int, body func()) {
	returned := false
	defer func() {
		if !returned {
			g.exited.Store(true)
			g.cancel(errGoexit)
		}
	}()
	if p := guard.Catch(body); p != nil {
		err := newPanicError(*index, p)
		g.panicked.CompareAndSwap(nil, err)
		g.cancel(err)
	}
	returned = true
}

// raise lets what happened in the other goroutines happen in the caller's.
func (g *group) raise() {
	if p := g.panicked.Load(); p != nil {
		panic(p)
	}
	if g.exited.Load() {
		runtime.Goexit()
	}
}
