package shutdown_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/shutdown"
)

// TestProtocol runs every stop of a small kind: up to three callbacks in three phases, two managers
// with hooks, one component, and five who may ask for the stop. It keeps the rules of checkProtocol
// and ends as the model says. That no stop hangs is found by the bubble.
//
// The whole product has more than 10^11 cases. Each part below is a complete product of things that
// affect each other; all else is held fixed. Together they are 8,550 cases, and 2,411 with -short.
// This loses nothing as long as the following holds, which the code shows at a glance:
//
//   - A step affects later steps only by the time that it leaves them, which depends on whether it
//     returns or uses up its time. So all outcomes are combined among the callbacks, among the
//     hooks, and of a component with what is beside it. For the steps of a whole stop three
//     outcomes are combined: nothing to do, over in time, out of time.
//   - Callbacks of one phase differ by nothing but their names, and so do two managers that have
//     started. So "a and b" is not repeated as "b and a".
//   - Only the first request does anything. So what matters is who is first, and where the stop
//     is when another request comes. "places" has all orders of up to three at all places in the
//     life of a service, "orders" those of all five during and after the stop, and in "at once"
//     chance decides.
//   - Hurry and the deadline of a reason only bring the ends of Grace and Tail nearer. So what matters
//     is which step they meet, and whether that is over in time ("hurry", "deadlines").
//   - How Start ends matters for what the stop finds, but not for the outcome of a step ("starts").
func TestProtocol(t *testing.T) {
	parts := []struct {
		name        string
		plans       func(small bool, yield func(*plan))
		cases, less int // how many, and with -short
	}{
		{"callbacks", callbackPlans, 1140, 171},
		{"hooks", hookPlans, 1225, 49},
		{"components", componentPlans, 42, 42},
		{"steps", stepPlans(5*time.Second, 3*time.Second), 729, 64},
		{"steps without Tail and Delay", stepPlans(0, 0), 729, 64},
		{"starts", startPlans, 700, 280},
		{"places", placePlans, 1128, 183},
		{"orders", orderPlans, 340, 100},
		{"at once", atOncePlans, 765, 255},
		{"hurry", hurryPlans, 352, 208},
		{"deadlines", deadlinePlans, 990, 585},
		{"removed", removedPlans, 114, 114},
		{"observers", observerPlans, 168, 168},
		{"returns", returnPlans, 128, 128},
	}
	gc := debug.SetGCPercent(400) // a fifth of the time goes to it otherwise
	t.Cleanup(func() { debug.SetGCPercent(gc) })
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			cases := 0
			part.plans(testing.Short(), func(p *plan) {
				cases++
				if !t.Failed() {
					checkPlan(t, p)
				}
			})
			want := part.cases
			if testing.Short() {
				want = part.less
			}
			assert.Equal(t, want, cases, "number of cases")
		})
	}
}

// A behaviour is what an action does. All take a second, except those that hang or obey.
type behaviour int

const (
	doesNothing behaviour = iota
	doesWell
	doesFail
	doesPanic
	doesExit
	doesHang // goes on when its context has ended, until the test is over
	doesObey // goes on until its context ends
)

var allBehaviours = []behaviour{doesWell, doesFail, doesPanic, doesExit, doesHang, doesObey}

func (b behaviour) action(name string) *action {
	ends := map[behaviour]ending{doesWell: endsOK, doesFail: endsError, doesPanic: endsPanic,
		doesExit: endsExit, doesHang: endsNever, doesObey: endsNever}
	if b == doesNothing {
		return nil
	}
	return &action{
		name:  name,
		err:   errors.New("error of " + name),
		takes: time.Second,
		ends:  ends[b],
		deaf:  b != doesObey,
	}
}

var protocolPhases = []shutdown.Phase{
	shutdown.PhaseIngress, shutdown.PhaseWork, shutdown.PhaseStore,
}

// protocolPlan is a service that is started at 10s and stopped by Shutdown at 20s. Whatever hangs,
// Grace and Tail leave a second for each step.
func protocolPlan() *plan {
	return &plan{
		grace:      20 * time.Second,
		tail:       4 * time.Second,
		linger:     500 * time.Millisecond,
		starts:     true,
		startAt:    10 * time.Second,
		shutdownAt: []time.Duration{20 * time.Second},
		callsBack:  true,
	}
}

