package shutdown_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// Whatever a service consists of and whenever it is asked to stop, it stops as the model says, to
// the nanosecond. The input chooses the plan: see newPlan.
func FuzzStop(f *testing.F) {
	f.Add([]byte{})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		input := make([]byte, 50+rnd.IntN(250))
		for i := range input {
			input[i] = byte(rnd.UintN(256))
		}
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		checkPlan(t, newPlan(input))
	})
}

// checkPlan carries p out in a bubble, and holds what was seen against the rules of the protocol
// and against the model.
func checkPlan(t *testing.T, p *plan) {
	defer func() {
		if deadlock := recover(); deadlock != nil {
			panic(fmt.Sprintf("%v\nThe plan was:\n%v", deadlock, p))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		tr := p.carryOut(t)
		m := newModel(tr)
		checkProtocol(t, tr, m)
		checkModel(t, tr, m)
		if t.Failed() {
			t.Logf("The plan was:\n%v", p)
			t.Logf("It ended with this report:\n%v\nthis error:\n%v\nand told:\n%v",
				tr.report, tr.err, errors.Join(tr.told...))
		}
	})
}

// A model is a stop on a clock of its own, in which nothing runs at the same time. All times are
// counted as in a plan.
type model struct {
	*plan
	seen *trace
	now  time.Duration

	asks     []ask
	trigger  time.Duration  // the earliest of them
	winner   string         // who asked then
	startErr string         // "", "shutting down", or the manager that has failed
	running  []*planManager // those whose hooks are called
	launched time.Duration  // when the components began; never, if the stop came before

	stagesLeft int
	steps      []*prediction
	hurried    []bool // what Hurry returns
}

// An ask is a request for the stop.
type ask struct {
	name string
	at   time.Duration
}

// A prediction is what the model says of one step.
type prediction struct {
	step                     // its start is a time, not yet a duration from the trigger on
	either    shutdown.State // what its state may be as well, if it ended just at its deadline
	end       time.Duration
	until     time.Duration // its deadline as it began
	over      time.Duration // its deadline as it came, after all that brought it nearer
	givenUpAt time.Duration
	action    *action             // nil: Delay, an observer
	outcome   func(p *prediction) // decides state, either and end
	timeless  func(p *prediction) // the same if no time is left; nil: it is skipped
}

const never = time.Duration(math.MaxInt64)

// newModel is the model of what was carried out. What chance decides is taken from what was seen:
// who of several is the first that asks, which callbacks were accepted or removed in the very
// moment of the trigger.
func newModel(tr *trace) *model {
	m := &model{plan: tr.plan, seen: tr, launched: never}
	for i, at := range m.shutdownAt {
		m.ask(fmt.Sprint("Shutdown ", i), at)
	}
	if m.starts {
		m.start()
	}
	m.trigger = m.earliest()
	for _, a := range m.asks {
		if a.at == m.trigger && (m.winner == "" || a.name == tr.winner()) {
			m.winner = a.name
		}
	}
	m.now = max(m.now, m.trigger)
	m.stop()
	for _, at := range m.hurryAt {
		inGrace := at < m.clockAt(at-1).grace
		m.hurried = append(m.hurried, m.trigger < at && at <= m.now && inGrace)
	}
	return m
}

// start is Start: one manager after the other, then all components. The trigger ends it.
func (m *model) start() {
	if m.earliest() < m.startAt {
		m.startErr = "shutting down"
		return
	}
	m.now = m.startAt
	if m.endAt > 0 {
		m.ask("end", max(m.endAt, m.now))
	}
	for _, pm := range m.managers {
		if m.earliest() <= m.now {
			break
		}
		for _, at := range pm.askAt {
			m.ask(pm.name, max(at, m.now))
		}
		returns := never
		if pm.start.ends != endsNever {
			returns = m.now + pm.start.takes
		}
		patience := m.startPatience(m.earliest())
		if returns > patience { // it is left behind
			m.now = patience
			m.startFails(pm, shutdown.StateTimeout)
			return
		}
		m.now = returns
		if pm.start.ends != endsOK {
			m.startFails(pm, pm.start.ends.state())
			return
		}
		m.running = append(m.running, pm)
	}
	if m.earliest() <= m.now {
		m.startErr = "shutting down"
		return
	}
	m.launched = m.now
	for _, c := range m.components {
		if c.failAt > 0 && !finishes(c.says, false) {
			m.ask(c.name, max(c.failAt, m.now))
		}
	}
}

