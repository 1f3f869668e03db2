package shutdowntest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/oneline"
	"github.com/gracekit/gracekit/shutdown"
)

// Manager holds a manager to the contract of [shutdown.Manager] and of the optional interfaces that
// it implements. Each rule is a subtest; one that fails says what was seen, and why there is the
// rule.
//
// new returns a manager that has not been started, each time another one, and one for which there
// is nothing to ask: a signal that does not come, a lease that is held. So what a manager does when
// there is something is left to tests of your own.
//
// Real time passes, less than two seconds if the manager keeps its contract. The managers may
// influence the process as they like, so the test must not run in parallel with others.
func Manager(t *testing.T, new func() shutdown.Manager) {
	t.Helper()
	if new == nil {
		panic("shutdowntest: Manager: new must not be nil")
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if err := r.check(new); err != nil {
				t.Errorf("%v\nThe rule: %s", err, r.why)
			}
		})
	}
}

// A rule is one of the contract.
type rule struct {
	name  string
	why   string
	check func(new func() shutdown.Manager) error
}

var rules = []rule{
	{
		"Name is a short line, always the same",
		"it is what errors, the report and profiles call the manager.",
		checkName,
	},
	{
		"Start returns without waiting for anything",
		"the managers are started one after the other, and the service is not up before all are.",
		checkStart,
	},
	{
		"nothing is asked for unless there is a reason",
		"each request stops the service.",
		func(new func() shutdown.Manager) error { return new1(new).checkRequests() },
	},
	{
		"what Start began ends with its context, or with Release",
		"the service is over by then: what goes on leaks, or keeps signals and sockets from others.",
		func(new func() shutdown.Manager) error { return new1(new).checkEnd(context.Background()) },
	},
	{
		"Start copes with a context that has ended",
		"the service may be asked to stop while it starts.",
		func(new func() shutdown.Manager) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return new1(new).checkEnd(ctx)
		},
	},
	{
		"another one can be started afterwards",
		"a process may run several services, one after the other; tests do.",
		func(new func() shutdown.Manager) error {
			for _, which := range []string{"the first", "the second, after the end of the first"} {
				if err := new1(new).checkEnd(context.Background()); err != nil {
					return fmt.Errorf("%s: %w", which, err)
				}
			}
			return nil
		},
	},
	{
		"Release returns at once",
		"Wait does not return before; after 100ms the manager is abandoned.",
		func(new func() shutdown.Manager) error { return new1(new).checkRelease() },
	},
	{
		"ShutdownStart does its work in time, and without an error",
		"the drain begins when it has returned; an error of it makes a clean stop fail.",
		checkHook("start", "ShutdownStart"),
	},
	{
		"ShutdownFinish does its work in time, and without an error",
		"Wait and Run return after it; an error of it makes a clean stop fail.",
		checkHook("finish", "ShutdownFinish"),
	},
	{
		"everything is given back if the next manager does not start",
		"the program may go on, and try again.",
		checkFailedStart,
	},
}

// enough is how long something may take that should take no time, on a busy machine.
const enough = 2 * time.Second

