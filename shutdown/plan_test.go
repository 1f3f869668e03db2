package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// A plan is a service and its end: everything that a test of the protocol may choose. FuzzStop
// runs random plans, TestProtocol all plans of a small kind. Times are on the clock of the
// bubble, counted from its beginning, unless they are durations.
type plan struct {
	grace, delay, linger, tail time.Duration

	callbacks  []*action
	managers   []*planManager
	components []*action
	servers    []*planServer

	starts        bool // otherwise nobody calls Start or Run
	run           bool // by Run, not by Start and Wait
	startAt       time.Duration
	shutdownAt    []time.Duration // calls of Shutdown; at least one, so that the stop comes
	endAt         time.Duration   // when the context of Start ends; 0: never
	hurryAt       []time.Duration // calls of Hurry, in ascending order
	handlerBlocks bool            // the ErrorHandler
	loggerBlocks  bool
	watchBlocks   bool
	callsBack     bool // every action and every observer call the GracefulShutdown's methods

	// before has the deadlines of those reasons that have one, by the names that winner returns.
	before map[string]time.Duration
}

// An action is one function of the user: a callback, a hook, a manager's Start, a component, the
// GracefulStop of a server.
type action struct {
	name    string
	phase   shutdown.Phase // of a callback
	timeout time.Duration  // of a callback or a server
	addAt   time.Duration  // when a callback is added; 0: before everything
	failAt  time.Duration  // when a component returns by itself; 0: never
	says    error          // what it returns then; nil: it is finished

	registered bool          // a callback is added by Register
	removeAt   time.Duration // when it is taken out again; 0: never

	takes time.Duration // for a component, from the end of its context on
	ends  ending
	deaf  bool // ignores the end of its context; otherwise it then returns at once, with err
	err   error

	// What was seen, guarded by trace.mu.
	refused    error // what AddCallback or Register returned
	remove     func() bool
	removed    bool // what remove returned, the first time
	calls      int
	begin, end time.Duration // end is 0 before it has returned
	beginSeq   int           // the place among all that was seen
	endSeq     int
	deadline   time.Duration // of its context
	stopEnd    time.Duration // StopDeadline, when it began
	wasEnded   bool          // its context, when it began
	obeyed     bool          // it was ended by its context
	failed     bool          // a component has returned by itself
	workBegan  [2]bool       // whether Context had ended when it began, and when it ended
	ctx        context.Context
}

// An ending is how an action ends if nobody interrupts it.
type ending string

const (
	endsOK    ending = "ok"
	endsError ending = "error"
	endsPanic ending = "panic"
	endsExit  ending = "exit"  // runtime.Goexit
	endsNever ending = "never" // not before the test has released it
)

// A planManager asks at the given times, those within its Start from within it.
type planManager struct {
	name          string
	start         *action
	begin, finish *action // its hooks; nil: it has none
	askAt         []time.Duration
	err           error // its reason

	released int
	report   shutdown.Report // what the finish hook got
}

// A planServer is a gRPC server. Stop ends GracefulStop, unless it hangs itself.
type planServer struct {
	graceful  *action
	stopHangs bool
	stops     int
}

func (p *plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  grace %v, delay %v, linger %v, tail %v\n",
		p.grace, p.delay, p.linger, p.tail)
	fmt.Fprintf(&b, "  starts %t at %v with Run %t, ends at %v, Shutdown at %v\n",
		p.starts, p.startAt, p.run, p.endAt, p.shutdownAt)
	fmt.Fprintf(&b, "  Hurry at %v, deadlines of reasons %v\n", p.hurryAt, p.before)
	fmt.Fprintf(&b, "  blocks: handler %t, logger %t, watch %t; calls back %t\n",
		p.handlerBlocks, p.loggerBlocks, p.watchBlocks, p.callsBack)
	for _, m := range p.managers {
		fmt.Fprintf(&b, "  %s asks at %v\n", m.name, m.askAt)
	}
	for _, a := range p.actions() {
		fmt.Fprintf(&b, "  %v\n", a)
	}
	return b.String()
}

func (a *action) String() string {
	return fmt.Sprintf("%s: phase %d, timeout %v, added at %v (Register %t, removed at %v), "+
		"returns at %v with %v, takes %v, ends %s, deaf %t; "+
		"seen: refused %v, removed %t, calls %d, from %v to %v, deadline %v",
		a.name, int(a.phase), a.timeout, a.addAt, a.registered, a.removeAt,
		a.failAt, a.says, a.takes, a.ends, a.deaf,
		a.refused, a.removed, a.calls, a.begin, a.end, a.deadline)
}