// startFails: if the stop has begun, it has a row and the others are stopped like any. Otherwise
// they are given up, and nobody looks at Start's context any more.
func (m *model) startFails(pm *planManager, state shutdown.State) {
	if m.earliest() <= m.now {
		m.startErr = "shutting down"
		s := step{name: pm.name, stage: "start", start: m.now, state: state}
		m.steps = append(m.steps, &prediction{step: s, end: m.now, action: pm.start})
		return
	}
	m.startErr, m.running = pm.name, nil
	if m.run {
		m.ask("start", m.now)
	}
	m.asks = slices.DeleteFunc(m.asks, func(a ask) bool { return a.name == "end" })
}

func (m *model) ask(name string, at time.Duration) { m.asks = append(m.asks, ask{name, at}) }

func (m *model) earliest() time.Duration {
	first := never
	for _, a := range m.asks {
		first = min(first, a.at)
	}
	return first
}

// stop is the stop, one stage after the other. (Nobody is connected, so Linger takes no time.)
func (m *model) stop() {
	begin, phases, finish := m.hooks("start"), m.phases(), m.hooks("finish")
	m.stagesLeft = min(1, len(begin)) + len(phases) + min(1, len(finish))
	delays := m.clockAt(m.now).delay > 0 && m.serves()

	m.stage(begin)
	m.stagesLeft -= min(1, len(begin))
	if delays {
		pause := func(p *prediction) { p.state, p.end = shutdown.StateOK, max(p.start, p.over) }
		s := step{stage: "delay"}
		m.stage([]*prediction{{step: s, outcome: pause, timeless: pause}})
	}
	for _, phase := range phases {
		m.stage(phase)
		m.stagesLeft--
	}
	m.stage(finish)
	m.observers()
}

// serves reports whether there may be somebody for whom Delay is: Start has succeeded, and if the
// reason is a component that has failed, another one goes on.
func (m *model) serves() bool {
	failed, goesOn := false, false
	for _, c := range m.components {
		failed = failed || c.name == m.winner
		goesOn = goesOn || m.returnsByItself(c) > m.trigger
	}
	return m.launched < never && (!failed || goesOn)
}

// returnsByItself is when a component does so, if nobody ends its context before.
func (m *model) returnsByItself(c *action) time.Duration {
	if c.failAt == 0 {
		return never
	}
	return max(c.failAt, m.launched)
}

// stage does all steps at the same time.
func (m *model) stage(steps []*prediction) {
	if len(steps) == 0 {
		return
	}
	stage, begin := steps[0].stage, m.now
	until, over := m.stageEnd(stage, begin, begin), m.stageOver(stage, begin)
	for _, s := range steps {
		s.start, s.until, s.over = begin, until, over
		s.givenUpAt = over + m.notice(over)
		if own := s.timeout(); own > 0 && begin+own < over {
			s.over = begin + own
			s.givenUpAt = min(s.givenUpAt, s.over+m.notice(s.over))
		}
		if own := s.timeout(); own > 0 {
			s.until = min(s.until, begin+own)
		}
		switch {
		case begin < until:
			s.outcome(s)
		case s.timeless != nil:
			s.timeless(s)
		default:
			s.state, s.end = shutdown.StateSkipped, begin
		}
		m.now = max(m.now, s.end)
		m.steps = append(m.steps, s)
	}
}