// add adds a callback before those that are there, so that later phases come first.
func (p *plan) add(phase shutdown.Phase, b behaviour) {
	if a := b.action(fmt.Sprint("callback ", len(p.callbacks))); a != nil {
		a.phase = phase
		p.callbacks = append([]*action{a}, p.callbacks...)
	}
}

func (p *plan) addManager(name string, begin, finish behaviour) {
	p.managers = append(p.managers, &planManager{
		name:   name,
		err:    errors.New(name + " asks"),
		start:  doesWell.action(name + ".Start"),
		begin:  begin.action(name + ".ShutdownStart"),
		finish: finish.action(name + ".ShutdownFinish"),
	})
}

func (p *plan) addComponent(b behaviour) {
	if a := b.action("component"); a != nil {
		a.says = a.err
		p.components = append(p.components, a)
	}
}

// multisets calls yield with all selections of n from 0 to most-1, in ascending order.
func multisets(n, most int, yield func([]int)) {
	chosen := make([]int, n)
	var choose func(i, least int)
	choose = func(i, least int) {
		if i == n {
			yield(chosen)
			return
		}
		for c := least; c < most; c++ {
			chosen[i] = c
			choose(i+1, c)
		}
	}
	choose(0, 0)
}

// callbackPlans: all outcomes of three callbacks in all phases; with -short two.
func callbackPlans(small bool, yield func(*plan)) {
	n := 3
	if small {
		n = 2
	}
	kinds := len(allBehaviours)
	multisets(n, len(protocolPhases)*kinds, func(chosen []int) {
		p := protocolPlan()
		for _, c := range chosen {
			p.add(protocolPhases[c/kinds], allBehaviours[c%kinds])
		}
		yield(p)
	})
}

// hookPlans: all outcomes of the hooks of two managers around one callback; with -short one.
func hookPlans(small bool, yield func(*plan)) {
	n := 2
	if small {
		n = 1
	}
	kinds := len(allBehaviours) + 1
	multisets(n, kinds*kinds, func(chosen []int) {
		p := protocolPlan()
		for i, c := range chosen {
			p.addManager("AB"[i:i+1], behaviour(c/kinds), behaviour(c%kinds))
		}
		p.add(shutdown.PhaseWork, doesWell)
		yield(p)
	})
}

// componentPlans: all outcomes of a component and of a callback beside it, with a phase before and
// after them.
func componentPlans(_ bool, yield func(*plan)) {
	for _, component := range allBehaviours {
		for _, beside := range append([]behaviour{doesNothing}, allBehaviours...) {
			p := protocolPlan()
			p.addComponent(component)
			p.add(shutdown.PhaseIngress, doesWell)
			p.add(shutdown.PhaseWork, beside)
			p.add(shutdown.PhaseStore, doesWell)
			yield(p)
		}
	}
}

// stepPlans: for every step, whether there is anything to do, and whether it is over in time.
func stepPlans(tail, delay time.Duration) func(bool, func(*plan)) {
	return func(small bool, yield func(*plan)) {
		all := []behaviour{doesNothing, doesFail, doesHang}
		if small {
			all = []behaviour{doesNothing, doesHang}
		}
		const steps = 6
		for code := range pow(len(all), steps) {
			var step [steps]behaviour
			for i := range step {
				step[i] = all[code%len(all)]
				code /= len(all)
			}
			p := protocolPlan()
			p.delay, p.tail = delay, tail
			p.addManager("A", step[0], step[1])
			p.addComponent(step[2])
			for i, phase := range protocolPhases {
				p.add(phase, step[3+i])
			}
			yield(p)
		}
	}
}

func pow(base, exponent int) int {
	result := 1
	for range exponent {
		result *= base
	}
	return result
}

