// Package inorder calls functions one after the other, in the order in which they were added, in a
// goroutine for which the caller does not wait.
package inorder

import (
	"context"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A Queue calls functions, which are user code, in order and one at a time. Label and Limit are
// required; the exported fields must not change after the first Add.
type Queue struct {
	Label string      // for the goroutine, see [guard.Go]
	Limit int         // how many functions may wait; beyond it the oldest are dropped
	Fail  func(error) // is told of a panic or runtime.Goexit; may be nil

	mu      sync.Mutex
	waiting []func()
	dropped int
	idle    chan struct{} // closed when nothing is waiting; nil before the first Add
	running bool
	called  time.Time // when the function in progress was
	closed  bool
}

// Add has f called after everything that was added before. It never blocks, and after Close it does
// nothing. The goroutine that calls f ends when nothing is waiting.
func (q *Queue) Add(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.waiting = append(q.waiting, f)
	if excess := len(q.waiting) - q.Limit; excess > 0 {
		clear(q.waiting[:excess])
		q.waiting = q.waiting[excess:]
		q.dropped += excess
	}
	if !q.running {
		q.running, q.idle = true, make(chan struct{})
		q.run()
	}
}

func (q *Queue) run() {
	guard.Go(context.Background(), q.Label, func() error {
		finished := false
		defer func() {
			if !finished { // a function has called runtime.Goexit, which ends this goroutine
				q.fail(guard.ErrExited)
				q.run()
			}
		}()
		for f := q.next(); f != nil; f = q.next() {
			if p := guard.Catch(f); p != nil {
				q.fail(p)
			}
		}
		finished = true
		return nil
	})
}

// next returns the next function to call, or nil if nothing is waiting.
func (q *Queue) next() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running = false
		close(q.idle)
		return nil
	}
	f := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	q.called = time.Now()
	return f
}

// InProgress returns for how long the function in progress has been running; 0 if there is none.
func (q *Queue) InProgress() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.running {
		return 0
	}
	return time.Since(q.called)
}

func (q *Queue) fail(err error) {
	if q.Fail != nil {
		q.Fail(err)
	}
}

// Dropped returns how many functions were dropped because too many were waiting.
func (q *Queue) Dropped() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close waits until everything that was added has been called, but at most d. It then drops the
// functions still waiting, and reports whether nothing was left. A function in progress is not
// interrupted.
func (q *Queue) Close(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for idle := q.closeIfIdle(); idle != nil; idle = q.closeIfIdle() {
		select {
		case <-idle: // something may have been added since
		case <-timer.C:
			q.mu.Lock()
			defer q.mu.Unlock()
			q.closed, q.waiting = true, nil
			return !q.running
		}
	}
	return true
}

// closeIfIdle closes q and returns nil if nothing is left; otherwise it returns a channel to wait
// for.
func (q *Queue) closeIfIdle() (idle <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running {
		return q.idle
	}
	q.closed = true
	return nil
}