// stageOver is the end of a stage, after all that brings it nearer.
func (m *model) stageOver(stage string, begin time.Duration) time.Duration {
	over := m.stageEnd(stage, begin, begin)
	for _, at := range m.moves() {
		if begin < at && at < over {
			over = min(over, max(at, m.stageEnd(stage, begin, at)))
		}
	}
	return over
}

func (p *prediction) timeout() time.Duration {
	if p.action == nil {
		return 0
	}
	return p.action.timeout
}

func (m *model) hooks(stage string) []*prediction {
	var steps []*prediction
	for _, pm := range m.running {
		a := pm.begin
		if stage == "finish" {
			a = pm.finish
		}
		if a != nil {
			s := step{name: pm.name, stage: stage}
			steps = append(steps, &prediction{step: s, action: a, outcome: m.returns})
		}
	}
	return steps
}

func (m *model) phases() [][]*prediction {
	var all []*prediction
	add := func(a *action, phase shutdown.Phase, outcome, timeless func(*prediction)) {
		s := step{name: a.name, phase: phase}
		all = append(all, &prediction{step: s, action: a, outcome: outcome, timeless: timeless})
	}
	for _, s := range m.servers {
		drain := func(p *prediction) { m.drain(p, s) }
		add(s.graceful, shutdown.PhaseIngress, drain, nil)
	}
	for _, a := range m.callbacks {
		if m.isThere(a) {
			add(a, cmp.Or(a.phase, shutdown.PhaseStore), m.returns, nil)
		}
	}
	for _, c := range m.components {
		if m.launched < never && m.returnsByItself(c) >= m.trigger {
			add(c, shutdown.PhaseWork, m.await, m.await)
		}
	}
	slices.SortStableFunc(all, func(a, b *prediction) int { return cmp.Compare(a.phase, b.phase) })

	var phases [][]*prediction
	for i, p := range all {
		if i == 0 || p.phase != all[i-1].phase {
			phases = append(phases, nil)
		}
		last := len(phases) - 1
		phases[last] = append(phases[last], p)
	}
	return phases
}

// isThere reports whether a callback is there when the stop begins.
func (m *model) isThere(a *action) bool {
	added := a.addAt < m.trigger || a.addAt == m.trigger && a.refused == nil
	return added && !m.isRemoved(a)
}

func (m *model) isRemoved(a *action) bool {
	return a.removeAt > 0 && (a.removeAt < m.trigger || a.removeAt == m.trigger && a.removed)
}

// returns is the end of an action: by itself, at its deadline, or when it is given up.
func (m *model) returns(p *prediction) {
	p.state, p.end = p.action.ends.state(), never
	if p.action.ends != endsNever {
		p.end = p.start + p.action.takes
	}
	isLate := p.end >= p.over
	switch {
	case isLate && !p.action.deaf: // by the end of its context
		if p.end == p.over {
			p.either = p.state
		}
		p.state, p.end = shutdown.StateTimeout, p.over
	case p.end > p.givenUpAt:
		p.state, p.end = shutdown.StateTimeout, p.givenUpAt
	case p.end == p.over || p.end == p.givenUpAt:
		p.either = shutdown.StateTimeout
	case isLate && p.state != shutdown.StateOK:
		p.state = shutdown.StateTimeout
	}
}

// await is the wait for a component, whose context has ended as this phase began. It may have
// returned before.
func (m *model) await(p *prediction) {
	c := p.action
	if at := m.returnsByItself(c); at <= m.trigger || at < p.start {
		p.state, p.end = shutdown.StateError, p.start
		if finishes(c.says, c.name != m.winner) {
			p.state = shutdown.StateOK
		}
		return
	}
	obeys := *c // the wait does, whatever the component does
	obeys.deaf = false
	p.action, p.over = &obeys, max(p.start, p.over)
	m.returns(p)
	p.action = c
}

// finishes reports whether a component that returns err is finished, and has not failed.
func finishes(err error, afterTrigger bool) bool {
	return err == nil || errors.Is(err, http.ErrServerClosed) ||
		afterTrigger && errors.Is(err, context.Canceled)
}