// startPlans: all outcomes of the Start of two managers, in Start and in Run, with who asks
// meanwhile. Manager A is started at 10s, B at 11s. If nobody asks before, Shutdown does so at 20s.
func startPlans(small bool, yield func(*plan)) {
	behaviours := []behaviour{doesWell, doesFail, doesPanic, doesExit, doesHang}
	seconds := behaviours
	if small {
		seconds = behaviours[:2]
	}
	requests := strings.Fields("S0 S1 S2 S3 C0 C1 C2 C3 A1 A2 A3 B2 B3")
	for _, first := range behaviours {
		for _, second := range seconds {
			for _, run := range []bool{false, true} {
				for _, request := range append(requests, "") {
					p := requestPlan(request, 0)
					p.run, p.delay = run, 2*time.Second
					p.managers[0].start = first.action("A.Start")
					p.managers[1].start = second.action("B.Start")
					yield(p)
				}
			}
		}
	}
}

// A request is a letter and a digit. The letter says who asks: manager A or B, Shutdown, the end of
// Start's Context, a Failing component; and L is no request, but a Late callback. The digit says
// where: 0 before Start, 1 and 2 while A and B are starting, 3 after Start.
const requesters = "ABSCFL"

// isPossible reports whether there is anything that may request by then: managers from their Start
// on, components after Start.
func isPossible(requester byte, place int) bool {
	return place >= map[byte]int{'A': 1, 'B': 2, 'F': 3}[requester]
}

// requestPlan is a plan with requests in a row, with pauses between them.
func requestPlan(requests string, pause time.Duration) *plan {
	p := protocolPlan()
	p.addManager("A", doesWell, doesWell)
	p.addManager("B", doesWell, doesWell)
	p.addComponent(doesWell)
	for _, phase := range protocolPhases {
		p.add(phase, doesWell)
	}
	for i := 0; i < len(requests); i += 2 {
		place := time.Duration(requests[i+1] - '0')
		at := 9500*time.Millisecond + place*time.Second + time.Duration(i/2)*pause
		switch requests[i] {
		case 'A':
			p.managers[0].askAt = append(p.managers[0].askAt, at)
		case 'B':
			p.managers[1].askAt = append(p.managers[1].askAt, at)
		case 'S':
			p.shutdownAt = append(p.shutdownAt, at)
		case 'C':
			p.endAt = at
		case 'F':
			p.components[0].failAt = at
		case 'L':
			p.add(shutdown.PhaseWork, doesWell)
			p.callbacks[0].addAt = at
		}
	}
	return p
}

// placePlans: up to three requests in all orders, at all places; with -short two.
func placePlans(small bool, yield func(*plan)) {
	most := 3
	if small {
		most = 2
	}
	var extend func(requests string, place int)
	extend = func(requests string, place int) {
		if requests != "" {
			yield(requestPlan(requests, 10*time.Millisecond))
		}
		if len(requests) == 2*most {
			return
		}
		for ; place <= 3; place++ {
			for _, r := range []byte(requesters) {
				if isPossible(r, place) && !strings.Contains(requests, string(r)) {
					extend(fmt.Sprintf("%s%c%d", requests, r, place), place)
				}
			}
		}
	}
	extend("", 0)
}

// orderPlans: all orders of all requests after Start, some 10ms apart, some in one step of the stop
// after the other and after its end. A comes before B.
func orderPlans(small bool, yield func(*plan)) {
	most := 5
	if small {
		most = 3
	}
	var extend func(requests string)
	extend = func(requests string) {
		if requests != "" {
			yield(requestPlan(requests, 10*time.Millisecond))
			yield(requestPlan(requests, 1500*time.Millisecond))
		}
		if len(requests) == 2*most {
			return
		}
		for _, r := range []byte("ABSCF") {
			isSecond := r != 'B' || strings.Contains(requests, "A")
			if isSecond && !strings.Contains(requests, string(r)) {
				extend(fmt.Sprintf("%s%c3", requests, r))
			}
		}
	}
	extend("")
}

// atOncePlans: all sets of requests, at the same moment, three times each; with -short once.
func atOncePlans(small bool, yield func(*plan)) {
	times := 3
	if small {
		times = 1
	}
	const all = requesters + "SL" // some come twice
	for set := 1; set < 1<<len(all); set++ {
		requests := ""
		for i, r := range []byte(all) {
			if set&(1<<i) != 0 {
				requests += fmt.Sprintf("%c3", r)
			}
		}
		for range times {
			yield(requestPlan(requests, 0))
		}
	}
}

