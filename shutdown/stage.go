package shutdown

import (
	"context"
	"errors"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

type event struct {
	step  *step
	kind  eventKind
	found finding // of the error returned
}

type eventKind int

const (
	returned eventKind = iota // run has returned, before the deadline or without an error
	obeyed                    // run has returned an error after the deadline
	expired                   // run has not returned a moment after the deadline
	cut                       // the cut of the step has returned or was abandoned
)

// A stageRun is one stage while it runs.
type stageRun struct {
	*stop
	stage  stage
	begun  time.Time
	end    time.Time
	due    time.Time // end, or when that was moved to an earlier time
	events chan event
	left   int // steps that have neither returned nor been abandoned
}

// runStage runs steps, all of one stage, at the same time. It returns when each has returned or was
// abandoned.
func (s *stop) runStage(steps []*step) {
	if steps[0].stage.isPause() {
		s.catchUp(s.seen)
	}
	r := &stageRun{
		stop: s, stage: steps[0].stage, begun: time.Now(), left: len(steps),
		events: make(chan event, 3*len(steps)), // buffered, so that a late step can send and end
	}
	moved := s.gs.clock.changes()
	r.setEnd()
	s.enter(r.stage)

	movable, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	ctx, release := context.WithDeadlineCause(movable, r.end, ErrTimeout)
	defer release()
	for _, t := range steps {
		if r.stage.kind < kindRelease { // the later ones are in the report only if they fail
			s.gs.addRow(t)
		}
		defer r.call(ctx, t)()
	}
	over, notice := ctx.Done(), (<-chan time.Time)(nil)
	for r.left > 0 {
		select {
		case e := <-r.events:
			r.handle(ctx, e)
		case <-moved:
			moved = s.gs.clock.changes()
			r.setEnd()
			s.gs.tightenInner()
			defer time.AfterFunc(time.Until(r.end), func() { cancel(ErrTimeout) }).Stop()
		case <-over:
			over, notice = nil, time.After(s.notice())
		case <-notice:
			for len(r.events) > 0 { // select picks any of the ready cases
				r.handle(ctx, <-r.events)
			}
			for _, t := range steps {
				r.handle(ctx, event{step: t, kind: expired})
			}
		case <-s.progress.C:
			s.tellProgress()
		}
	}
	if r.stage.isPause() {
		s.catchUp(r.due)
	}
	s.seen = time.Now()
	if r.stage.sharesTail() {
		s.stagesLeft--
	}
	if s.hangs && s.stacks == nil {
		s.stacks = guard.Go(s.ctx, "shutdown/stacks", s.takeStacks)
	}
}

func (r *stageRun) setEnd() {
	r.end = r.stop.end(r.stage, r.begun)
	r.due = latest(r.end, time.Now())
	r.gs.clock.setStage(r.end)
}

func (r *stageRun) handle(ctx context.Context, e event) {
	t := e.step
	switch {
	case t.done || t.cutting && e.kind != cut:
		return
	case t.cut != nil && (e.kind == obeyed || e.kind == expired):
		t.cutting, t.said = true, e.found
		r.cut(ctx, t)
		return
	case e.kind != returned && !r.stage.isPause(): // a pause that ends late is no fault of anybody's
		took := max(0, r.end.Sub(r.begun))
		if t.timeout > 0 {
			took = min(took, t.timeout)
		}
		e.found = e.found.timedOut(took)
		r.hangs = true
	}
	if t.cutting || e.found.skipped {
		e.found = e.found.and(t.lastWords()...)
	}
	t.done = true
	r.left--
	r.gs.end(t, e.found)
}

func (r *stageRun) cut(ctx context.Context, t *step) {
	begun, stages := time.Now(), r.stagesLeft
	call := guard.Go(ctx, t.label(), t.cut)
	guard.Go(ctx, t.label(), func() error {
		err := errors.New("cutting what was left has not returned")
		if r.gs.waitFor(call, func() time.Time { return r.cutEnd(begun, stages) }) {
			err = call.Err()
		}
		r.events <- event{step: t, kind: cut, found: find(err, nil)}
		return nil
	})
}

// call begins t. Its result is sent to events, and so is the end of its own timeout, but not the
// end of ctx. release frees that timeout.
func (r *stageRun) call(ctx context.Context, t *step) (release func()) {
	release = func() {}
	if ctx.Err() != nil {
		e := event{step: t}
		switch {
		case r.stage.isPause(): // ending early is not a failure
		case t.waitsForComponents: // the components may have ended already
			if e.found = find(t.run(ctx), nil); e.found.timeout {
				e.kind = obeyed
			}
		default:
			e.found = notCalled()
		}
		r.events <- e
		return release
	}
	if t.timeout > 0 {
		var cancel context.CancelFunc
		parent := ctx
		ctx, cancel = context.WithTimeoutCause(ctx, t.timeout, ErrTimeout)
		unwatch := context.AfterFunc(ctx, func() {
			if parent.Err() == nil { // runStage handles the end of parent
				time.AfterFunc(r.notice(), func() { r.events <- event{step: t, kind: expired} })
			}
		})
		release = func() { unwatch(); cancel() }
	}
	var found finding
	guard.Then(ctx, t.label(),
		func() error { found = find(t.run(ctx), nil); return nil },
		func(err error) {
			if err != nil { // a panic, or Goexit
				found = find(err, nil)
			}
			e := event{step: t, found: found}
			if found.err != nil && guard.Ended(ctx) {
				e.kind = obeyed
			}
			r.events <- e
		})
	return release
}