// drain is GracefulStop, and Stop when that is given up or has failed after its deadline.
func (m *model) drain(p *prediction, s *planServer) {
	m.returns(p)
	if p.state == shutdown.StateTimeout && s.stopHangs {
		p.end = m.cutOver(p.end)
	}
}

// observers: one that blocks is waited for. The Logger has always been told of something.
func (m *model) observers() {
	begin, end := m.now, m.stageOver("observers", m.now)
	blocks := func(name string, until time.Duration) {
		m.now = max(m.now, until)
		s := step{name: name, stage: "observers", start: until, state: shutdown.StateTimeout}
		m.steps = append(m.steps, &prediction{step: s, end: until})
	}
	fails := func(p *prediction) bool {
		return p.state != shutdown.StateOK && p.either != shutdown.StateOK ||
			p.either != "" && len(m.seen.told) > 0
	}
	anyFails, anySteps := slices.ContainsFunc(m.steps, fails), len(m.steps) > 0
	if m.watchBlocks && anySteps {
		blocks("Watch", min(end, begin+watchTime))
	}
	if m.loggerBlocks || m.handlerBlocks && anyFails {
		blocks("Logger or ErrorHandler", end)
	}
}

func checkModel(t *testing.T, tr *trace, m *model) {
	assert.Equal(t, m.trigger, tr.report.Start.Sub(tr.epoch), "when the stop began")
	assert.Equal(t, m.now-m.trigger, tr.report.Total, "how long it took")
	assert.Equal(t, m.now, tr.doneAt, "when Wait returned")
	assert.Equal(t, m.hurried, tr.hurried, "what Hurry returned")
	winner := tr.winner()
	assert.Contains(t, m.asks, ask{winner, m.trigger}, "%q asked before all others", winner)
	switch {
	case !tr.starts:
	case m.startErr != "" && m.startErr != "shutting down":
		assert.ErrorContains(t, tr.startErr, "starting manager "+m.startErr)
		if !tr.run {
			break
		}
		assert.Len(t, leaves(tr.startErr), 1+len(leaves(tr.err)), "Run adds the error of Start")
	case tr.run:
		assert.Equal(t, leaves(tr.err), leaves(tr.startErr), "Run returns what Wait does")
	case m.startErr == "":
		assert.NoError(t, tr.startErr)
	default:
		assert.Equal(t, shutdown.ErrShuttingDown, tr.startErr)
	}

	steps := tr.rows
	require.Len(t, steps, len(m.steps), "steps")
	for _, want := range m.steps {
		what := want.key()
		i := slices.IndexFunc(steps, func(s step) bool { return s.key() == what })
		require.GreaterOrEqual(t, i, 0, "the report has no %s", what)
		got := steps[i]
		assert.Equal(t, want.phase, got.phase, "phase of %s", what)
		assert.Equal(t, want.start-m.trigger, got.start, "start of %s", what)
		assert.Equal(t, want.end-want.start, got.duration, "duration of %s", what)
		if got.state != want.either {
			assert.Equal(t, want.state, got.state, "state of %s", what)
		}
		a := want.action
		if a == nil {
			continue
		}
		if a.deadline > 0 {
			assert.Equal(t, want.until, a.deadline, "deadline of %s", what)
			stopEnd := m.clockAt(a.begin).tail
			assert.Equal(t, stopEnd, a.stopEnd, "StopDeadline in %s", what)
		}
		if !slices.Contains(tr.components, a) {
			called := a.calls == 1
			assert.Equal(t, want.state != shutdown.StateSkipped, called, "%s was called", what)
		}
	}
	for _, a := range tr.callbacks {
		if a.addAt != m.trigger {
			refused := errors.Is(a.refused, shutdown.ErrShuttingDown)
			assert.Equal(t, a.addAt > m.trigger, refused, "%s was refused", a.name)
		}
		assert.Equal(t, m.isRemoved(a) && a.refused == nil, a.removed, "%s was removed", a.name)
	}
}