// busyPlans: for every step but Delay, whether it is over in time, so that any three steps come in
// all combinations; with -short any two. All of them have something to do: the start hook from 20s
// on, then Delay, then the phases.
func busyPlans(small bool, yield func(*plan)) {
	const steps = 6
	for code := range 1 << steps {
		b := func(i int) behaviour {
			if code&(1<<i) != 0 {
				return doesHang
			}
			return doesWell
		}
		if small && code%5 != 0 || !small && code%3 != 0 {
			continue
		}
		p := protocolPlan()
		p.delay = 3 * time.Second
		p.addManager("A", b(0), b(1))
		p.addComponent(b(2))
		for i, phase := range protocolPhases {
			p.add(phase, b(3+i))
		}
		yield(p)
	}
}

// whiles are times in each step of busyPlans, if none before it hangs, in what is left of Tail, and
// after the stop.
var whiles = []time.Duration{
	20300 * time.Millisecond, 22300 * time.Millisecond, 24300 * time.Millisecond,
	25300 * time.Millisecond, 26300 * time.Millisecond, 27300 * time.Millisecond,
	41300 * time.Millisecond, 50300 * time.Millisecond,
}

// hurryPlans: Hurry while any step is in progress, once, and again 400ms later.
func hurryPlans(small bool, yield func(*plan)) {
	for _, at := range whiles {
		for _, again := range []bool{false, true} {
			busyPlans(small, func(p *plan) {
				p.hurryAt = []time.Duration{at}
				if again {
					p.hurryAt = append(p.hurryAt, at+400*time.Millisecond)
				}
				yield(p)
			})
		}
	}
}

// deadlinePlans: reasons with a deadline that is over, too near, near, far, or no earlier than the
// end of the stop; of the first request, and of another while any step is in progress.
func deadlinePlans(small bool, yield func(*plan)) {
	rests := []time.Duration{-time.Hour, 50 * time.Millisecond, 2 * time.Second,
		12 * time.Second, time.Hour}
	for _, at := range append(whiles, 20*time.Second) {
		for _, rest := range rests {
			busyPlans(small, func(p *plan) {
				if at > p.shutdownAt[0] {
					p.shutdownAt = append(p.shutdownAt, at)
				}
				last := fmt.Sprint("Shutdown ", len(p.shutdownAt)-1)
				p.before = map[string]time.Duration{last: at + rest}
				yield(p)
			})
		}
	}
}

// removedPlans: Register before Start, during Start and after it; remove at all places from there,
// in the moment of the trigger, and while a step before, beside and after it is in progress.
func removedPlans(_ bool, yield func(*plan)) {
	sec := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for _, addAt := range []time.Duration{0, sec(10.5), sec(15), sec(20), sec(20.5)} {
		for _, removeAt := range []float64{0, 9.5, 10.7, 16, 20, 20.3, 21.3, 22.3, 23.3, 30} {
			for _, phase := range protocolPhases {
				p := requestPlan("", 0)
				p.add(phase, doesWell)
				a := p.callbacks[0]
				a.registered, a.addAt, a.removeAt = true, addAt, sec(removeAt)
				if removeAt == 0 || a.removeAt > addAt {
					yield(p)
				}
			}
		}
	}
}

// observerPlans: which of the observers block, with all outcomes of a callback and of Tail.
func observerPlans(_ bool, yield func(*plan)) {
	for blocks := range 1 << 3 {
		for _, b := range append([]behaviour{doesNothing}, allBehaviours...) {
			for _, tail := range []time.Duration{0, 50 * time.Millisecond, 4 * time.Second} {
				p := protocolPlan()
				p.tail = tail
				p.loggerBlocks, p.handlerBlocks = blocks&1 != 0, blocks&2 != 0
				p.watchBlocks = blocks&4 != 0
				p.add(shutdown.PhaseWork, b)
				yield(p)
			}
		}
	}
}

