package shutdown

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Tracker counts work that no server waits for: hijacked connections such as WebSockets, which
// [net/http.Server.Shutdown] leaves alone (golang/go#17721), streams that go on until they are told
// to leave, such as server-sent events, and work detached from its request. Its Wait is the Func of
// a callback. For streams the callback is in [PhaseIngress], so that they leave while the servers
// drain:
//
//	var streams = &shutdown.Tracker{Over: 5 * time.Second}
//	gs.AddCallback(shutdown.Callback{
//		Name: "streams", Phase: shutdown.PhaseIngress, Func: streams.Wait,
//	})
//
// Use a second Tracker, in [PhaseWork], for detached work: requests in flight may still begin some
// while the servers drain.
//
// The zero value is ready to use. It must not be copied. All methods are safe for concurrent use.
type Tracker struct {
	// Over is the time over which Wait spreads telling the streams to leave, so that their clients
	// do not all reconnect at once. At most 80% of the time left to Wait's context is used. With 0
	// all are told at once. It must not change after the first Wait.
	Over time.Duration

	mu      sync.Mutex
	count   int
	streams map[chan struct{}]struct{} // those not yet told to leave
	empty   chan struct{}              // made by the first Wait; closed when nothing is left
}

// Add counts one piece of work until done is called; calling done again does nothing. After the
// first Wait it counts nothing and returns false: the service is stopping, and the work must not
// begin. done is never nil.
func (t *Tracker) Add() (done func(), ok bool) {
	return t.add(nil)
}

// Stream is [Tracker.Add] for work that ends when it is told to. leave is closed when this stream
// should end: it then says goodbye to its client, by a close frame or the end of the response, and
// calls done. If ok is false, leave is already closed. The client may have come back on the
// connection of a stream that has just ended: end the response of an event stream then without an
// event, and with status 200, because a browser's EventSource gives up after any other.
func (t *Tracker) Stream() (leave <-chan struct{}, done func(), ok bool) {
	stream := make(chan struct{})
	done, ok = t.add(stream)
	if !ok {
		close(stream)
	}
	return stream, done, ok
}

// add counts one piece of work. stream is nil for work that is not told to leave.
func (t *Tracker) add(stream chan struct{}) (done func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.empty != nil {
		return func() {}, false
	}
	t.count++
	if stream != nil {
		if t.streams == nil {
			t.streams = make(map[chan struct{}]struct{})
		}
		t.streams[stream] = struct{}{}
	}
	return sync.OnceFunc(func() { t.done(stream) }), true
}

func (t *Tracker) done(stream chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.streams, stream)
	t.count--
	if t.count == 0 && t.empty != nil {
		close(t.empty)
	}
}

// Wait makes Add and Stream return false from now on, tells the streams to leave, in no particular
// order and evenly spread over Over, and returns nil when all counted work is done. If ctx ends
// first, the other streams are told at once, and Wait returns an error that says how many pieces of
// work are left and wraps the cause of ctx. Wait may be called several times.
func (t *Tracker) Wait(ctx context.Context) error {
	empty, first := t.close()
	if first {
		t.tellStreams(ctx, empty)
	}
	select {
	case <-empty:
	case <-ctx.Done():
		if !isClosed(empty) {
			return fmt.Errorf("shutdown: %d still running: %w", t.Len(), context.Cause(ctx))
		}
	}
	return nil
}

func (t *Tracker) close() (empty <-chan struct{}, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.empty != nil {
		return t.empty, false
	}
	t.empty = make(chan struct{})
	if t.count == 0 {
		close(t.empty)
	}
	return t.empty, true
}

// tellStreams returns when all streams have been told to leave or are done, or when ctx ends.
func (t *Tracker) tellStreams(ctx context.Context, empty <-chan struct{}) {
	over := t.Over
	if end, ok := ctx.Deadline(); ok {
		over = min(over, time.Until(end)*8/10)
	}
	now := time.Now()
	end := now.Add(over)
	due := 1
	for {
		n := t.tell(due)
		if n == 0 {
			return
		}
		interval := max(0, end.Sub(now)) / time.Duration(n)
		select {
		case <-time.After(interval):
		case <-empty:
			return
		case <-ctx.Done():
			t.tell(n)
			return
		}
		last := now
		now = time.Now()
		due = n
		if interval > 0 { // a timer may take several intervals
			due = max(1, int(now.Sub(last)/interval))
		}
	}
}

// tell tells n streams to leave, and returns how many have not been told yet.
func (t *Tracker) tell(n int) (left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for stream := range t.streams {
		if n--; n < 0 {
			break
		}
		delete(t.streams, stream)
		close(stream)
	}
	return len(t.streams)
}

// Len returns how many pieces of work and streams are counted now.
func (t *Tracker) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}
