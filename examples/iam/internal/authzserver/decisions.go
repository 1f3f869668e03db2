package authzserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

// A record is what is kept of one decision: a line of JSON.
type record struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"requestID"`
	Owner     string    `json:"owner"` // whose policies were asked
	Secret    string    `json:"secret"`
	Subject   string    `json:"subject"`
	Action    string    `json:"action"`
	Resource  string    `json:"resource"`
	Decision  string    `json:"decision"`         // allow or deny
	Policy    string    `json:"policy,omitempty"` // that decided, if one did
	Reason    string    `json:"reason"`
}

func newRecord(requestID, secret, owner string, r policy.Request, d policy.Decision) record {
	decision := "deny"
	if d.Allowed {
		decision = "allow"
	}
	return record{time.Now().UTC(), requestID, owner, secret, r.Subject, r.Action, r.Resource, decision, d.Policy, d.Reason}
}

// A recorder writes records in a goroutine of its own, which no decision waits for: a record that
// finds the queue full is dropped, and counted.
type recorder struct {
	queue   chan record
	w       io.Writer
	log     *slog.Logger
	dropped atomic.Uint64
	written atomic.Uint64

	stop, stopped chan struct{}
}

// queued is enough for what a burst brings while the disk is busy, at half a kilobyte each.
const queued = 8192

func newRecorder(w io.Writer, log *slog.Logger) *recorder {
	return &recorder{queue: make(chan record, queued), w: w, log: log, stop: make(chan struct{}), stopped: make(chan struct{})}
}

// add never blocks. A nil recorder keeps nothing.
func (r *recorder) add(rec record) {
	if r == nil {
		return
	}
	select {
	case r.queue <- rec:
	default:
		r.dropped.Add(1)
	}
}

// run writes until flush is called.
func (r *recorder) run() {
	defer close(r.stopped)
	out := bufio.NewWriterSize(r.w, 64<<10)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	inBuffer, told := uint64(0), uint64(0)
	write := func(rec record) {
		_ = encoder.Encode(rec) // the error comes again from Flush
		inBuffer++
	}
	for tick, last := time.Tick(time.Second), false; !last; {
		select {
		case rec := <-r.queue:
			write(rec)
		case <-tick:
			if n := r.dropped.Load(); n != told {
				r.log.Warn("decisions are not on record: the records come faster than they can be written", "dropped", n-told, "in_all", n)
				told = n
			}
			continue
		case <-r.stop:
			last = true
			for len(r.queue) > 0 {
				write(<-r.queue)
			}
		}
		if len(r.queue) > 0 && !last {
			continue
		}
		if err := out.Flush(); err != nil {
			r.log.Error("decisions are not on record", "error", err, "dropped", inBuffer)
			r.dropped.Add(inBuffer)
			told += inBuffer
			out.Reset(r.w) // a writer with an error takes nothing any more
		} else {
			r.written.Add(inBuffer)
		}
		inBuffer = 0
	}
}

// flush writes what is in the queue, and ends run. No decision is made any more, unless it was
// given up.
func (r *recorder) flush(ctx context.Context) error {
	close(r.stop)
	select {
	case <-r.stopped:
	case <-ctx.Done():
		return fmt.Errorf("%d decisions or more are not on record: %w", len(r.queue), context.Cause(ctx))
	}
	r.log.Info("the record of decisions is complete", "written", r.written.Load(), "dropped", r.dropped.Load())
	return nil
}