// newPlan makes a plan of input: each choice takes a byte or two of it. When none is left it is
// the simplest alternative, so that a shorter input is a simpler plan.
func newPlan(input []byte) *plan {
	c := &choices{left: input}
	p := &plan{starts: !c.oneIn(20), run: c.oneIn(4), startAt: 10 * time.Second}
	p.grace = 1 + c.duration(30*time.Second)
	if !c.oneIn(5) {
		p.tail = c.duration(3 * time.Second)
	}
	if c.oneIn(2) {
		p.delay = min(c.duration(p.grace), p.grace-1)
	}
	p.linger = c.duration(2 * time.Second)
	p.shutdownAt = []time.Duration{c.moment()}
	if c.oneIn(3) {
		p.shutdownAt = append(p.shutdownAt, c.moment())
	}
	if c.oneIn(4) {
		p.endAt = c.moment()
	}
	p.handlerBlocks, p.loggerBlocks, p.callsBack = c.oneIn(16), c.oneIn(16), c.oneIn(8)
	p.watchBlocks = c.oneIn(16)
	for range c.upTo(5) / 4 * c.upTo(2) {
		p.hurryAt = append(p.hurryAt, c.soonAfter(p.shutdownAt[0]))
	}
	slices.Sort(p.hurryAt)

	for i := range c.upTo(3) {
		p.managers = append(p.managers, c.manager(p, fmt.Sprint("manager ", i)))
	}
	for i := range c.upTo(2) {
		s := &planServer{graceful: c.action(p, fmt.Sprint("server ", i)), stopHangs: c.oneIn(3)}
		s.graceful.deaf = true
		if c.oneIn(4) {
			s.graceful.timeout = 1 + c.duration(p.grace)
		}
		s.graceful.ends = pick(c, s.graceful.ends, endsOK, endsOK) // it has no error to return
		if s.graceful.ends == endsError {
			s.graceful.ends = endsOK
		}
		p.servers = append(p.servers, s)
	}
	for i := range c.upTo(2) {
		a := c.action(p, fmt.Sprint("component ", i))
		if c.oneIn(3) {
			a.failAt = c.moment()
			a.says = pick(c, a.err, a.err, nil, context.Canceled, http.ErrServerClosed)
		}
		p.components = append(p.components, a)
	}
	for i := range c.upTo(9) {
		a := c.action(p, fmt.Sprint("callback ", i))
		a.phase = pick(c, someOfThePhases...)
		if c.oneIn(2) {
			a.timeout = 1 + c.duration(p.grace)
		}
		switch c.upTo(7) {
		case 1:
			a.addAt = c.moment()
		case 2:
			a.addAt = p.shutdownAt[0]
		case 3:
			a.takes = a.timeout
		}
		if a.registered = c.oneIn(4); a.registered && c.oneIn(2) {
			a.removeAt = max(c.moment(), a.addAt+1)
		}
		p.callbacks = append(p.callbacks, a)
	}
	p.before = c.deadlines(p)
	return p
}

var someOfThePhases = []shutdown.Phase{
	0, 1, 100, 100, 100, 150, 200, 200, 250, 300, 400, 1000, math.MaxInt32,
}

// choices are made from the bytes that are left.
type choices struct {
	left    []byte
	moments time.Duration
}

func (c *choices) byte() int {
	if len(c.left) == 0 {
		return 0
	}
	b := c.left[0]
	c.left = c.left[1:]
	return int(b)
}

// upTo returns one of 0 to n.
func (c *choices) upTo(n int) int { return c.byte() % (n + 1) }

func (c *choices) oneIn(n int) bool { return c.upTo(n-1) == n-1 }

func pick[T any](c *choices, from ...T) T { return from[c.upTo(len(from)-1)] }

// duration returns 0 or more, but less than limit.
func (c *choices) duration(limit time.Duration) time.Duration {
	return time.Duration(float64(limit) * float64(c.byte()<<8+c.byte()) / (1 << 16))
}