func (p *plan) actions() []*action {
	var all []*action
	for _, m := range p.managers {
		for _, a := range []*action{m.start, m.begin, m.finish} {
			if a != nil {
				all = append(all, a)
			}
		}
	}
	for _, s := range p.servers {
		all = append(all, s.graceful)
	}
	return append(append(all, p.callbacks...), p.components...)
}

// A trace is what was seen of a plan.
type trace struct {
	*plan
	gs      *shutdown.GracefulShutdown
	t       *testing.T
	epoch   time.Time
	release chan struct{} // closed when the test is over
	reasons map[string]error

	startErr error         // of Start or Run
	startEnd time.Duration // when that has returned
	err      error         // of Wait
	doneAt   time.Duration // when that has returned
	closedAt time.Duration // when Done was closed
	report   shutdown.Report
	rows     []step // of the report

	mu      sync.Mutex
	seq     int
	won     []string // the calls of Shutdown that returned true
	hurried []bool   // what the calls of Hurry returned
	told    []error  // by ErrorHandler
	logged  int
	watched []shutdown.Step
	done    bool
	late    []string // what was begun or told after done
}

// errEnded is the cause with which the context of Start ends.
var errEnded = errors.New("the end of Start's context")

// carryOut runs p in the bubble of t. When it returns, everything has ended.
func (p *plan) carryOut(t *testing.T) *trace {
	tr := &trace{plan: p, t: t, epoch: time.Now(), release: make(chan struct{})}
	tr.reasons = map[string]error{"end": errEnded}
	for _, name := range tr.shutdownNames() {
		tr.reasons[name] = errors.New(name)
	}
	for _, m := range p.managers {
		tr.reasons[m.name] = m.err
	}
	for name, at := range p.before {
		tr.reasons[name] = shutdown.Before(tr.epoch.Add(at), tr.reasons[name])
	}
	handler := func(err error) {
		tr.hear("ErrorHandler", func() { tr.told = append(tr.told, err) })
		tr.block(p.handlerBlocks)
	}
	watch := func(s shutdown.Step) {
		tr.hear("Watch", func() { tr.watched = append(tr.watched, s) })
		tr.block(p.watchBlocks)
	}
	gs := shutdown.New(
		shutdown.Grace(p.grace),
		shutdown.Delay(p.delay),
		shutdown.Linger(p.linger),
		shutdown.Tail(p.tail),
		shutdown.ErrorHandler(handler),
		shutdown.Watch(watch),
		shutdown.Logger(slog.New(planLog{slog.DiscardHandler, tr})),
	)
	tr.gs = gs
	ctx, endCtx := context.WithCancelCause(context.Background())
	defer endCtx(nil)
	tr.addAll()
	for i, name := range tr.shutdownNames() {
		tr.at(p.shutdownAt[i], func() { tr.shutdown(name) })
	}
	if p.endAt > 0 {
		tr.at(p.endAt, func() { endCtx(tr.reasons["end"]) })
	}
	go tr.hurry()
	go func() {
		<-gs.Done()
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.closedAt = tr.now()
	}()

	waited := make(chan struct{})
	go func() {
		defer close(waited)
		err := gs.Wait()
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.err, tr.doneAt, tr.done = err, tr.now(), true
		tr.report = gs.Report()
		tr.rows = stepsOf(tr.report)
	}()
	if time.Sleep(p.startAt); p.starts {
		start := gs.Start
		if p.run {
			start = gs.Run
		}
		tr.startErr = start(ctx)
		tr.startEnd = tr.now()
	}
	<-waited

	close(tr.release)
	time.Sleep(time.Hour) // what else happens comes now
	synctest.Wait()
	return tr
}

func (tr *trace) addAll() {
	for _, m := range tr.managers {
		require.NoError(tr.t, tr.gs.AddManager(tr.manager(m)))
	}
	for _, s := range tr.servers {
		srv := &server{s, tr, make(chan struct{})}
		var opts []shutdown.ServerOption
		if s.graceful.timeout > 0 {
			opts = append(opts, shutdown.DrainTimeout(s.graceful.timeout))
		}
		require.NoError(tr.t, tr.gs.AddGRPCServer(s.graceful.name, srv, opts...))
	}
	for _, a := range tr.callbacks {
		if a.addAt > 0 {
			tr.at(a.addAt, func() { tr.addCallback(a) })
		} else {
			tr.addCallback(a)
		}
	}
	for _, a := range tr.components {
		run := func(ctx context.Context) error { return tr.component(ctx, a) }
		require.NoError(tr.t, tr.gs.Go(a.name, run))
	}
}

