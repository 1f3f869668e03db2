package shutdown

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// A task is one thing that a stop does: a callback, the draining of a server, waiting for a component, a manager's hook.
type task struct {
	name    string
	phase   Phase
	timeout time.Duration
	run     func(context.Context) error

	// cut, for servers, ends by force at the deadline what run could not end by asking. Its error says what was cut.
	cut func() error
}

// stop is the whole of a stop; it runs once, in its own goroutine.
func (gs *GracefulShutdown) stop(reason error) {
	gs.mu.Lock()
	settled := gs.settled
	gs.mu.Unlock()
	if settled != nil {
		<-settled // a Start in progress sees the trigger and ends
	}

	gs.mu.Lock() // once, to see what was written before the trigger and by that Start; from here on nothing is added
	begin := gs.report.Start
	gs.mu.Unlock()

	before, phases, after := gs.hooks(phaseStart), gs.phases(), gs.hooks(phaseFinish)
	run := stopRun{
		GracefulShutdown: gs,
		ctx:              context.WithValue(gs.values(), reasonKey{}, reason),
		graceEnd:         begin.Add(gs.grace),
		stagesLeft:       len(phases) + min(1, len(before)) + min(1, len(after)),
	}
	run.tailEnd = run.graceEnd.Add(gs.tail)
	run.ctx = context.WithValue(run.ctx, stopDeadlineKey{}, run.tailEnd)

	// 1. Everybody who wants to know is told. A hook that hangs leaves the servers their Delay and half of the rest.
	run.stage(before, begin.Add((gs.grace-gs.delay)/2))
	// 2. Balancers and clients leave while everything is still served; what the next process can accept is left to it.
	run.waitDelay()
	run.waitLinger()
	// 3. The phases.
	working := true
	for _, tasks := range phases {
		if working && tasks[0].phase >= PhaseWork {
			working = false
			gs.cancel(reason)
		}
		run.stage(tasks, run.stageEnd())
	}
	gs.cancel(reason)
	// 4. The managers hear how it went.
	run.stage(after, run.stageEnd())

	gs.release(gs.endStart, gs.running, run.tailEnd)
	gs.finish(run.tailEnd)
}

// values returns a context with the values of Start's context, which never ends.
func (gs *GracefulShutdown) values() context.Context {
	if gs.parent == nil {
		return context.Background()
	}
	return context.WithoutCancel(gs.parent)
}

// hooks returns the tasks of the running managers that implement ShutdownStarter or ShutdownFinisher.
func (gs *GracefulShutdown) hooks(phase Phase) []task {
	var tasks []task
	for _, m := range gs.running {
		var run func(context.Context) error
		if starter, ok := m.(ShutdownStarter); ok && phase == phaseStart {
			run = func(ctx context.Context) error { return starter.ShutdownStart(ctx, Reason(ctx)) }
		}
		if finisher, ok := m.(ShutdownFinisher); ok && phase == phaseFinish {
			run = func(ctx context.Context) error { return finisher.ShutdownFinish(ctx, gs.Report()) }
		}
		if run != nil {
			tasks = append(tasks, task{name: m.Name(), phase: phase, run: run})
		}
	}
	return tasks
}

// phases returns the tasks by phase, ascending; within one, in the order in which they were added.
func (gs *GracefulShutdown) phases() [][]task {
	all := slices.Clone(gs.tasks)
	for _, c := range gs.components {
		if c.launched {
			all = append(all, c.task())
		}
	}
	slices.SortStableFunc(all, func(a, b task) int { return cmp.Compare(a.phase, b.phase) })

	var phases [][]task
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].phase == all[0].phase {
			n++
		}
		phases, all = append(phases, all[:n]), all[n:]
	}
	return phases
}

// A stopRun holds what only the goroutine of the stop needs.
type stopRun struct {
	*GracefulShutdown
	ctx        context.Context // the parent of every callback's context
	graceEnd   time.Time
	tailEnd    time.Time
	stagesLeft int
}

func (r *stopRun) waitDelay() {
	time.Sleep(r.delay)
	r.setReport(func(report *Report) { report.Delay = r.delay })
}

func (r *stopRun) waitLinger() {
	begin := time.Now()
	hold(r.held, min(holdWait, r.graceEnd.Sub(begin)/2))
	timer := time.NewTimer(min(r.linger, time.Until(r.graceEnd)/2))
	defer timer.Stop()
	if len(r.held) > 0 && r.grpc {
		<-timer.C // GracefulStop closes what was accepted a moment ago, and nobody knows whether there is any
	} else {
		r.waitForNoConnection(timer.C)
	}
	r.setReport(func(report *Report) { report.Linger = time.Since(begin) })
}

func (r *stopRun) waitForNoConnection(expired <-chan time.Time) {
	for _, s := range r.servers {
		select {
		case <-s.none():
		case <-expired:
			return
		}
	}
}