// within calls a method of the manager; what says which.
func within(ctx context.Context, what string, fn func() error) error {
	call := guard.Go(ctx, "shutdowntest", fn)
	if !call.WaitFor(enough) {
		return fmt.Errorf("%s has not returned within %v", what, enough)
	}
	err := call.Err()
	var p *guard.Panic
	switch {
	case errors.As(err, &p):
		return fmt.Errorf("%s panics: %s\n\n%s", what, p.Text, p.Stack)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func checkName(new func() shutdown.Manager) error {
	m := new1(new)
	var names [2]string
	for i := range names {
		err := within(context.Background(), "Name", func() error { names[i] = m.Name(); return nil })
		if err != nil {
			return err
		}
	}
	name := names[0]
	switch {
	case name == "":
		return errors.New("Name is empty")
	case name != names[1]:
		return fmt.Errorf("Name is %q, and when it is called again %q", name, names[1])
	case name != oneline.Escape(name) || strings.TrimSpace(name) != name:
		return fmt.Errorf("Name is %q: it has something in it that is not printed as it is", name)
	case len(name) > 100:
		return fmt.Errorf("Name has %d bytes, want 100 at most", len(name))
	}
	return nil
}

func checkStart(new func() shutdown.Manager) error {
	s := new1(new)
	defer func() { _ = s.end() }()
	return s.start(context.Background())
}

// A started manager is one that the suite has called Start of, with what has come of it.
type started struct {
	shutdown.Manager
	mark   string // a profiler label of all goroutines that Start begins
	cancel context.CancelFunc

	mu    sync.Mutex
	asked []error
}

func new1(new func() shutdown.Manager) *started {
	return &started{Manager: new(), mark: rand.Text(), cancel: func() {}}
}

// label is what goroutines inherit.
func (s *started) label(ctx context.Context) context.Context {
	return pprof.WithLabels(ctx, pprof.Labels("shutdowntest", s.mark))
}

func (s *started) start(ctx context.Context) error {
	ctx, s.cancel = context.WithCancel(s.label(ctx))
	return within(ctx, "Start", func() error {
		return s.Start(ctx, func(reason error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked = append(s.asked, reason)
		})
	})
}

// end ends what Start began, as a GracefulShutdown does.
func (s *started) end() error {
	s.cancel()
	if r, ok := s.Manager.(shutdown.Releaser); ok {
		return within(context.Background(), "Release", func() error { r.Release(); return nil })
	}
	return nil
}

func (s *started) requests() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *started) checkRequests() error {
	if err := s.start(context.Background()); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // one that asks does so at once
	if asked := s.requests(); len(asked) > 0 {
		return errors.Join(fmt.Errorf("it asks for a shutdown, with the reason %q, and nothing has "+
			"happened", guard.Text(asked[0])), s.end())
	}
	if err := s.end(); err != nil {
		return err
	}
	_ = s.awaitGoroutines() // another rule
	if asked := s.requests(); len(asked) > 0 {
		return fmt.Errorf("it asks for a shutdown, with the reason %q, because its own context has ended",
			guard.Text(asked[0]))
	}
	return nil
}

// checkEnd starts a manager and ends it. One whose Start fails because ctx has ended has to leave
// nothing either.
func (s *started) checkEnd(ctx context.Context) error {
	if err := s.start(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return s.awaitGoroutines()
}

func (s *started) checkRelease() error {
	if _, ok := s.Manager.(shutdown.Releaser); !ok {
		return nil
	}
	if err := s.start(context.Background()); err != nil {
		return err
	}
	return s.end()
}

// awaitGoroutines waits until no goroutine is left that Start has begun.
func (s *started) awaitGoroutines() error {
	var left string
	const every = 10 * time.Millisecond
	for range enough / every { // counted, since this process may get no processor for a while
		if left = goroutines(s.mark); left == "" {
			return nil
		}
		time.Sleep(every)
	}
	return fmt.Errorf("goroutines that Start began are still there %v after the end:\n%s",
		enough, left)
}

// goroutines returns the stacks of those with the mark, but for the one of package os/signal, which
// is begun once in a process.
func goroutines(mark string) string {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer takes everything
	var found []string
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, mark) && !strings.Contains(stack, "os/signal.loop") {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}

var errAsked = errors.New("asked by the test")

// checkHook stops a service with the manager, and looks at the row of one of its hooks.
func checkHook(stage, method string) func(func() shutdown.Manager) error {
	return func(new func() shutdown.Manager) error {
		s := new1(new)
		gs := shutdown.New(shutdown.Grace(2*enough), shutdown.Tail(enough))
		if err := gs.AddManager(s.Manager); err != nil {
			return err
		}
		ctx := s.label(context.Background())
		if err := within(ctx, "Start", func() error { return gs.Start(ctx) }); err != nil {
			gs.Shutdown(errAsked)
			return err
		}
		gs.Shutdown(errAsked)
		_ = gs.Wait() // the report says more
		for _, step := range gs.Report().Steps {
			if step.Stage != stage {
				continue
			}
			switch step.State {
			case shutdown.StateOK:
			case shutdown.StateTimeout:
				return fmt.Errorf("%s has not returned by the end of its context, after %v",
					method, step.Duration.Round(time.Millisecond))
			case shutdown.StatePanic:
				return fmt.Errorf("%s panics: %w", method, step.Err)
			default:
				return fmt.Errorf("%s fails in an ordinary stop: %w", method, step.Err)
			}
		}
		return nil
	}
}

// unable is a manager that cannot start.
type unable struct{}

func (unable) Name() string                             { return "unable" }
func (unable) Start(context.Context, func(error)) error { return errAsked }

func checkFailedStart(new func() shutdown.Manager) error {
	s := new1(new)
	gs := shutdown.New(shutdown.Grace(2*enough), shutdown.Tail(enough))
	if err := gs.AddManager(s.Manager, unable{}); err != nil {
		return err
	}
	ctx := s.label(context.Background())
	if err := within(ctx, "Start", func() error { return gs.Start(ctx) }); !errors.Is(err, errAsked) {
		gs.Shutdown(errAsked)
		return err
	}
	return s.awaitGoroutines()
}