// returnPlans: what a component returns by itself, before and after the trigger, and with which
// time left for PhaseWork; alone, beside another, and with a server.
func returnPlans(_ bool, yield func(*plan)) {
	says := []error{nil, http.ErrServerClosed, context.Canceled, errors.New("broker is gone")}
	for _, err := range says {
		for _, at := range []time.Duration{15 * time.Second, 20300 * time.Millisecond} {
			for with := range 1 << 3 {
				for _, tail := range []time.Duration{0, 4 * time.Second} {
					p := protocolPlan()
					p.delay, p.tail = 2*time.Second, tail
					p.addComponent(doesWell)
					p.components[0].failAt, p.components[0].says = at, err
					if with&1 != 0 {
						other := doesWell.action("other")
						other.says = other.err
						p.components = append(p.components, other)
					}
					if with&2 != 0 {
						s := doesWell.action("server")
						p.servers = append(p.servers, &planServer{graceful: s})
					}
					if with&4 != 0 {
						p.add(shutdown.PhaseIngress, doesHang)
					}
					yield(p)
				}
			}
		}
	}
}

// checkProtocol holds what was seen against the rules that every stop keeps. Of the model it uses
// only the clock.
func checkProtocol(t *testing.T, tr *trace, m *model) {
	checkEnd(t, tr, m)
	checkReason(t, tr)
	checkOrder(t, tr)
	checkCalls(t, tr, m)
	checkErrors(t, tr)
	checkManagers(t, tr)
	checkWatch(t, tr)
}

// Never longer than Grace and Tail, nothing afterwards, and the end is final.
func checkEnd(t *testing.T, tr *trace, m *model) {
	latest := m.clockAt(tr.doneAt).tail
	if len(tr.hurryAt)+len(tr.before) > 0 {
		latest += mostNotice // which Release and the observers get if no time is left
	}
	assert.LessOrEqual(t, tr.doneAt, latest, "when Wait returned")
	took := tr.doneAt - tr.triggeredAt()
	assert.Equal(t, tr.report.Total, took, "how long the stop took, and Wait")
	assert.Equal(t, tr.doneAt, tr.closedAt, "when Wait has returned and Done was closed")
	assert.Empty(t, tr.late, "begun or told after Wait has returned")

	select {
	case <-tr.gs.Draining():
	default:
		t.Error("Draining is not closed")
	}
	assert.False(t, tr.gs.Hurry(), "Hurry after the stop")
	assert.False(t, tr.gs.Shutdown(nil), "Shutdown after the stop")
	assert.Equal(t, shutdown.ErrShuttingDown, tr.gs.AddCallback(lateCallback))
	assert.Equal(t, shutdown.ErrShuttingDown, tr.gs.Go("late", lateCallback.Func))
	remove, err := tr.gs.Register(lateCallback)
	assert.Equal(t, shutdown.ErrShuttingDown, err)
	assert.False(t, remove(), "what was refused cannot be removed")
	if err := tr.gs.Start(t.Context()); !errors.Is(err, shutdown.ErrAlreadyStarted) {
		assert.Equal(t, shutdown.ErrShuttingDown, err, "Start after the stop")
	}
	assert.Equal(t, tr.report, tr.gs.Report(), "the report is final")
}

// The first reason wins, and only its call of Shutdown returns true.
func checkReason(t *testing.T, tr *trace) {
	winner := tr.winner()
	var won []string
	if slices.Contains(tr.shutdownNames(), winner) {
		won = []string{winner}
	}
	assert.Equal(t, won, tr.won, "the calls of Shutdown that returned true; %q won", winner)

	manager := ""
	if slices.ContainsFunc(tr.managers, func(m *planManager) bool { return m.name == winner }) {
		manager = winner
	}
	assert.Equal(t, manager, tr.report.Manager)
	assert.Equal(t, tr.report.Reason, context.Cause(tr.gs.Context()), "cause of Context")
	for _, a := range tr.stopActions() {
		if a.calls > 0 {
			assert.Equal(t, tr.report.Reason, shutdown.Reason(a.ctx), "Reason for %s", a.name)
		}
	}
}

