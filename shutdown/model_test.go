package shutdown_test

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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
	if racesWithRun(p) {
		p.run = false
	}
	defer func() {
		if deadlock := recover(); deadlock != nil {
			panic(fmt.Sprintf("%v\nThe plan was:\n%v", deadlock, p))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		tr := p.carryOut(t)
		checkProtocol(t, tr)
		checkModel(t, tr)
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
	now time.Duration

	asks     map[string]time.Duration // who asks for the stop, and when
	trigger  time.Duration            // the earliest of them
	startErr string                   // "", "shutting down", or the manager that has failed
	running  []*planManager           // those whose hooks are called
	launched time.Duration            // when the components began; never, if the stop came before

	stagesLeft int
	steps      []prediction
}

// A prediction is what the model says of one step.
type prediction struct {
	step                   // its start is a time, not yet a duration from the trigger on
	either  shutdown.State // what its state may be as well, if it ended just at its deadline
	end     time.Duration
	until   time.Duration // its deadline
	action  *action
	outcome func(p *prediction) // decides state, either and end from start and until
}

const never = time.Duration(math.MaxInt64)

// newModel is the model of p. Which late callbacks were accepted is taken from what was seen, if
// they came in the very moment of the trigger.
func newModel(p *plan) *model {
	m := &model{plan: p, asks: map[string]time.Duration{}, launched: never}
	for i, at := range p.shutdownAt {
		m.asks[fmt.Sprint("Shutdown ", i)] = at
	}
	if m.starts {
		m.start()
	}
	m.trigger = m.earliest()
	m.now = max(m.now, m.trigger)
	m.stop()
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
		m.asks["end"] = max(m.endAt, m.now)
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
		patience := startPatience(m.plan, m.earliest())
		if returns > patience { // it is left behind
			m.now = patience
			break
		}
		m.now = returns
		if pm.start.ends != endsOK {
			m.startFails(pm)
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
		if c.failAt > 0 {
			m.ask(c.name, max(c.failAt, m.now))
		}
	}
}

// startFails: the managers that are running are given up, unless the stop has begun and calls
// their hooks. Nobody looks at Start's context any more.
func (m *model) startFails(pm *planManager) {
	m.startErr = pm.name
	if m.earliest() <= m.now {
		return
	}
	m.running = nil
	if m.run {
		m.ask("start", m.now)
	}
	delete(m.asks, "end")
}

func (m *model) ask(name string, at time.Duration) {
	if before, ok := m.asks[name]; !ok || at < before {
		m.asks[name] = at
	}
}

func (m *model) earliest() time.Duration {
	first := never
	for _, at := range m.asks {
		first = min(first, at)
	}
	return first
}

// stop is the stop: hooks, Delay, the phases in ascending order, hooks. (Nobody is connected, so
// Linger takes no time.)
func (m *model) stop() {
	begin, phases, finish := m.hooks("start"), m.phases(), m.hooks("finish")
	m.stagesLeft = len(phases) + min(1, len(begin)) + min(1, len(finish))

	m.stage(begin, m.trigger+(m.grace-m.delay)/2)
	m.now += m.delayTaken()
	for _, phase := range phases {
		m.stage(phase, m.stageEnd())
	}
	m.stage(finish, m.stageEnd())
}

// stage does all steps at the same time.
func (m *model) stage(steps []prediction, until time.Duration) {
	if len(steps) == 0 {
		return
	}
	m.stagesLeft--
	begin := m.now
	for _, s := range steps {
		s.start, s.until = begin, until
		if s.action.timeout > 0 {
			s.until = min(until, begin+s.action.timeout)
		}
		if begin >= until {
			s.state, s.end = shutdown.StateSkipped, begin
		} else {
			s.outcome(&s)
		}
		m.now = max(m.now, s.end)
		m.steps = append(m.steps, s)
	}
}

// stageEnd is the end of Grace; after that, what is left of Tail is shared by the stages to come.
func (m *model) stageEnd() time.Duration {
	graceEnd := m.trigger + m.grace
	if m.now < graceEnd {
		return graceEnd
	}
	return m.now + (graceEnd+m.tail-m.now)/time.Duration(max(1, m.stagesLeft))
}

func (m *model) hooks(stage string) []prediction {
	var steps []prediction
	for _, pm := range m.running {
		a := pm.begin
		if stage == "finish" {
			a = pm.finish
		}
		if a != nil {
			s := step{name: pm.name, stage: stage}
			steps = append(steps, prediction{step: s, action: a, outcome: m.call})
		}
	}
	return steps
}

func (m *model) phases() [][]prediction {
	var all []prediction
	add := func(a *action, phase shutdown.Phase, outcome func(*prediction)) {
		s := step{name: a.name, phase: phase}
		all = append(all, prediction{step: s, action: a, outcome: outcome})
	}
	for _, s := range m.servers {
		add(s.graceful, shutdown.PhaseIngress, func(p *prediction) { m.drain(p, s) })
	}
	for _, a := range m.callbacks {
		if a.addAt < m.trigger || a.addAt == m.trigger && a.refused == nil {
			add(a, cmp.Or(a.phase, shutdown.PhaseStore), m.call)
		}
	}
	if m.launched < never {
		for _, c := range m.components {
			add(c, shutdown.PhaseWork, m.await)
		}
	}
	slices.SortStableFunc(all, func(a, b prediction) int { return cmp.Compare(a.phase, b.phase) })

	var phases [][]prediction
	for i, p := range all {
		if i == 0 || p.phase != all[i-1].phase {
			phases = append(phases, nil)
		}
		last := len(phases) - 1
		phases[last] = append(phases[last], p)
	}
	return phases
}

// call is a callback or a hook.
func (m *model) call(p *prediction) { m.returns(p) }

// await is the wait for a component, whose context has ended as this phase began. It may have
// failed before.
func (m *model) await(p *prediction) {
	c := p.action
	failed := max(c.failAt, m.launched)
	if c.failAt > 0 && (failed <= m.trigger || failed < p.start) {
		p.state, p.end = shutdown.StateError, p.start
		return
	}
	m.returns(p)
}

// drain is GracefulStop, and Stop at the deadline.
func (m *model) drain(p *prediction, s *planServer) {
	m.returns(p)
	if p.state == shutdown.StateTimeout && s.stopHangs {
		p.end += min(cutTime, m.trigger+m.grace+m.tail-p.end)
	}
}

// returns is the end of an action: by itself, or at its deadline.
func (m *model) returns(p *prediction) {
	p.end = never
	if p.action.ends != endsNever {
		p.end = p.start + p.action.takes
	}
	p.state = p.action.ends.state()
	switch {
	case p.end == p.until:
		p.either = shutdown.StateTimeout
	case p.end > p.until:
		p.state = shutdown.StateTimeout
		p.end = givenUp(p)
	}
}

func checkModel(t *testing.T, tr *trace) {
	m := newModel(tr.plan)

	assert.Equal(t, m.trigger, tr.report.Start.Sub(tr.epoch), "when the stop began")
	assert.Equal(t, m.now-m.trigger, tr.report.Total, "how long it took")
	if m.handlerBlocks || m.loggerBlocks {
		assert.GreaterOrEqual(t, tr.doneAt, m.now, "when Wait returned")
	} else {
		assert.Equal(t, m.now, tr.doneAt, "when Wait returned")
	}
	winner := tr.winner()
	assert.Equal(t, m.trigger, m.asks[winner], "%q asked before all others", winner)
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

	steps := stepsOf(tr.report)
	require.Len(t, steps, len(m.steps), "steps")
	for _, want := range m.steps {
		i := slices.IndexFunc(steps, func(s step) bool {
			return s.name == want.name && s.stage == want.stage
		})
		require.GreaterOrEqual(t, i, 0, "the report has no %s %s", want.stage, want.name)
		got := steps[i]
		what := fmt.Sprintf("%s %s", want.stage, want.name)
		assert.Equal(t, want.phase, got.phase, "phase of %s", what)
		assert.Equal(t, want.start-m.trigger, got.start, "start of %s", what)
		assert.Equal(t, want.end-want.start, got.duration, "duration of %s", what)
		if got.state != want.either {
			assert.Equal(t, want.state, got.state, "state of %s", what)
		}
		if a := want.action; a.deadline > 0 {
			assert.Equal(t, want.until, a.deadline, "deadline of %s", what)
		}
		if !slices.Contains(tr.components, want.action) {
			called := want.action.calls == 1
			assert.Equal(t, want.state != shutdown.StateSkipped, called, "%s was called", what)
		}
	}
	for _, a := range tr.callbacks {
		if a.addAt != m.trigger {
			refused := errors.Is(a.refused, shutdown.ErrShuttingDown)
			assert.Equal(t, a.addAt > m.trigger, refused, "%s was refused", a.name)
		}
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

	for i := range c.upTo(3) {
		p.managers = append(p.managers, c.manager(p, fmt.Sprint("manager ", i)))
	}
	for i := range c.upTo(2) {
		s := &planServer{graceful: c.action(p, fmt.Sprint("server ", i)), stopHangs: c.oneIn(3)}
		s.graceful.deaf = true
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
		p.callbacks = append(p.callbacks, a)
	}
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

// What follows depends on how the package is written today and not only on its protocol.

// delayTaken is Delay, which is skipped if Run could not start the service.
func (m *model) delayTaken() time.Duration {
	if m.run && m.startErr != "" && m.startErr != "shutting down" {
		return 0
	}
	return m.delay
}

// startPatience is when a manager's Start is left behind, if the trigger comes meanwhile.
func startPatience(p *plan, trigger time.Duration) time.Duration {
	if trigger == never {
		return never
	}
	return trigger + min(time.Second, p.grace/10)
}

// givenUp is when the stop goes on after the deadline of an action. Today nothing is waited for
// beyond it, deaf or not, and the last share of Tail ends with Tail.
func givenUp(p *prediction) time.Duration { return p.until }

// cutTime is how long Stop is waited for.
const cutTime = 100 * time.Millisecond

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

// racesWithRun reports whether a manager fails to start after the stop was asked for. In Run that
// is a data race: it switches off Delay and Linger, which the stop reads.
func racesWithRun(p *plan) bool {
	m := newModel(p)
	_, startAsks := m.asks["start"]
	return m.run && m.startErr != "" && m.startErr != "shutting down" && !startAsks
}