func (tr *trace) addCallback(a *action) {
	c := shutdown.Callback{
		Name: a.name, Phase: a.phase, Timeout: a.timeout,
		Func: func(ctx context.Context) error { return tr.do(ctx, a, tr.release) },
	}
	var err error
	var remove func() bool
	if a.registered {
		remove, err = tr.gs.Register(c)
	} else {
		err = tr.gs.AddCallback(c)
	}
	tr.mu.Lock()
	a.refused, a.remove = err, remove
	tr.mu.Unlock()
	if a.removeAt > 0 {
		tr.at(a.removeAt, func() {
			removed := remove()
			tr.mu.Lock()
			defer tr.mu.Unlock()
			a.removed = removed
		})
	}
}

func (tr *trace) hurry() {
	for _, at := range tr.hurryAt {
		time.Sleep(at - tr.now())
		earlier := tr.gs.Hurry()
		tr.mu.Lock()
		tr.hurried = append(tr.hurried, earlier)
		tr.mu.Unlock()
	}
}

func (tr *trace) now() time.Duration { return time.Since(tr.epoch) }

// at has f called at a time, in a goroutine of its own.
func (tr *trace) at(at time.Duration, f func()) {
	go func() {
		time.Sleep(at - tr.now())
		f()
	}()
}

func (tr *trace) shutdown(name string) {
	won := tr.gs.Shutdown(tr.reasons[name])
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if won {
		tr.won = append(tr.won, name)
	}
}

// do is an action. Stop ends it before its time.
func (tr *trace) do(ctx context.Context, a *action, stop <-chan struct{}) error {
	tr.began(ctx, a)
	defer tr.ended(a)
	if tr.callsBack {
		assert.False(tr.t, tr.gs.Shutdown(nil), "Shutdown in %s", a.name)
		err := tr.gs.AddCallback(lateCallback)
		assert.Equal(tr.t, shutdown.ErrShuttingDown, err, "AddCallback in %s", a.name)
		assert.False(tr.t, tr.gs.Report().Start.IsZero(), "the report in %s", a.name)
	}
	var over <-chan time.Time
	if a.ends != endsNever {
		timer := time.NewTimer(a.takes)
		defer timer.Stop()
		over = timer.C
	}
	interrupted := ctx.Done()
	if a.deaf {
		interrupted = nil
	}
	select {
	case <-over:
		return a.finish()
	case <-interrupted:
		a.obeyed = true
		return fmt.Errorf("%w: %w", a.err, context.Cause(ctx))
	case <-stop:
		return nil
	case <-tr.release:
		return a.err // too late to be told
	}
}

// lateCallback is for after the trigger.
var lateCallback = shutdown.Callback{
	Name: "late",
	Func: func(context.Context) error { panic("lateCallback was called") },
}

func (a *action) finish() error {
	switch a.ends {
	case endsError:
		return a.err
	case endsPanic:
		panic(a.err)
	case endsExit:
		runtime.Goexit()
	}
	return nil
}

func (tr *trace) component(ctx context.Context, a *action) error {
	tr.began(ctx, a)
	defer tr.ended(a)
	var fails <-chan time.Time
	if a.failAt > 0 {
		timer := time.NewTimer(a.failAt - tr.now())
		defer timer.Stop()
		fails = timer.C
	}
	select {
	case <-fails:
		tr.mu.Lock()
		a.failed = true
		tr.mu.Unlock()
		return a.says
	case <-ctx.Done():
	}
	if a.ends == endsNever {
		<-tr.release
		return a.err
	}
	time.Sleep(a.takes)
	if err := a.finish(); err != nil {
		return err
	}
	return ctx.Err() // says nothing but that it was stopped
}

func (tr *trace) began(ctx context.Context, a *action) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.seq++
	a.calls++
	a.begin, a.beginSeq, a.ctx = tr.now(), tr.seq, ctx
	a.wasEnded = ctx.Err() != nil
	a.workBegan[0] = tr.gs.Context().Err() != nil
	if deadline, ok := ctx.Deadline(); ok {
		a.deadline = deadline.Sub(tr.epoch)
		a.stopEnd = shutdown.StopDeadline(ctx).Sub(tr.epoch)
	}
	if tr.done {
		tr.late = append(tr.late, a.name)
	}
}

func (tr *trace) ended(a *action) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.seq++
	a.end, a.endSeq = tr.now(), tr.seq
	a.workBegan[1] = tr.gs.Context().Err() != nil
}

