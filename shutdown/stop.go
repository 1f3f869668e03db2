package shutdown

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/oneline"
)

// A step is one thing that a stop does. Everything is one: a callback, the drain of a server, the
// wait for a component, a manager's hook, Delay, Linger.
type step struct {
	name    string
	stage   stage
	timeout time.Duration // 0 for what the stage has
	run     func(context.Context) error

	cut        func() error  // for servers: ends by force what run could not end by asking
	waitingFor func() string // for people, more than the name; may be nil
	components []*component  // that run waits for
	onlyWaits  bool          // run does nothing else, so there is none without a component
	pause      bool          // it only waits: to be cut short is no failure
	quiet      bool          // has a row in the report only if it fails
}

// A stage is when a step is done. The steps of one stage are done at the same time.
type stage struct {
	kind  kind
	phase Phase // of kindPhase
}

type kind int

// The kinds of stages, in their order.
const (
	kindStart     kind = iota // managers hear of the stop
	kindDelay                 // balancers notice
	kindClose                 // shared listening sockets are left to the next process
	kindLinger                // clients make their last request
	kindPhase                 // callbacks, servers, components
	kindFinish                // managers hear how it went
	kindRelease               // managers give back what they hold
	kindObservers             // Logger, ErrorHandler and Watch catch up
)

func (s stage) compare(other stage) int {
	return cmp.Or(cmp.Compare(s.kind, other.kind), cmp.Compare(s.phase, other.phase))
}

func (s stage) sharesTail() bool {
	return s.kind == kindStart || s.kind == kindPhase || s.kind == kindFinish
}

func (s stage) String() string {
	if s.kind == kindPhase {
		return s.phase.String()
	}
	return [...]string{"start", "delay", "close", "linger", "", "finish", "release", "observers"}[s.kind]
}

// A stop holds what only the stop needs while it runs.
type stop struct {
	gs     *GracefulShutdown
	reason error
	begun  time.Time
	ctx    context.Context // the parent of every step's

	stagesLeft int           // that share Tail
	hangs      bool          // a step was late
	stacks     *guard.Call   // takes profile
	profile    limitedBuffer // of all goroutines, after the first stage in which a step was late
}

type stopKey struct{}

// stop is the whole of a stop; it runs once, in a goroutine of its own.
func (gs *GracefulShutdown) stop(reason error) {
	s := &stop{gs: gs, reason: reason}
	s.begin()
	defer s.tellProgress()()
	steps := s.steps()
	for len(steps) > 0 {
		n := 1
		for n < len(steps) && steps[n].stage == steps[0].stage {
			n++
		}
		s.runStage(steps[:n])
		steps = steps[n:]
	}
	s.finish()
}

func (s *stop) begin() {
	gs := s.gs
	f, reason := find(s.reason, nil), guard.Text(s.reason)
	gs.mu.Lock()
	s.begun, gs.report.reason = gs.report.Start, reason
	manager, settled := gs.report.Manager, gs.settled
	gs.mu.Unlock()
	if f.before != nil {
		gs.clock.tighten(f.before.at)
	}

	attrs := []slog.Attr{slog.String("reason", oneline.First(reason))}
	if manager != "" {
		attrs = append(attrs, slog.String("manager", manager))
	}
	level := slog.LevelInfo
	if _, ok := s.reason.(*ComponentError); ok { //nolint:errorlint // ours, never wrapped
		level = slog.LevelError
	}
	gs.log(level, "shutdown begins", attrs...)

	if settled != nil {
		<-settled // a Start in progress sees the trigger and ends
	}
	gs.tightenByOuter()
	gs.mu.Lock()
	defer gs.mu.Unlock()
	s.ctx = context.Background()
	if gs.parent != nil {
		s.ctx = context.WithoutCancel(gs.parent)
	}
	s.ctx = context.WithValue(s.ctx, stopKey{}, s)
}

// steps returns all that is to be done, in order. From here on nothing is added.
func (s *stop) steps() []*step {
	gs := s.gs
	gs.mu.Lock()
	defer gs.mu.Unlock()

	var steps []*step
	if delay, _, _ := gs.clock.ends(); delay > 0 && gs.servesLocked() {
		steps = append(steps, &step{stage: stage{kind: kindDelay}, pause: true, run: untilOver})
	}
	if len(gs.held) > 0 {
		steps = append(steps, &step{stage: stage{kind: kindClose}, pause: true, run: gs.hold})
	}
	if linger := s.lingering(); linger != nil {
		steps = append(steps, linger)
	}
	for _, st := range gs.steps {
		launched := slices.ContainsFunc(st.components, func(c *component) bool { return c.launched })
		if launched || !st.onlyWaits {
			steps = append(steps, st)
		}
	}
	for _, m := range gs.managers {
		if m.started {
			steps = append(steps, m.steps()...)
		}
	}
	steps = append(steps, gs.observerSteps()...)
	slices.SortStableFunc(steps, func(a, b *step) int { return a.stage.compare(b.stage) })

	s.hangs = slices.ContainsFunc(gs.report.Steps, func(row Step) bool { return row.State == StateTimeout })
	counted := make(map[stage]bool)
	for _, st := range steps {
		if st.stage.sharesTail() {
			counted[st.stage] = true
		}
	}
	s.stagesLeft = len(counted)
	return steps
}

