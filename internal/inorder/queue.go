// Package inorder calls functions one after the other, in the order in which they were given, in a
// goroutine that whoever gives them does not wait for.
package inorder

import (
	"context"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A Queue calls functions, which are user code, in order and one at a time. It needs Label and
// Limit; the fields must not change after the first Add.
type Queue struct {
	Label string      // for the goroutine, see [guard.Go]
	Limit int         // how many functions may wait; the oldest go first
	Fail  func(error) // gets what a function that does not return comes to; may be nil

	mu      sync.Mutex
	waiting []func()
	dropped int
	idle    chan struct{} // closed when nothing is waiting; nil before the first Add
	running bool
	closed  bool
}

// Add has f called after everything that was added before. It never blocks. Its goroutine ends when
// nothing is waiting any more.
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
			if !finished { // a function called runtime.Goexit, which ends this goroutine
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

// next returns the function to call now, or nil when nothing is waiting.
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
	return f
}

func (q *Queue) fail(err error) {
	if q.Fail != nil {
		q.Fail(err)
	}
}

// Dropped returns how many functions were never called because too many were waiting.
func (q *Queue) Dropped() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close waits until everything that was added has been called, but no longer than d. After it
// nothing is called any more. It reports whether nothing was left.
func (q *Queue) Close(d time.Duration) bool {
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	if idle != nil {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-idle:
		case <-timer.C:
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.waiting = true, nil
	return !q.running
}