// hear notes that an observer was called.
func (tr *trace) hear(who string, note func()) {
	if tr.callsBack {
		tr.gs.Report()
		_ = tr.gs.AddCallback(shutdown.Closer("refused", nil))
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	note()
	if tr.done {
		tr.late = append(tr.late, who)
	}
}

func (tr *trace) block(blocks bool) {
	if blocks {
		<-tr.release
	}
}

// planLog counts records.
type planLog struct {
	slog.Handler
	*trace
}

func (l planLog) Enabled(context.Context, slog.Level) bool { return true }

func (l planLog) Handle(context.Context, slog.Record) error {
	l.hear("Logger", func() { l.logged++ })
	l.block(l.loggerBlocks)
	return nil
}

// server is a shutdown.GRPCServer.
type server struct {
	*planServer
	tr      *trace
	stopped chan struct{}
}

func (s *server) GracefulStop() {
	_ = s.tr.do(context.Background(), s.graceful, s.stopped)
}

func (s *server) Stop() {
	s.tr.mu.Lock()
	s.stops++
	first := s.stops == 1
	s.tr.mu.Unlock()
	s.tr.block(s.stopHangs)
	if first {
		close(s.stopped)
	}
}

// manager returns a shutdown.Manager with those hooks that m has.
func (tr *trace) manager(m *planManager) shutdown.Manager {
	bare := &bareManager{m, tr}
	starter, finisher := hookStart{bare}, hookFinish{bare}
	switch {
	case m.begin != nil && m.finish != nil:
		return struct {
			*bareManager
			hookStart
			hookFinish
		}{bare, starter, finisher}
	case m.begin != nil:
		return struct {
			*bareManager
			hookStart
		}{bare, starter}
	case m.finish != nil:
		return struct {
			*bareManager
			hookFinish
		}{bare, finisher}
	}
	return bare
}

type bareManager struct {
	m  *planManager
	tr *trace
}

func (b *bareManager) Name() string { return b.m.name }

func (b *bareManager) Start(ctx context.Context, request func(error)) error {
	tr, m, a := b.tr, b.m, b.m.start
	tr.began(ctx, a)
	defer tr.ended(a)
	returns := tr.now() + a.takes
	for _, at := range m.askAt {
		if a.ends == endsNever || at < returns {
			time.Sleep(at - tr.now())
			request(tr.reasons[m.name])
		} else {
			tr.at(at, func() { request(tr.reasons[m.name]) })
		}
	}
	if a.ends == endsNever {
		<-tr.release
		return a.err
	}
	time.Sleep(returns - tr.now())
	return a.finish()
}

func (b *bareManager) Release() {
	b.tr.mu.Lock()
	defer b.tr.mu.Unlock()
	b.m.released++
	err := b.m.start.ctx.Err()
	assert.Error(b.tr.t, err, "the context of %s has ended by its Release", b.m.name)
}

type hookStart struct{ *bareManager }

func (h hookStart) ShutdownStart(ctx context.Context, reason error) error {
	assert.Equal(h.tr.t, shutdown.Reason(ctx), reason, "the reason that ShutdownStart gets")
	return h.tr.do(ctx, h.m.begin, h.tr.release)
}

type hookFinish struct{ *bareManager }

func (h hookFinish) ShutdownFinish(ctx context.Context, r shutdown.Report) error {
	h.m.report = r
	return h.tr.do(ctx, h.m.finish, h.tr.release)
}

// winner returns who has given the report's reason: "Shutdown 0", "end" for that of Start's
// context, the name of a manager or a component, or "start" for a Start that failed in Run.
func (tr *trace) winner() string {
	for name, reason := range tr.reasons {
		if tr.report.Reason == reason { // the very same
			return name
		}
	}
	if failed, ok := errors.AsType[*shutdown.ComponentError](tr.report.Reason); ok {
		return failed.Name
	}
	return "start"
}

// leaves returns the errors that err joins.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) // the outermost only
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, leaves(e)...)
	}
	return all
}

// A step is a row of the report. Its stage is empty if it has a phase.
type step struct {
	name, stage     string
	phase           shutdown.Phase
	state           shutdown.State
	start, duration time.Duration
	err             error
}

func (s step) key() string { return s.stage + " " + s.name }

func stepsOf(r shutdown.Report) []step {
	var steps []step
	for _, s := range r.Steps {
		if s.Phase > 0 {
			s.Stage = ""
		}
		steps = append(steps, step{s.Name, s.Stage, s.Phase, s.State, s.Start, s.Duration, s.Err})
	}
	return steps
}

// nameOf returns whose error err is, with the stage of what has no phase.
func nameOf(err error) string {
	switch err := err.(type) { // the outermost only
	case *shutdown.CallbackError:
		if err.Stage != "" {
			return err.Stage + " " + err.Name
		}
		return err.Name
	case *shutdown.ComponentError:
		return err.Name
	}
	return ""
}
