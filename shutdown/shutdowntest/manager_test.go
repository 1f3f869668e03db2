package shutdowntest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
)

func TestManagersOfPackageShutdown(t *testing.T) {
	t.Run("Poll", func(t *testing.T) {
		shutdowntest.Manager(t, func() shutdown.Manager {
			return shutdown.Poll("poll", time.Millisecond, never)
		})
	})
	t.Run("ContextDone", func(t *testing.T) {
		shutdowntest.Manager(t, func() shutdown.Manager {
			return shutdown.ContextDone("parent", t.Context())
		})
	})
}

func never(context.Context) (bool, error) { return false, nil }

// A faulty manager keeps its contract but for what is replaced.
type faulty struct {
	name   func() string
	start  func(ctx context.Context, request func(error)) error
	begin  func(ctx context.Context) error
	finish func(ctx context.Context) error
	free   func()
}

func (f *faulty) Name() string {
	if f.name != nil {
		return f.name()
	}
	return "faulty"
}

func (f *faulty) Start(ctx context.Context, request func(error)) error {
	if f.start != nil {
		return f.start(ctx, request)
	}
	return nil
}

func (f *faulty) ShutdownStart(ctx context.Context, _ error) error {
	if f.begin != nil {
		return f.begin(ctx)
	}
	return nil
}

func (f *faulty) ShutdownFinish(ctx context.Context, _ shutdown.Report) error {
	if f.finish != nil {
		return f.finish(ctx)
	}
	return nil
}

func (f *faulty) Release() {
	if f.free != nil {
		f.free()
	}
}

// A fault is seeded into managers, and has to be found with a message that names the rule.
type fault struct {
	name, rule, says string
	new              func() *faulty
}

func faults() []fault {
	const (
		name   = "Name_is_a_short_line"
		leaves = "goroutines that Start began are still there"
	)
	named := func(name func() string) func() *faulty {
		return func() *faulty { return &faulty{name: name} }
	}
	starting := func(start func(ctx context.Context, request func(error)) error) func() *faulty {
		return func() *faulty { return &faulty{start: start} }
	}
	finishing := func(finish func(context.Context) error) func() *faulty {
		return func() *faulty { return &faulty{finish: finish} }
	}
	calls, inUse := "", false
	return []fault{
		{"no name", name, "Name is empty", named(func() string { return "" })},
		{"another name each time", name, `Name is "a", and when it is called again "aa"`,
			named(func() string { calls += "a"; return calls })},
		{"a name that panics", name, "Name panics: boom", named(func() string { panic("boom") })},
		{"a name of two lines", name, "not printed as it is", named(func() string { return "a\nb" })},
		{"Start waits", "Start_returns_without", "Start has not returned within",
			starting(func(ctx context.Context, _ func(error)) error { <-ctx.Done(); return nil })},
		{"asks without a reason", "nothing_is_asked_for", "nothing has happened",
			starting(func(_ context.Context, request func(error)) error { request(nil); return nil })},
		{"asks when it is over", "nothing_is_asked_for", "because its own context has ended",
			starting(func(ctx context.Context, request func(error)) error {
				go func() { <-ctx.Done(); request(ctx.Err()) }()
				return nil
			})},
		{"never ends", "what_Start_began_ends", leaves,
			starting(func(context.Context, func(error)) error {
				go func() { select {} }()
				return nil
			})},
		{"does not look at its context", "Start_copes_with", leaves,
			starting(func(ctx context.Context, _ func(error)) error {
				done := ctx.Done()
				if ctx.Err() != nil {
					done = nil
				}
				go func() { <-done }()
				return nil
			})},
		{"only once in a process", "another_one_can_be",
			"the second, after the end of the first: Start: in use",
			starting(func(context.Context, func(error)) error {
				if inUse {
					return errors.New("in use")
				}
				inUse = true
				return nil
			})},
		{"Release hangs", "Release_returns_at_once", "Release has not returned",
			func() *faulty { return &faulty{free: func() { select {} }} }},
		{"ShutdownStart hangs", "ShutdownStart_does_its", "ShutdownStart has not returned",
			func() *faulty { return &faulty{begin: func(context.Context) error { select {} }} }},
		{"ShutdownFinish panics", "ShutdownFinish_does_its", "ShutdownFinish panics: .*boom",
			finishing(func(context.Context) error { panic("boom") })},
		{"ShutdownFinish fails", "ShutdownFinish_does_its", "ShutdownFinish fails in an ordinary stop",
			finishing(func(context.Context) error { return errors.New("no") })},
		{"keeps what it had", "everything_is_given_back", leaves,
			starting(func(context.Context, func(error)) error {
				stop := make(chan struct{})
				go func() { <-stop }()
				return nil
			})},
	}
}

// faultVariable makes a child run the suite on the faulty managers; its failures are the result.
const faultVariable = "SHUTDOWNTEST_FAULTS"

func TestFaultyManagers(t *testing.T) {
	if os.Getenv(faultVariable) != "" {
		for _, f := range faults() {
			t.Run(f.name, func(t *testing.T) {
				shutdowntest.Manager(t, func() shutdown.Manager { return f.new() })
			})
		}
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			test := "^TestFaultyManagers$/^" + strings.ReplaceAll(f.name, " ", "_") + "$/^" + f.rule
			cmd := exec.Command(self, "-test.run="+test)
			cmd.Env = append(os.Environ(), faultVariable+"=1")
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite passes:\n%s", out)
			assert.Regexp(t, `--- FAIL: TestFaultyManagers/[^/]*/`+f.rule, string(out))
			assert.Regexp(t, f.says, string(out))
			assert.Contains(t, string(out), "The rule: ")
		})
	}
}
