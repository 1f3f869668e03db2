package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gracekit/gracekit/internal/inorder"
)

// A Registry runs checks and knows what they found. Make it with [New]. All its methods are safe for concurrent use.
type Registry struct {
	checks []*checker
	byName map[string]*checker
	ready  chan struct{}  // closed when the Ready checks were up for the first time
	drain  chan struct{}  // closed when draining begins
	events *inorder.Queue // the calls of OnChange's functions that are still to be made

	mu           sync.Mutex
	started      time.Time       // when Run began
	stopped      <-chan struct{} // nil before Run
	draining     bool
	isReady      bool // ready is closed
	drainOn      []<-chan struct{}
	onChange     []func(Event)
	eventFailure error // the first panic of a function in onChange
}

// ErrAlreadyStarted is returned by [Registry.Run] when it is called a second time.
var ErrAlreadyStarted = errors.New("health: Run was called before")

// New returns a registry of these checks, which are reported in this order. Without any, the endpoints show
// just that the process answers, and whether it drains. The error names every problem of every check, such as a
// Probe that is nil; it Is [ErrDuplicate] or [ErrInvalidName] if that is among them.
//
// Nothing is checked, and every check is pending, before [Registry.Run].
func New(checks ...Check) (*Registry, error) {
	r := &Registry{
		byName: make(map[string]*checker, len(checks)),
		ready:  make(chan struct{}),
		drain:  make(chan struct{}),
	}
	r.events = &inorder.Queue{Label: "health/onchange", Limit: maxEvents, Fail: r.eventFailed}
	var errs []error
	now := time.Now()
	for _, check := range checks {
		if err := check.validate(); err != nil {
			errs = append(errs, err)
		}
		if r.byName[check.Name] != nil {
			errs = append(errs, fmt.Errorf("%w: %q", ErrDuplicate, check.Name))
		}
		c := newChecker(check.withDefaults(), now)
		r.checks = append(r.checks, c)
		r.byName[check.Name] = c
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r.updateReadyLocked() // nobody else has it yet
	return r, nil
}

// Run runs the checks until ctx ends, each for the first time at once. Then it begins to drain, as nobody can vouch for the readiness of the
// service any more, and returns; all other states stay as they are. A check cut short by that proves nothing
// and changes no state.
//
// Each check has a goroutine, and so has each run of its probe. All have ended when Run returns, except that of
// a probe which ignores its context.
//
// It returns nil, or the first panic until then of a function given to [Registry.OnChange], as a *[PanicError]. A second
// call returns [ErrAlreadyStarted].
func (r *Registry) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.stopped != nil {
		r.mu.Unlock()
		return ErrAlreadyStarted
	}
	ctx, cancel := context.WithCancel(ctx) // so that Done is not nil
	defer cancel()
	r.started = time.Now()
	r.stopped = ctx.Done()
	r.mu.Unlock()

	var wg sync.WaitGroup
	for _, c := range r.checks {
		wg.Go(func() { r.watch(ctx, c) })
	}
	<-ctx.Done()
	r.Drain()
	wg.Wait()

	r.mu.Lock()
	defer r.mu.Unlock()
	return r.eventFailure
}

// Ready returns a channel that is closed as soon as [Registry.Report] of Ready is up for the first time. It
// stays closed afterwards, whatever becomes of the checks, so it tells that the service came up, not that it is
// up now. If draining begins earlier, it is never closed.
func (r *Registry) Ready() <-chan struct{} { return r.ready }

// Drain makes Ready endpoints fail from now on, so that balancers send no further requests; Live and Startup
// endpoints do not. The checks go on. It may be called at any time, any number of times, and cannot be undone.
func (r *Registry) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drainLocked()
}

// DrainOn has the registry drain when ch is closed, or gives a value. The very next request is answered
// accordingly: no goroutine has to run first. The goroutine it starts for the event ends when the registry
// drains, hence at the end of Run at the latest. It panics if ch is nil.
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
	from := r.stateLocked(Ready, nil)
	r.draining = true
	r.drainOn = nil
	close(r.drain)
	r.emitLocked(Event{Kind: Ready, From: from, To: Draining, Time: time.Now()})
}

// isDrainingLocked looks at the channels of DrainOn itself, as their goroutines may not have run yet.
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
	if !r.isReady && !r.isDrainingLocked() && r.stateLocked(Ready, nil) == Up {
		r.isReady = true
		close(r.ready)
	}
}

// stateLocked returns the worst state of the checks of these kinds, without regard to draining.
func (r *Registry) stateLocked(kind Kind, excluded map[string]bool) State {
	state := Up
	for _, c := range r.checks {
		if c.state == Up || excluded[c.Name] || !c.failsLocked(kind, r.started) {
			continue
		}
		if c.state == Down {
			return Down
		}
		state = c.state
	}
	return state
}