// Phases ascend and do not overlap, unless something was given up. Context ends between PhaseWork
// and what comes before it.
func checkOrder(t *testing.T, tr *trace) {
	called := slices.DeleteFunc(tr.ranked(), func(r ranked) bool { return r.calls == 0 })
	for _, a := range called {
		for _, b := range called {
			c := cmp.Compare(a.rank, b.rank)
			switch {
			case c == 0 && !a.component && !b.component:
				assert.Equal(t, a.begin, b.begin, "%s and %s begin together", a.name, b.name)
			case c < 0 && !b.component && !(a.endSeq > 0 && a.endSeq < b.beginSeq):
				gaveUp, ok := tr.givenUpAt(a)
				assert.True(t, ok && gaveUp <= b.begin, "%s began during %s", b.name, a.name)
			case c < 0 && !a.component && !b.component:
				assert.Less(t, a.beginSeq, b.beginSeq, "%s, then %s", a.name, b.name)
			}
		}
		if a.component {
			assert.Equal(t, tr.gs.Context(), a.ctx, "the context of a component")
			ended := a.workBegan[0] && a.begin < tr.triggeredAt()
			assert.False(t, ended, "Context has ended when %s begins", a.name)
			continue
		}
		isWork := a.rank >= int(shutdown.PhaseWork)
		assert.Equal(t, isWork, a.workBegan[0], "Context has ended when %s begins", a.name)
		if _, gaveUp := tr.givenUpAt(a); a.endSeq > 0 && !gaveUp {
			assert.Equal(t, isWork, a.workBegan[1], "Context has ended when %s ends", a.name)
		}
	}
}

// What was accepted is begun exactly once, unless it was removed or no time was left, and has one
// row in the report.
func checkCalls(t *testing.T, tr *trace, m *model) {
	for _, a := range tr.ranked() {
		assert.LessOrEqual(t, a.calls, 1, "calls of %s", a.name)
		row, listed := tr.row(a)
		switch {
		case a.refused != nil:
			assert.Equal(t, shutdown.ErrShuttingDown, a.refused)
			assert.False(t, listed || a.calls > 0 || a.removed, "%s was refused", a.name)
		case a.removed:
			assert.False(t, listed || a.calls > 0, "%s was removed", a.name)
		case a.component:
			finished := a.failed && finishes(a.says, false) && a.end <= tr.triggeredAt()
			want := a.calls == 1 && !finished
			assert.Equal(t, want, listed, "%s is in the report if it was begun", a.name)
			if tr.starts && !tr.run {
				assert.Equal(t, tr.startErr == nil, a.calls == 1, "Start has begun %s", a.name)
			}
		case listed && row.state == shutdown.StateSkipped:
			assert.Zero(t, a.calls, "calls of %s", a.name)
			at := tr.triggeredAt() + row.start
			assert.GreaterOrEqual(t, at, tr.noTimeIsLeft(a, m.clockAt(at), m),
				"%s was skipped too early", a.name)
		case slices.Contains(tr.hooks(), a.action):
			assert.Equal(t, a.calls == 1, listed, "%s is in the report if it was begun", a.name)
		default:
			assert.Equal(t, 1, a.calls, "calls of %s", a.name)
			assert.True(t, listed, "%s is in the report", a.name)
		}
		if a.remove != nil {
			assert.False(t, a.remove(), "%s is removed at the end", a.name)
		}
	}
	for _, a := range tr.stopActions() {
		if a.calls > 0 {
			assert.False(t, a.wasEnded, "the context of %s had ended before", a.name)
			assert.LessOrEqual(t, a.deadline, a.stopEnd, "the deadline of %s", a.name)
		}
	}
	timedOut := func(s shutdown.Step) bool {
		return s.State == shutdown.StateTimeout && s.Stage != "observers"
	}
	timeouts := slices.ContainsFunc(tr.report.Steps, timedOut)
	if timeouts || !tr.loggerBlocks && !tr.handlerBlocks && !tr.watchBlocks {
		got := tr.report.Stacks != nil
		assert.Equal(t, timeouts, got, "stacks are kept if something timed out")
	}
}

// noTimeIsLeft is from when on a need not be called.
func (tr *trace) noTimeIsLeft(a ranked, c clock, m *model) time.Duration {
	shares := time.Duration(len(tr.ranked())) // of which each is a nanosecond at least
	return c.tail - 2*m.lastMoment(c) - shares
}