func untilOver(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// lingering returns the step that gives connections the time for a last request, or nil if there
// are none. It is called under the lock.
func (s *stop) lingering() *step {
	var waits []func(context.Context)
	for _, srv := range s.gs.servers {
		d := s.gs.lingerOf(srv)
		switch {
		case d <= 0:
		case srv.http != nil:
			waits = append(waits, func(ctx context.Context) { srv.http.conns.linger(ctx, s.begun, d) })
		default:
			waits = append(waits, func(ctx context.Context) {
				select {
				case <-time.After(d):
				case <-ctx.Done():
				}
			})
		}
	}
	if len(waits) == 0 {
		return nil
	}
	return &step{stage: stage{kind: kindLinger}, pause: true, run: func(ctx context.Context) error {
		for _, wait := range waits {
			wait(ctx)
		}
		return nil
	}}
}

// lingerOf returns how long connections of srv linger. Those of a gRPC server are not known, and
// GracefulStop closes one that was just accepted. If the listener is shared there may be one at any
// time.
func (gs *GracefulShutdown) lingerOf(srv *server) time.Duration {
	const justAccepted = 50 * time.Millisecond
	shared := slices.ContainsFunc(gs.held, func(l *heldListener) bool { return !l.owned })
	switch {
	case srv.step.stage.phase > PhaseIngress:
		return 0
	case srv.http != nil || shared:
		return gs.linger
	case srv.isServed():
		return min(gs.linger, justAccepted)
	}
	return 0
}

// An event is something that happened to a step of the stage that is running.
type event struct {
	step  int // its index
	kind  eventKind
	found finding // of what has returned
}

type eventKind int

const (
	returned eventKind = iota // run, before its deadline or without an error
	obeyed                    // run, with an error, after its deadline
	expired                   // the deadline and a moment more are over
	cut                       // what could not end by asking was ended by force
)

// runStage does steps of one stage at the same time, and returns when each has returned or was
// given up.
func (s *stop) runStage(steps []*step) {
	st, begun := steps[0].stage, time.Now()
	moved := s.gs.clock.changes()
	end := s.end(st, begun)
	s.gs.clock.setStage(end)
	s.enter(st)

	movable, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	ctx, release := context.WithDeadlineCause(movable, end, ErrTimeout)
	defer release()
	events := make(chan event, 3*len(steps)) // a place for each, so that late ones need nobody to wait
	rows := make([]int, len(steps))
	for i, t := range steps {
		rows[i] = s.gs.begin(t)
		defer s.call(ctx, t, i, events)()
	}

	cutting, done := make([]bool, len(steps)), make([]bool, len(steps))
	over, notice := ctx.Done(), (<-chan time.Time)(nil)
	for left := len(steps); left > 0; {
		var happened []event
		select {
		case e := <-events:
			happened = append(happened, e)
		case <-moved:
			moved = s.gs.clock.changes()
			end = s.end(st, begun)
			s.gs.clock.setStage(end)
			s.gs.tightenInner()
			defer time.AfterFunc(time.Until(end), func() { cancel(ErrTimeout) }).Stop()
		case <-over:
			over, notice = nil, time.After(s.notice())
		case <-notice:
			for len(events) > 0 { // of several that are ready, select takes any
				happened = append(happened, <-events)
			}
			for i := range steps {
				happened = append(happened, event{step: i, kind: expired})
			}
		}
		for _, e := range happened {
			t := steps[e.step]
			switch {
			case done[e.step] || cutting[e.step] && e.kind != cut:
				continue
			case t.cut != nil && (e.kind == obeyed || e.kind == expired):
				cutting[e.step] = true
				guard.Go(ctx, t.label(), func() error {
					err := guard.Within(min(cutTime, s.left()), t.label(), t.cut)
					if err == guard.ErrHangs { //nolint:errorlint // never wrapped
						err = errors.New("cutting what was left has not returned")
					}
					f := find(err, nil)
					events <- event{step: e.step, kind: cut, found: f}
					return nil
				})
				continue
			case e.kind != returned:
				took := max(0, end.Sub(begun))
				if t.timeout > 0 {
					took = min(took, t.timeout)
				}
				e.found = e.found.timedOut(took)
				s.hangs = true
			}
			done[e.step] = true
			left--
			s.gs.end(rows[e.step], t, e.found)
		}
	}
	if st.sharesTail() {
		s.stagesLeft--
	}
	if s.hangs && s.stacks == nil {
		s.stacks = guard.Go(s.ctx, "shutdown/stacks", s.takeStacks)
	}
}

// call begins one step. What becomes of it is sent to events, except that the end of ctx is not.
// release frees what was needed for that.
func (s *stop) call(ctx context.Context, t *step, i int, events chan<- event) (release func()) {
	release = func() {}
	if ctx.Err() != nil {
		e := event{step: i}
		switch {
		case t.pause: // to be cut short is no failure
		case t.onlyWaits: // which may be over already, by the component's error
			if e.found = find(t.run(ctx), nil); e.found.timeout {
				e.kind = obeyed
			}
		default:
			e.found = notCalled()
		}
		events <- e
		return release
	}
	if t.timeout > 0 {
		var cancel context.CancelFunc
		parent := ctx
		ctx, cancel = context.WithTimeoutCause(ctx, t.timeout, ErrTimeout)
		unwatch := context.AfterFunc(ctx, func() {
			if parent.Err() == nil { // which the caller looks after
				time.AfterFunc(s.notice(), func() { events <- event{step: i, kind: expired} })
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
			e := event{step: i, found: found}
			if found.err != nil && ctx.Err() != nil {
				e.kind = obeyed
			}
			events <- e
		})
	return release
}

// notice returns how long what obeys its deadline is waited for.
func (s *stop) notice() time.Duration { return min(s.lastMoment(), max(0, s.left())) }

// enter does what belongs to the beginning of a stage. Stages may be missing, so each of these
// looks whether it is due.
func (s *stop) enter(st stage) {
	if st.kind > kindDelay && !isClosed(s.gs.leaving) {
		close(s.gs.leaving)
	}
	if st.compare(stage{kindPhase, PhaseWork}) >= 0 {
		s.gs.cancel(s.reason) // only the first call counts
	}
	if st.kind >= kindRelease {
		s.gs.endStart()
	}
	if st.kind == kindObservers {
		s.tellEnd()
	}
}

// cutTime is how long a server's Close or Stop is waited for. They take no time, except for a TLS
// connection that does not take its closing alert (5s in crypto/tls) and for a gRPC server told to
// wait for its handlers.
const cutTime = 100 * time.Millisecond

// end returns when a stage that began at begun is given up. Stages that begin when Grace is over
// share what is left of Tail equally.
func (s *stop) end(st stage, begun time.Time) time.Time {
	delay, grace, tail := s.gs.clock.ends()
	latest := tail.Add(-2 * s.lastMoment()) // what obeys its deadline needs a moment to be heard
	inGrace := earliest(grace, latest)
	switch st.kind {
	case kindStart:
		if rest := grace.Sub(begun); rest > 0 {
			return earliest(inGrace, begun.Add(max(rest-delay, rest/10)/2))
		}
	case kindDelay:
		return earliest(inGrace, begun.Add(delay))
	case kindClose:
		return earliest(inGrace, begun.Add(min(closeWait, grace.Sub(begun)/2)))
	case kindLinger:
		return earliest(inGrace, begun.Add(min(s.gs.linger, grace.Sub(begun)/2)))
	case kindRelease: // what is held is given back in any case
		return later(begun.Add(guard.Notice), earliest(tail, begun.Add(cutTime)))
	case kindObservers:
		return later(begun.Add(guard.Notice), tail.Add(-s.lastMoment()))
	}
	if begun.Before(grace) {
		return inGrace
	}
	return earliest(latest, begun.Add(tail.Sub(begun)/time.Duration(s.stagesLeft)))
}

// left returns how much is left of Grace and Tail for the steps before the last.
func (s *stop) left() time.Duration {
	_, _, tail := s.gs.clock.ends()
	return time.Until(tail) - s.lastMoment()
}

// lastMoment is kept for what comes after the last phase.
func (s *stop) lastMoment() time.Duration {
	_, grace, tail := s.gs.clock.ends()
	moment := min(guard.Notice, tail.Sub(s.begun)/20)
	if d := tail.Sub(grace); d > 0 {
		moment = min(moment, d/5)
	}
	return moment
}

func (t *step) label() string { return "shutdown/" + cmp.Or(t.name, t.stage.String()) }

// finish makes the report final and lets the waiters go.
func (s *stop) finish() {
	gs := s.gs
	gs.leaveOuter()
	gs.told.Close(0) // whatever else happens, nothing is told after Wait has returned
	gs.watched.Close(0)
	if s.stacks != nil {
		_, _, tail := gs.clock.ends()
		s.stacks.WaitFor(time.Until(tail))
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if s.stacks != nil && isClosed(s.stacks.Done()) {
		gs.report.Stacks = s.profile.Bytes()
	}
	gs.report.Total = time.Since(s.begun)
	gs.err = errors.Join(gs.report.errors()...)
	close(gs.done)
}

// takeStacks takes a profile of all goroutines. Goroutines with the same stack are one entry of it,
// and it does not stop the world for as long as a dump does.
func (s *stop) takeStacks() error {
	return pprof.Lookup("goroutine").WriteTo(&s.profile, 1)
}

// A limitedBuffer drops what is beyond 16 MiB.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	const most = 16 << 20
	_, _ = b.Buffer.Write(p[:min(len(p), most-b.Len())])
	return len(p), nil
}
