package concurrent

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A group is what the goroutines of one call have in common: a context, and how it ended.
//
// The context also decides what came first. An item's error, the caller's cancellation and the
// time-out all end it, and only the first to do so becomes its cause. So an error that merely
// echoes the end of the context always comes too late to be reported.
type group struct {
	config
	parent  context.Context
	ctx     context.Context // what fn gets
	cancel  context.CancelCauseFunc
	release context.CancelFunc // frees the timer; nil without Timeout

	active atomic.Int64  // goroutines that have not left
	idle   chan struct{} // closed when the last one has left

	cut atomic.Bool // the end of the context cost an item, as far as can be known

	panicked  atomic.Pointer[PanicError] // the first one
	exited    atomic.Bool                // some user code called runtime.Goexit
	crashOnce sync.Once
	crashed   chan struct{} // closed at the first of these

	// With Budget.
	began  time.Time
	wait   context.Context    // for tokens; over when no item is left to wait for
	enough context.CancelFunc // ends wait
	outer  *permit            // of the item that this call is made in, if it has one
}

func (g *group) open(parent context.Context) {
	g.idle, g.crashed = make(chan struct{}), make(chan struct{})
	g.parent = parent
	if g.timeout > 0 {
		parent, g.release = context.WithTimeoutCause(parent, g.timeout, ErrTimeout)
	}
	g.ctx, g.cancel = context.WithCancelCause(parent)
	if g.budget != nil {
		g.began = time.Now()
		g.wait, g.enough = context.WithCancel(g.ctx)
		g.outer, _ = parent.Value(permitKey{g.budget}).(*permit)
	}
}

func (g *group) close() {
	g.cancel(nil)
	if g.release != nil {
		g.release()
	}
}

// fail ends the context because of err, unless it is over already.
func (g *group) fail(err error) {
	guard.Ended(g.ctx) // waits for a time-out that is due
	if g.parent.Err() != nil {
		// fn may have seen the caller's own context, and be back before g.ctx has heard of it.
		err = context.Cause(g.parent)
	}
	g.cancel(err)
}

// cause is why the context ended.
func (g *group) cause() error {
	why, outside := context.Cause(g.ctx), context.Cause(g.parent)
	switch why.(type) {
	case *ItemError, *PanicError, timeoutError: // or those of a call around this one
		if why != outside {
			return why
		}
	}
	err := g.parent.Err()
	if (err == context.Canceled || err == context.DeadlineExceeded) && err == outside {
		return err
	}
	return &endError{err, outside}
}

// protect runs user code. A panic ends here, is kept for raise and ends the context; runtime.Goexit
// goes on, but is known to raise, too. index is read when it happens.
func (g *group) protect(index *int, body func()) {
	returned := false
	defer func() {
		if !returned {
			g.exited.Store(true)
			g.crash(errGoexit)
		}
	}()
	if p := guard.Catch(body); p != nil {
		err := newPanicError(*index, p)
		g.panicked.CompareAndSwap(nil, err)
		g.crash(err)
	}
	returned = true
}

func (g *group) crash(err error) {
	g.cancel(err)
	g.crashOnce.Do(func() { close(g.crashed) })
}

// patience is how long the goroutines of a call have to leave once one of them has crashed.
const patience = time.Second

// await returns when all goroutines have left. After a crash it gives up on those that stay: they
// may wait for a value that the crashed one never sent, and the panic would never show
// (https://go.dev/issue/53757).
func (g *group) await() {
	select {
	case <-g.idle:
		return
	case <-g.crashed:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-g.idle:
	case <-timer.C:
	}
}

func (g *group) leave() {
	if g.active.Add(-1) == 0 {
		close(g.idle)
	}
}

// raise repeats a panic or Goexit of another goroutine in the caller's.
func (g *group) raise() {
	if p := g.panicked.Load(); p != nil {
		if p.isAbort() {
			panic(p.Value)
		}
		panic(p)
	}
	if g.exited.Load() {
		runtime.Goexit()
	}
}

func mustHaveContext(ctx context.Context) {
	if ctx == nil {
		panic("concurrent: the context is nil")
	}
}