// Wait, the report and the ErrorHandler tell of the same failures, all of them and no other.
func checkErrors(t *testing.T, tr *trace) {
	var failed []string
	for _, s := range tr.rows {
		what := fmt.Sprintf("%s is %s with %v", s.name, s.state, s.err)
		assert.Equal(t, s.state != shutdown.StateOK, s.err != nil, what)
		isTimeout := s.state == shutdown.StateTimeout || s.state == shutdown.StateSkipped
		assert.Equal(t, isTimeout, errors.Is(s.err, shutdown.ErrTimeout), what)
		if s.err != nil {
			failed = append(failed, nameOf(s.err))
		}
	}
	assert.Equal(t, len(failed) > 0, tr.report.Failed())

	assert.ElementsMatch(t, failed, namesOf(leaves(tr.err)), "failures in the report and in what Wait returns")

	if !tr.handlerBlocks && !tr.loggerBlocks {
		told := namesOf(tr.told)
		want := append(tr.lateComponents(told), failed...)
		want = slices.DeleteFunc(want, func(name string) bool {
			return strings.HasPrefix(name, "observers ") // are not told of themselves
		})
		assert.ElementsMatch(t, want, told, "failures in the report and those told")
	}

	for _, a := range tr.ranked() {
		row, listed := tr.row(a)
		has := errors.Is(tr.err, a.err)
		switch {
		case !listed || row.state == shutdown.StateOK:
			assert.False(t, has, "%s has not failed", a.name)
		case a.calls == 0:
		case row.state == shutdown.StateTimeout && !a.obeyed:
		case a.failed:
			assert.True(t, errors.Is(tr.err, a.says), "what %s says is in what Wait returns", a.name)
		case row.state != shutdown.StateTimeout && (a.ends == endsOK || a.ends == endsExit):
			assert.False(t, has, "%s has no error of its own", a.name)
		default:
			assert.True(t, has, "the error of %s is in what Wait returns", a.name)
		}
	}
}

func namesOf(errs []error) []string {
	var names []string
	for _, err := range errs {
		names = append(names, nameOf(err))
	}
	return names
}

// lateComponents are those that have failed when nobody waited for them any more. The report has
// that wait, and they are told as well, if the observers still are.
func (tr *trace) lateComponents(told []string) []string {
	var names []string
	for _, a := range tr.ranked() {
		_, gaveUp := tr.givenUpAt(a)
		if !a.component || !gaveUp || a.end == 0 || a.ends == endsOK {
			continue
		}
		isTwice := slices.Index(told, a.name) != lastIndex(told, a.name)
		// In the last moment the observers may be done with already.
		if a.end < tr.doneAt-mostNotice || a.end <= tr.doneAt && isTwice {
			names = append(names, a.name)
		}
	}
	return names
}

func lastIndex(names []string, name string) int {
	for i, n := range slices.Backward(names) {
		if n == name {
			return i
		}
	}
	return -1
}

// Hooks are for managers whose Start has succeeded, and such a manager is released once. A finish
// hook gets a report with all that came before it.
func checkManagers(t *testing.T, tr *trace) {
	for _, m := range tr.managers {
		for _, hook := range []*action{m.begin, m.finish} {
			assert.True(t, hook == nil || hook.calls == 0 || tr.hasStarted(m),
				"a hook of %s was called, which had not started", m.name)
		}
		releases := 0
		if tr.hasStarted(m) {
			releases = 1
		}
		assert.Equal(t, releases, m.released, "calls of %s.Release", m.name)
		if m.finish == nil || m.finish.calls == 0 {
			continue
		}
		assert.Equal(t, tr.report.Reason, m.report.Reason, "reason told to %s", m.name)
		isAfter := func(s step) bool { return s.stage == "finish" || s.stage == "observers" }
		got := slices.DeleteFunc(stepsOf(m.report), isAfter)
		want := slices.DeleteFunc(slices.Clone(tr.rows), isAfter)
		assert.Equal(t, want, got, "the report for %s", m.name)
	}
}

