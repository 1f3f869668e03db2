package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/inorder"
)

// A Registry runs checks and knows their results. Make it with [New]. Its methods are safe for
// concurrent use.
type Registry struct {
	created  time.Time
	drain    chan struct{}  // closed when draining begins
	events   *inorder.Queue // pending calls of the functions of OnChange
	watchers sync.WaitGroup

	mu           sync.Mutex
	checks       []*checker
	byName       map[string]*checker
	added        int             // checks so far
	onDemand     bool            // there has been an OnDemand check
	served       Kind            // that there is a Handler for
	ctx          context.Context // of Run; nil before it
	draining     bool
	ready        chan struct{} // closed when the Ready checks were up for the first time
	isReady      bool          // ready is closed
	drainOn      []<-chan struct{}
	onChange     []func(Event)
	eventFailure error // the first panic of a function in onChange
}

// ErrAlreadyStarted is returned by [Registry.Run] when it is called a second time.
var ErrAlreadyStarted = errors.New("health: Run was called before")

// New returns a registry of these checks, which are reported in this order. Without any, the
// endpoints only show that the process answers, and whether it drains. The error names every
// problem of every check, such as a Probe that is nil; it Is [ErrDuplicate] or [ErrInvalidName] if
// that is among them.
//
// No check runs, and all are pending, before [Registry.Run].
func New(checks ...Check) (*Registry, error) {
	r := &Registry{
		created: time.Now(),
		ready:   make(chan struct{}),
		drain:   make(chan struct{}),
		byName:  make(map[string]*checker, len(checks)),
	}
	r.events = &inorder.Queue{Label: "health/onchange", Limit: maxEvents, Fail: r.eventFailed}
	var errs []error
	for _, check := range checks {
		errs = append(errs, r.Add(check))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r.updateReadyLocked() // r is not shared yet; no lock needed
	return r, nil
}

// Add adds a check, after all others. While the registry runs, the check starts at once; it is
// pending until its first result, and that fails its endpoints unless it is Optional. The error is
// as that of [New]; there is also one after [Registry.Run] has ended.
func (r *Registry) Add(check Check) error {
	err := check.validate()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName[check.Name] != nil {
		err = errors.Join(err, fmt.Errorf("%w: %q", ErrDuplicate, check.Name))
	}
	if r.ctx != nil && r.ctx.Err() != nil {
		err = errors.Join(err, fmt.Errorf("health: Add(%q): Run has ended", check.Name))
	}
	if err != nil {
		return err
	}
	c := newChecker(check.withDefaults(), r.added, time.Now())
	r.added++
	r.onDemand = r.onDemand || c.Period == OnDemand
	r.checks = append(r.checks, c)
	r.byName[c.Name] = c
	if r.ctx != nil {
		r.startLocked(c, 0)
	} else if r.isReady { // it was, without this check
		r.ready, r.isReady = make(chan struct{}), false
		r.updateReadyLocked()
	}
	return nil
}

// Remove removes the check of this name and reports whether there was one. It does not wait for a
// run in progress, whose context it ends and whose result no longer matters.
func (r *Registry) Remove(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.byName[name]
	if c == nil {
		return false
	}
	delete(r.byName, name)
	r.checks = slices.DeleteFunc(r.checks, func(other *checker) bool { return other == c })
	if c.stop != nil {
		c.stop()
	}
	c.answerLocked()
	r.updateReadyLocked()
	return true
}

// Run runs the checks until ctx ends. They start a millisecond apart, each within a tenth of its
// Period at the latest; once they have come up, their runs are spread over the Period. At the end
// Run begins to drain, since the readiness of the service is no longer known, and returns; all
// other states stay as they are. A run that is cut short by that changes no state.
//
// Each check has a goroutine, which calls its probe. If a probe does not return when its time is
// up, another goroutine goes on with the check. All have ended when Run returns, except that of a
// probe which ignores its context.
//
// It returns nil, or the first panic until then of a function given to [Registry.OnChange], as a
// *[PanicError]. A second call returns [ErrAlreadyStarted].
func (r *Registry) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx) // so that Done is not nil
	defer cancel()
	r.mu.Lock()
	if r.ctx != nil {
		r.mu.Unlock()
		return ErrAlreadyStarted
	}
	r.ctx = ctx
	for i, c := range r.checks {
		r.startLocked(c, min(time.Duration(i)*time.Millisecond, c.pace()/10))
	}
	r.mu.Unlock()

	<-ctx.Done()
	r.Drain() // under the lock: from now on Add starts nothing
	ended := guard.Go(ctx, "health/run", func() error { r.watchers.Wait(); return nil })
	ended.WaitFor(noticeTime)

	r.mu.Lock()
	defer r.mu.Unlock()
	return r.eventFailure
}

