package shutdown

import (
	"context"
	"fmt"
	"sync"
)

// A Tracker counts work that no server waits for: hijacked connections such as WebSockets, which
// [net/http.Server.Shutdown] leaves alone (golang/go#17721), and work detached from its request.
// Its Wait is the Func of a callback:
//
//	gs.AddCallback(shutdown.Callback{Name: "websockets", Phase: shutdown.PhaseWork, Func: tracker.Wait})
//
// The zero value is ready to use. It must not be copied. All methods are safe for concurrent use.
type Tracker struct {
	mu    sync.Mutex
	count int
	empty chan struct{} // made by the first Wait; closed when nothing is left
}

// Add counts one piece of work until done is called; calling done again does nothing. After the
// first Wait it counts nothing and returns false: the service is stopping, and the work must not be
// begun. done is never nil.
func (t *Tracker) Add() (done func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.empty != nil {
		return func() {}, false
	}
	t.count++
	return sync.OnceFunc(t.done), true
}

func (t *Tracker) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count--
	if t.count == 0 && t.empty != nil {
		close(t.empty)
	}
}

// Wait makes Add return false from now on, and returns nil when all work that was counted is done.
// If ctx ends before, its error says how many pieces are left and wraps the cause of ctx. It may be
// called several times.
func (t *Tracker) Wait(ctx context.Context) error {
	t.mu.Lock()
	if t.empty == nil {
		t.empty = make(chan struct{})
		if t.count == 0 {
			close(t.empty)
		}
	}
	empty := t.empty
	t.mu.Unlock()

	select {
	case <-empty:
		return nil
	default:
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shutdown: %d still running: %w", t.Len(), context.Cause(ctx))
	}
}

// Len returns how many pieces of work are counted now.
func (t *Tracker) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}