// moment returns a time from 5 seconds before Start to a minute after it. No two are the same, nor
// does any meet the end of a manager's Start, which comes at a whole millisecond.
func (c *choices) moment() time.Duration {
	c.moments++
	return 5*time.Second + c.duration(65*time.Second).Truncate(time.Millisecond) + c.moments
}

// soonAfter returns a time up to 20 seconds after another, as moment does.
func (c *choices) soonAfter(at time.Duration) time.Duration {
	c.moments++
	at = (at + c.duration(20*time.Second)).Truncate(time.Millisecond)
	return at + c.moments
}

// deadlines are for some of the reasons. They may be long over when they are told.
func (c *choices) deadlines(p *plan) map[string]time.Duration {
	names := []string{"end"}
	for i := range p.shutdownAt {
		names = append(names, fmt.Sprint("Shutdown ", i))
	}
	for _, m := range p.managers {
		names = append(names, m.name)
	}
	before := map[string]time.Duration{}
	for _, name := range names {
		switch c.upTo(7) {
		case 1:
			before[name] = c.soonAfter(p.shutdownAt[0])
		case 2:
			before[name] = c.moment()
		}
	}
	return before
}

func (c *choices) action(p *plan, name string) *action {
	a := &action{name: name, err: errors.New("error of " + name), deaf: c.oneIn(2)}
	a.ends = pick(c, endsOK, endsOK, endsOK, endsOK, endsError, endsPanic, endsExit, endsNever)
	switch c.upTo(3) {
	case 1:
		a.takes = c.duration(2 * p.grace)
	case 2:
		a.takes = c.duration(p.grace/8 + 1)
	}
	return a
}

func (c *choices) manager(p *plan, name string) *planManager {
	m := &planManager{name: name, err: errors.New(name + " asks")}
	m.start = c.action(p, name+".Start")
	m.start.takes = c.duration(5*time.Second).Truncate(time.Millisecond) * time.Duration(c.upTo(1))
	if !c.oneIn(4) {
		m.start.ends = endsOK
	}
	if !c.oneIn(3) {
		m.begin = c.action(p, name+".ShutdownStart")
	}
	if !c.oneIn(3) {
		m.finish = c.action(p, name+".ShutdownFinish")
	}
	for range c.upTo(7) / 4 * c.upTo(2) {
		m.askAt = append(m.askAt, c.moment())
	}
	slices.Sort(m.askAt)
	return m
}

// The rest is the arithmetic of a stop: what its options, Before and Hurry make of the time, as
// clock.go and budget.go have it.

const (
	startWait  = time.Second            // the most that a Start in progress gets after the trigger
	cutTime    = 100 * time.Millisecond // the most that a server's Stop gets
	watchTime  = 100 * time.Millisecond // the most that Watch gets at the end
	leastRest  = 100 * time.Millisecond // what a deadline leaves that is near, or over
	mostNotice = 10 * time.Millisecond  // the most that a function gets after its deadline
)

// A clock has the ends of Grace and of Tail, and how long Delay is.
type clock struct{ delay, grace, tail time.Duration }

func (c clock) earliest(other clock) clock {
	return clock{min(c.delay, other.delay), min(c.grace, other.grace), min(c.tail, other.tail)}
}

// clockAt is the clock at a time of the stop, after what has brought its ends nearer.
func (m *model) clockAt(now time.Duration) clock {
	c := clock{m.delay, m.trigger + m.grace, m.trigger + m.grace + m.tail}
	for _, at := range slices.Compact(m.moves()) {
		if at < m.trigger || now < at {
			continue
		}
		if slices.Contains(m.hurryAt, at) {
			c = c.earliest(clock{0, at, at + max(m.tail, 2*mostNotice)})
		}
		for _, a := range m.asks {
			if deadline, ok := m.before[a.name]; ok && a.at == at && deadline < c.tail {
				rest := max(leastRest, deadline-at)
				grace := rest - min(m.tail, rest/4)
				c = c.earliest(clock{at - m.trigger + grace/2, at + grace, at + rest})
			}
		}
	}
	return c
}

