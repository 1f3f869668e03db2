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

// A step is one thing that a stop does: a callback, the drain of a server, the wait for a
// component, a manager's hook, Delay, Linger.
type step struct {
	name    string
	stage   stage
	timeout time.Duration // 0: until the end of the stage
	run     func(context.Context) error

	cut                func() error  // for servers: ends by force what run did not end; may be nil
	waitingFor         func() string // detail for people, beside the name; may be nil
	components         []*component  // that run waits for
	waitsForComponents bool          // run only waits for components; left out if none was launched

	row           int     // in the report, from 1; 0 if it has none
	cutting, done bool    // used by its stageRun
	said          finding // likewise: what run has returned after its deadline
}

// A stage is when a step is done. The steps of one stage are done at the same time.
type stage struct {
	kind  kind
	phase Phase // of kindPhase
}

type kind int

// The kinds of stages, in their order.
const (
	kindStart     kind = iota // managers' ShutdownStart
	kindDelay                 // balancers notice
	kindClose                 // listeners stop accepting
	kindLinger                // clients make their last request
	kindPhase                 // callbacks, servers, components
	kindFinish                // managers' ShutdownFinish
	kindRelease               // managers' Release
	kindObservers             // Logger, ErrorHandler and Watch catch up
)

func (t *step) label() string { return "shutdown/" + cmp.Or(t.name, t.stage.String()) }

func (s stage) compare(other stage) int {
	return cmp.Or(cmp.Compare(s.kind, other.kind), cmp.Compare(s.phase, other.phase))
}

func (s stage) sharesTail() bool {
	return s.kind == kindStart || s.kind == kindPhase || s.kind == kindFinish
}

// afterIngress reports whether a server of this stage goes on accepting after Delay, until then.
func (s stage) afterIngress() bool { return s.phase > PhaseIngress }

// isPause reports whether its steps only let time pass: ending early is not a failure.
func (s stage) isPause() bool { return s.kind >= kindDelay && s.kind <= kindLinger }

func (s stage) String() string {
	if s.kind == kindPhase {
		return s.phase.String()
	}
	return [...]string{"start", "delay", "close", "linger", "", "finish", "release", "observers"}[s.kind]
}

// A stop is the state of a stop in progress.
type stop struct {
	gs     *GracefulShutdown
	reason error
	begun  time.Time
	seen   time.Time       // when the last stage ended; before the first one, begun
	ctx    context.Context // the parent of the context of every step

	progress   *time.Timer   // when to tell what the stop is waiting for
	stagesLeft int           // that share Tail, the running one included
	hangs      bool          // a step was late
	stacks     *guard.Call   // the call that takes profile
	profile    limitedBuffer // of all goroutines, taken after the first stage with a late step
}

type stopKey struct{}

// stop runs the whole stop. It is called once, in a goroutine of its own.
func (gs *GracefulShutdown) stop(reason error) {
	s := &stop{gs: gs, reason: reason}
	s.begin()
	s.progress = time.NewTimer(time.Second)
	defer s.progress.Stop()
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
	if _, ok := s.reason.(*ComponentError); ok { // ours, never wrapped
		level = slog.LevelError
	}
	gs.log(level, "shutdown begins", attrs...)

	s.seen = s.begun
	if settled != nil && !isClosed(settled) {
		<-settled // a Start in progress sees the trigger and ends
		s.seen = time.Now()
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

// steps returns all steps in their order. Nothing can be added any more.
func (s *stop) steps() []*step {
	gs := s.gs
	gs.mu.Lock()
	defer gs.mu.Unlock()

	var steps []*step
	if delay, _, _ := gs.clock.ends(); delay > 0 && gs.servesLocked() {
		steps = append(steps, &step{stage: stage{kind: kindDelay}, run: untilOver})
	}
	if len(gs.held) > 0 {
		held := gs.held
		steps = append(steps, &step{
			stage: stage{kind: kindClose},
			run:   func(ctx context.Context) error { return hold(ctx, held) },
		})
	}
	if linger := s.lingering(); linger != nil {
		steps = append(steps, linger)
	}
	for _, st := range gs.steps {
		launched := slices.ContainsFunc(st.components, func(c *component) bool { return c.done != nil })
		if launched || !st.waitsForComponents {
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
	for i, st := range steps {
		if st.stage.sharesTail() && (i == 0 || steps[i-1].stage != st.stage) {
			s.stagesLeft++
		}
	}
	return steps
}

func untilOver(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// lingering returns the step that gives connections time for a last request, or nil if there are
// none. The caller holds the lock.
func (s *stop) lingering() *step {
	d := s.gs.linger
	shared := slices.ContainsFunc(s.gs.held, func(l *heldListener) bool { return !l.owned })
	var lingers []lingerFunc
	for _, srv := range s.gs.servers {
		switch {
		case srv.step.stage.afterIngress() || d == 0 && len(srv.heldListeners()) == 0:
		case srv.conns != nil:
			lingers = append(lingers, srv.conns.linger)
		case shared: // a connection that is not known may have been accepted a moment ago
			lingers = append(lingers, lingerInFull)
		}
	}
	if len(lingers) == 0 {
		return nil
	}
	return &step{stage: stage{kind: kindLinger}, run: func(ctx context.Context) error {
		for _, linger := range lingers {
			linger(ctx, s.begun, d)
		}
		return nil
	}}
}

func lingerInFull(ctx context.Context, _ time.Time, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// catchUp is called at a time that was due. If it is late, the process was suspended, and what its
// clients have sent meanwhile is read before anything is closed: until nothing has come for half a
// second, two seconds at most. A shorter pause may come from a thread that still has no processor.
func (s *stop) catchUp(due time.Time) {
	if time.Since(due) <= suspension {
		return
	}
	_, grace, _ := s.gs.clock.ends()
	most := time.Now().Add(min(2*time.Second, time.Until(grace)/2))
	for quiet := 0; quiet < 50 && time.Now().Before(most); quiet++ {
		before := s.notes()
		time.Sleep(connsTick)
		if s.notes() > before {
			quiet = 0
		}
	}
}

// notes returns how often a connection has had a new state.
func (s *stop) notes() (n int64) {
	s.gs.mu.Lock()
	defer s.gs.mu.Unlock()
	for _, srv := range s.gs.servers {
		if srv.conns != nil {
			n += srv.conns.notes.Load()
		}
	}
	return n
}

// enter does what is due when a stage begins. Any stage may be missing, so each condition includes
// the later ones.
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

func (s *stop) finish() {
	gs := s.gs
	gs.leaveOuter()
	gs.observed.Close(0) // observers hear nothing after Wait has returned
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

// takeStacks takes a profile of all goroutines. Unlike a dump it merges equal stacks, and it stops
// the world for less time.
func (s *stop) takeStacks() error {
	return pprof.Lookup("goroutine").WriteTo(&s.profile, 1)
}

type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	const most = 16 << 20
	_, _ = b.Buffer.Write(p[:min(len(p), most-b.Len())])
	return len(p), nil
}