// stage runs tasks at the same time and returns when each has returned or was given up, at end at the latest.
func (r *stopRun) stage(tasks []task, end time.Time) {
	if len(tasks) == 0 {
		return
	}
	r.stagesLeft--

	var wg sync.WaitGroup
	for _, t := range tasks {
		row := r.begin(t)
		wg.Go(func() { r.supervise(t, row, end) })
	}
	wg.Wait()
}

// stageEnd is the end of Grace. The stages that have not begun by then share what is left of Tail equally.
func (r *stopRun) stageEnd() time.Time {
	now := time.Now()
	if now.Before(r.graceEnd) {
		return r.graceEnd
	}
	return now.Add(r.tailEnd.Sub(now) / time.Duration(max(1, r.stagesLeft)))
}

// supervise runs one task until it returns, but never beyond its deadline, and records the outcome.
func (r *stopRun) supervise(t task, row int, end time.Time) {
	begin := time.Now()
	if !begin.Before(end) {
		r.end(row, StateSkipped, t.wrap(fmt.Errorf("not called, no time was left: %w", ErrTimeout)))
		return
	}
	if t.timeout > 0 && begin.Add(t.timeout).Before(end) {
		end = begin.Add(t.timeout)
	}
	ctx, cancel := context.WithDeadlineCause(r.ctx, end, ErrTimeout)
	defer cancel()

	result := make(chan error, 1) // with a place, so that one who comes late need not stay
	go protect(func() error { return t.run(ctx) }, func(err error) { result <- err })

	var err error
	returned := true
	select {
	case err = <-result:
	case <-ctx.Done():
		err, returned = lastMoment(result)
	}

	switch {
	case returned && err == nil:
		r.end(row, StateOK, nil)
	case ctx.Err() != nil:
		r.keepStacks()
		if t.cut != nil {
			err = r.cut(t)
		}
		r.end(row, StateTimeout, t.wrap(timedOut(time.Since(begin), err)))
	default:
		state := StateError
		if _, ok := errors.AsType[*PanicError](err); ok {
			state = StatePanic
		}
		r.end(row, state, t.wrap(err))
	}
}

// await receives from c, but does not wait longer than d.
func await[T any](c <-chan T, d time.Duration) (value T, came bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case value = <-c:
		return value, true
	case <-timer.C:
		return lastMoment(c)
	}
}

// lastMoment gives a goroutine that is about to send, because its deadline has come, the chance to do so. It yields instead of waiting, so
// that deadlines stay exact; 10,000 times is some 2ms.
func lastMoment[T any](result <-chan T) (value T, came bool) {
	for range 10_000 {
		select {
		case value = <-result:
			return value, true
		default:
			runtime.Gosched()
		}
	}
	return value, false
}

// timedOut is ErrTimeout with how long it took and, if there is more to say than that, what.
func timedOut(after time.Duration, err error) error {
	after = roundDuration(after)
	switch {
	case err == nil, err == ErrTimeout, err == context.DeadlineExceeded: //nolint:errorlint // nothing but that
		return fmt.Errorf("%w after %v", ErrTimeout, after)
	case errors.Is(err, ErrTimeout):
		return err
	}
	return fmt.Errorf("%w after %v: %w", ErrTimeout, after, err)
}

// cutTime is how long a server's Close or Stop, and a manager's Release, is waited for. They take no time, except for a TLS connection
// that does not take its closing alert (5s in crypto/tls) and for a gRPC server told to wait for its handlers.
const cutTime = 100 * time.Millisecond

func (r *stopRun) cut(t task) error {
	result := make(chan error, 1)
	go protect(t.cut, func(err error) { result <- err })
	if err, came := await(result, min(cutTime, time.Until(r.tailEnd))); came {
		return err
	}
	return errors.New("cutting what was left has not returned")
}

func (t task) wrap(err error) error {
	if _, ok := err.(*ComponentError); ok { //nolint:errorlint // it names itself already
		return err
	}
	return &CallbackError{Name: t.name, Phase: t.phase, Err: err}
}

// protect calls fn and then done, exactly once, with fn's error, its panic, or errGoexit.
func protect(fn func() error, done func(error)) {
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		done(err)
	}()
	err = fn()
}

// finish makes the report final and lets the waiters go.
func (gs *GracefulShutdown) finish(latest time.Time) {
	gs.setReport(func(r *Report) { r.Total, r.final = time.Since(r.Start), true })
	report := gs.Report()
	gs.logEnd(report)
	// Logger and ErrorHandler are user code too: they may block for ever.
	gs.observer.close(latest)

	gs.err = errors.Join(append(report.errors(), gs.observer.keptErrors()...)...)
	close(gs.stopped)
}