// moves returns when something may bring the ends of the clock nearer.
func (m *model) moves() []time.Duration {
	moves := slices.Clone(m.hurryAt)
	for _, a := range m.asks {
		moves = append(moves, a.at)
	}
	slices.Sort(moves)
	return moves
}

// stageEnd is the end of a stage that began at begin, as it is at now. What is to come after Grace
// shares Tail.
func (m *model) stageEnd(stage string, begin, now time.Duration) time.Duration {
	c := m.clockAt(now)
	latest := c.tail - 2*m.lastMoment(c)
	inGrace := min(c.grace, latest)
	switch {
	case stage == "start" && max(c.grace-begin-c.delay, (c.grace-begin)/10)/2 > 0:
		rest := c.grace - begin
		return min(inGrace, begin+max(rest-c.delay, rest/10)/2)
	case stage == "delay":
		return min(inGrace, begin+c.delay)
	case stage == "observers":
		return max(c.tail-m.lastMoment(c), begin+mostNotice)
	case begin < c.grace:
		return inGrace
	}
	return min(latest, begin+(c.tail-begin)/time.Duration(m.stagesLeft))
}

// lastMoment is kept for what comes after the last phase, and once more for what obeys its
// deadline there.
func (m *model) lastMoment(c clock) time.Duration {
	moment := min(mostNotice, (c.tail-m.trigger)/20)
	if tail := c.tail - c.grace; tail > 0 {
		moment = min(moment, tail/5)
	}
	return moment
}

// left is what is left of Grace and Tail for the phases.
func (m *model) left(now time.Duration) time.Duration {
	c := m.clockAt(now)
	return c.tail - now - m.lastMoment(c)
}

// notice is what a function gets to return after its deadline.
func (m *model) notice(deadline time.Duration) time.Duration {
	return min(m.lastMoment(m.clockAt(deadline)), max(0, m.left(deadline)))
}

// cutOver is when a Stop that hangs is given up: it has its stage's share of what is left.
func (m *model) cutOver(begin time.Duration) time.Duration {
	end := func(now time.Duration) time.Duration {
		c := m.clockAt(now)
		rest := max(0, c.tail-m.lastMoment(c)-begin)
		return begin + min(cutTime, rest/time.Duration(m.stagesLeft))
	}
	over := end(begin)
	for _, at := range m.moves() {
		if begin < at && at < over {
			over = min(over, max(at, end(at)))
		}
	}
	return over
}

// startPatience is when a manager's Start is left behind, if the trigger comes meanwhile.
func (m *model) startPatience(trigger time.Duration) time.Duration {
	if trigger == never {
		return never
	}
	grace := m.grace
	for _, a := range m.asks {
		if deadline, ok := m.before[a.name]; ok && a.at == trigger {
			rest := max(leastRest, deadline-a.at)
			grace = min(grace, rest-min(m.tail, rest/4))
		}
	}
	patience := trigger + min(startWait, grace/10)
	c := clock{m.delay, trigger + grace, never}
	for _, at := range m.moves() {
		if trigger < at && at < patience {
			if slices.Contains(m.hurryAt, at) {
				c.grace = min(c.grace, at)
			}
			for _, a := range m.asks {
				if deadline, ok := m.before[a.name]; ok && a.at == at {
					rest := max(leastRest, deadline-at)
					c.grace = min(c.grace, at+rest-min(m.tail, rest/4))
				}
			}
			patience = min(patience, at+max(0, (c.grace-at)/10))
		}
	}
	return patience
}

// state is what the report says of an action that has ended so in time.
func (e ending) state() shutdown.State {
	switch e {
	case endsOK:
		return shutdown.StateOK
	case endsPanic:
		return shutdown.StatePanic
	case endsNever:
		return shutdown.StateTimeout
	}
	return shutdown.StateError
}