// hasStarted reports whether the Start of m has succeeded while it was waited for.
func (tr *trace) hasStarted(m *planManager) bool {
	a := m.start
	inTime := a.end <= tr.startEnd && a.end <= newModel(tr).startPatience(tr.triggeredAt())
	return a.calls == 1 && a.ends == endsOK && inTime
}

// Watch sees each row of the report twice: when it begins, in the order of the report, and when it
// has ended. The observers themselves end when there is nobody to tell.
func checkWatch(t *testing.T, tr *trace) {
	if tr.watchBlocks {
		assert.LessOrEqual(t, len(tr.watched), 1, "what a Watch that blocks has seen")
		return
	}
	var begun, ended, begins, ends []shutdown.Step
	for _, s := range tr.report.Steps {
		if s.Stage == "observers" {
			continue
		}
		ends = append(ends, s)
		begins = append(begins, shutdown.Step{Name: s.Name, Stage: s.Stage, Phase: s.Phase,
			State: shutdown.StateRunning, Start: s.Start})
	}
	last := time.Duration(0)
	for _, s := range tr.watched {
		at := s.Start + s.Duration
		assert.LessOrEqual(t, last, at, "Watch sees %s %s in order", s.Stage, s.Name)
		last = at
		if s.State == shutdown.StateRunning {
			begun = append(begun, s)
			continue
		}
		ended = append(ended, s)
		assert.True(t, slices.ContainsFunc(begun, func(b shutdown.Step) bool {
			return b.Stage == s.Stage && b.Name == s.Name
		}), "Watch sees the begin of %s %s before its end", s.Stage, s.Name)
	}
	assert.Equal(t, begins, begun, "what Watch has seen begin")
	assert.ElementsMatch(t, ends, ended, "what Watch has seen end")
}

// A ranked action is one with its place in the order of the stop.
type ranked struct {
	*action
	rank      int    // the phase, or what is before or after all of them
	key       string // of its row, see step.key; empty if it can have none
	component bool   // it has begun long before
}

func (tr *trace) ranked() []ranked {
	var all []ranked
	for _, m := range tr.managers {
		if m.begin != nil {
			key := "start " + m.name
			if !tr.hasStarted(m) { // that row tells of its Start
				key = ""
			}
			all = append(all, ranked{m.begin, -1, key, false})
		}
	}
	for _, s := range tr.servers {
		a := s.graceful
		all = append(all, ranked{a, int(shutdown.PhaseIngress), " " + a.name, false})
	}
	for _, a := range tr.callbacks {
		all = append(all, ranked{a, int(cmp.Or(a.phase, shutdown.PhaseStore)), " " + a.name, false})
	}
	for _, a := range tr.components {
		all = append(all, ranked{a, int(shutdown.PhaseWork), " " + a.name, true})
	}
	for _, m := range tr.managers {
		if m.finish != nil {
			all = append(all, ranked{m.finish, int(^uint(0) >> 1), "finish " + m.name, false})
		}
	}
	return all
}

func (tr *trace) hooks() []*action {
	var hooks []*action
	for _, m := range tr.managers {
		hooks = append(hooks, m.begin, m.finish)
	}
	return slices.DeleteFunc(hooks, func(a *action) bool { return a == nil })
}

// stopActions returns what gets a context from the stop.
func (tr *trace) stopActions() []*action { return append(tr.hooks(), tr.callbacks...) }

func (tr *trace) triggeredAt() time.Duration { return tr.report.Start.Sub(tr.epoch) }

// row returns the row of a in the report.
func (tr *trace) row(a ranked) (step, bool) {
	var found []step
	for _, s := range tr.rows {
		if s.key() == a.key {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return step{}, false
	}
	assert.Len(tr.t, found, 1, "rows of %s", a.key)
	return found[0], true
}

// givenUpAt returns when the stop went on without a.
func (tr *trace) givenUpAt(a ranked) (time.Duration, bool) {
	row, ok := tr.row(a)
	return tr.triggeredAt() + row.start + row.duration, ok && row.state == shutdown.StateTimeout
}

func (tr *trace) shutdownNames() []string {
	var names []string
	for i := range tr.shutdownAt {
		names = append(names, fmt.Sprint("Shutdown ", i))
	}
	return names
}