func (r *Registry) startLocked(c *checker, delay time.Duration) {
	ctx, stop := context.WithCancel(r.ctx)
	c.started, c.stop = time.Now(), stop
	r.watchers.Add(1)
	go r.watch(ctx, c, delay)
}

// Ready returns a channel that is closed as soon as [Registry.Report] of Ready is up for the first
// time. It stays closed, whatever becomes of the checks: it says that the service came up, not that
// it is up now. If draining begins earlier, it is never closed. Call it after the checks have been
// added: without any, a registry is ready.
func (r *Registry) Ready() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ready
}

// Drain makes Ready endpoints fail from now on, so that balancers send no further requests; Live
// and Startup endpoints do not. The checks go on. It may be called at any time, any number of
// times, and cannot be undone.
func (r *Registry) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drainLocked()
}

// DrainOn drains the registry when ch is closed or delivers a value. The very next request is
// answered accordingly: no goroutine has to run first. The goroutine that DrainOn starts for the
// event ends when the registry drains, at the end of Run at the latest. It panics if ch is nil.
func (r *Registry) DrainOn(ch <-chan struct{}) {
	if ch == nil {
		panic("health: DrainOn(nil): expected a channel")
	}
	r.mu.Lock()
	r.drainOn = append(r.drainOn, ch)
	r.mu.Unlock()
	go func() {
		select {
		case <-ch:
			r.Drain()
		case <-r.drain:
		}
	}()
}

func (r *Registry) drainLocked() {
	if r.draining {
		return
	}
	from := r.stateLocked(query{kind: Ready})
	r.draining = true
	r.drainOn = nil
	close(r.drain)
	r.emitLocked(Event{Kind: Ready, From: from, To: Draining, Time: time.Now()})
}

// isDrainingLocked looks at the channels of DrainOn, whose goroutines may not have run yet.
func (r *Registry) isDrainingLocked() bool {
	for _, ch := range r.drainOn {
		select {
		case <-ch:
			r.drainLocked()
			return true
		default:
		}
	}
	return r.draining
}

func (r *Registry) updateReadyLocked() {
	if !r.isReady && !r.isDrainingLocked() && r.stateLocked(query{kind: Ready}) == Up {
		r.isReady = true
		close(r.ready)
	}
}

// endpointLocked returns the state of an endpoint.
func (r *Registry) endpointLocked(q query) State {
	if q.kind&Ready != 0 && r.isDrainingLocked() {
		return Draining
	}
	return r.stateLocked(q)
}

// stateLocked returns the worst state of the checks that q shows, without regard to draining.
func (r *Registry) stateLocked(q query) State {
	state := Up
	for _, c := range r.checks {
		if c.state == Up || !q.shows(c) || !c.failsLocked(q.kind) {
			continue
		}
		if c.state == Down {
			return Down
		}
		state = c.state
	}
	return state
}

// A query says which checks an answer shows.
type query struct {
	kind     Kind
	only     string // the name of a single check, or ""
	excluded map[string]bool
}

func (q query) shows(c *checker) bool {
	return c.Kind&q.kind != 0 && (q.only == "" || q.only == c.Name) &&
		(q.excluded == nil || !q.excluded[c.Name])
}
