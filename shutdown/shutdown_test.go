package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// TestMain looks for goroutines that outlive the tests. (A synctest bubble looks for itself.)
func TestMain(m *testing.M) {
	code := m.Run()
	if leaked := leakedGoroutines(); code == 0 && leaked != "" {
		fmt.Fprintln(os.Stderr, "goroutines left:\n"+leaked)
		code = 1
	}
	os.Exit(code)
}

// leakedGoroutines returns the stacks of goroutines of this package that go on after the tests. Those of a connection just closed
// may need a moment, so it looks several times.
func leakedGoroutines() string {
	var leaked []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		buf := make([]byte, 1<<20)
		leaked = nil
		for i, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if i > 0 && strings.Contains(stack, "gracekit/shutdown") {
				leaked = append(leaked, stack)
			}
		}
		if len(leaked) == 0 {
			return ""
		}
	}
	return strings.Join(leaked, "\n\n")
}

// A journal records what happened, in order, with the time since its first line.
type journal struct {
	mu    sync.Mutex
	begin time.Time
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.begin.IsZero() {
		j.begin = time.Now()
	}
	j.lines = append(j.lines, fmt.Sprintf("%v ", time.Since(j.begin))+fmt.Sprintf(format, args...))
}

func (j *journal) callback(name string, phase shutdown.Phase, takes time.Duration) shutdown.Callback {
	return shutdown.Callback{Name: name, Phase: phase, Func: func(context.Context) error {
		time.Sleep(takes)
		j.add("%s", name)
		return nil
	}}
}

// unhang makes callbacks that hang, deaf to their context, until the test ends.
func unhang(t *testing.T) (hang func(context.Context) error) {
	t.Helper()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return func(context.Context) error { <-release; return nil }
}

func TestPhasesAscendAndShareTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		gs := shutdown.New()
		require.NoError(t, gs.AddCallback(
			j.callback("flush", shutdown.PhaseFlush, time.Second),
			j.callback("store a", shutdown.PhaseStore, time.Second),
			j.callback("store b", 0, 2*time.Second),
			j.callback("between", shutdown.PhaseWork+50, 0),
			j.callback("ingress", shutdown.PhaseIngress, time.Second),
			j.callback("first", 1, 0),
		))
		j.add("trigger")
		assert.True(t, gs.Shutdown(nil))
		require.NoError(t, gs.Wait())
		assert.Equal(t, []string{
			"0s trigger", "0s first", "1s ingress", "1s between", "2s store a", "3s store b", "4s flush",
		}, j.lines)

		r := gs.Report()
		assert.Equal(t, 4*time.Second, r.Total)
		time.Sleep(time.Hour)
		assert.Equal(t, r, gs.Report(), "a report that is final stays as it is")
	})
}

func TestFirstReasonWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		first := errors.New("lease lost")
		var seen error
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "look", Func: func(ctx context.Context) error {
			seen = shutdown.Reason(ctx)
			assert.False(t, gs.Shutdown(errors.New("from a callback")))
			return nil
		}}))
		select {
		case <-gs.Draining():
			t.Fatal("draining before the trigger")
		default:
		}
		assert.True(t, gs.Shutdown(first))
		<-gs.Draining()
		assert.False(t, gs.Shutdown(errors.New("again")))
		require.NoError(t, gs.Wait())
		assert.Equal(t, first, seen)
		assert.Equal(t, first, gs.Report().Reason)
		assert.Equal(t, first, context.Cause(gs.Context()))
		assert.Nil(t, shutdown.Reason(t.Context()))
	})
}

func TestManyTriggersAddsAndReports(t *testing.T) {
	gs := shutdown.New(shutdown.Linger(0))
	var calls, accepted, won atomic.Int64
	count := func(context.Context) error { calls.Add(1); return nil }
	require.NoError(t, gs.Start(t.Context()))
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range 1000 {
		wg.Go(func() {
			<-begin
			switch err := gs.AddCallback(shutdown.Callback{Name: fmt.Sprint(i), Phase: shutdown.Phase(1 + i%5), Func: count}); {
			case err == nil:
				accepted.Add(1)
			case !errors.Is(err, shutdown.ErrShuttingDown):
				t.Error(err)
			}
			if err := gs.Go("component", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }); err != nil {
				assert.ErrorIs(t, err, shutdown.ErrShuttingDown)
			}
			if i%10 == 0 {
				_ = gs.Report().String()
			}
			if gs.Shutdown(fmt.Errorf("reason %d", i)) {
				won.Add(1)
			}
			assert.NoError(t, gs.Wait())
		})
	}
	close(begin)
	wg.Wait()
	assert.EqualValues(t, 1, won.Load(), "calls that started the shutdown")
	assert.Equal(t, accepted.Load(), calls.Load(), "each callback that was accepted ran exactly once")
	assert.Positive(t, calls.Load())
}

func TestLateAdds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		gs.Shutdown(nil)
		nop := func(context.Context) error { t.Error("called"); return nil }
		assert.ErrorIs(t, gs.AddCallback(shutdown.Callback{Name: "x", Func: nop}), shutdown.ErrShuttingDown)
		assert.ErrorIs(t, gs.Go("x", nop), shutdown.ErrShuttingDown)
		assert.ErrorIs(t, gs.AddManager(&manager{name: "m"}), shutdown.ErrShuttingDown)
		assert.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrShuttingDown)
		assert.NoError(t, gs.Run(t.Context()))
	})
}

func TestBadInput(t *testing.T) {
	gs := shutdown.New()
	nop := func(context.Context) error { return nil }
	tests := []struct {
		want string
		err  error
	}{
		{"shutdown: callback without a Name", gs.AddCallback(shutdown.Callback{Func: nop})},
		{`shutdown: callback "c" has no Func`, gs.AddCallback(shutdown.Callback{Name: "c"})},
		{`shutdown: callback "c" has no Func`, gs.AddCallback(shutdown.Closer("c", nil))},
		{`shutdown: callback "c": Phase is -1, want a positive number`, gs.AddCallback(shutdown.Callback{Name: "c", Func: nop, Phase: -1})},
		{`shutdown: callback "c": Timeout is -1s, must not be negative`, gs.AddCallback(shutdown.Callback{Name: "c", Func: nop, Timeout: -time.Second})},
		{"shutdown: callback without a Name\nshutdown: callback \"c\" has no Func", gs.AddCallback(
			shutdown.Callback{Func: nop}, shutdown.Callback{Name: "good", Func: func(context.Context) error { t.Error("added"); return nil }}, shutdown.Callback{Name: "c"})},
		{"shutdown: AddManager: manager 1 is nil", gs.AddManager(&manager{name: "m"}, nil)},
		{"shutdown: component without a name", gs.Go("", nop)},
		{`shutdown: component "c" has no function`, gs.Go("c", nil)},
		{"shutdown: HTTP server without a name", gs.AddHTTPServer("", nil)},
		{`shutdown: HTTP server "s" is nil`, gs.AddHTTPServer("s", nil)},
		{"shutdown: gRPC server without a name", gs.AddGRPCServer("", nil)},
		{`shutdown: gRPC server "s" is nil`, gs.AddGRPCServer("s", nil)},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) { assert.EqualError(t, tt.err, tt.want) })
	}
	gs.Shutdown(nil)
	assert.NoError(t, gs.Wait(), "nothing of that was added")
}

func TestNonsensicalOptionsPanic(t *testing.T) {
	nop := func(context.Context) (bool, error) { return false, nil }
	tests := []struct {
		want string
		call func()
	}{
		{"shutdown: Grace(0s): must be positive", func() { shutdown.Grace(0) }},
		{"shutdown: Grace(-1s): must be positive", func() { shutdown.Grace(-time.Second) }},
		{"shutdown: Delay(-1s): must not be negative", func() { shutdown.Delay(-time.Second) }},
		{"shutdown: Linger(-1s): must not be negative", func() { shutdown.Linger(-time.Second) }},
		{"shutdown: Tail(-1s): must not be negative", func() { shutdown.Tail(-time.Second) }},
		{"shutdown: Logger(nil): a logger is needed", func() { shutdown.Logger(nil) }},
		{"shutdown: ErrorHandler(nil): a function is needed", func() { shutdown.ErrorHandler(nil) }},
		{"shutdown: Delay(1s) leaves nothing of Grace(1s) to stop in", func() { shutdown.New(shutdown.Grace(time.Second), shutdown.Delay(time.Second)) }},
		{`shutdown: Poll("p"): the interval is 0s, must be positive`, func() { shutdown.Poll("p", 0, nop) }},
		{`shutdown: Poll("p"): check must not be nil`, func() { shutdown.Poll("p", 1, nil) }},
		{"shutdown: ContextDone: ctx must not be nil", func() { shutdown.ContextDone("c", nil) }},
		{"shutdown: DrainHandler: next must not be nil", func() { shutdown.New(nil).DrainHandler(nil) }},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) { assert.PanicsWithValue(t, tt.want, tt.call) })
	}
}

func TestRun(t *testing.T) {
	t.Run("the end of its context asks, with its cause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			gs := shutdown.New()
			why := errors.New("parent's reason")
			time.AfterFunc(time.Minute, func() { cancel(why) })
			begin := time.Now()
			require.NoError(t, gs.Run(ctx))
			assert.Equal(t, time.Minute, time.Since(begin))
			assert.Equal(t, why, gs.Report().Reason)
			assert.ErrorIs(t, gs.Run(t.Context()), shutdown.ErrAlreadyStarted)
		})
	})
	t.Run("a context that is over already", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var j journal
			gs := shutdown.New()
			m := &manager{name: "m", start: func(context.Context, func(error)) error { t.Error("manager started"); return nil }}
			require.NoError(t, gs.AddManager(m))
			require.NoError(t, gs.AddCallback(j.callback("closed", 0, 0)))
			require.NoError(t, gs.Go("never", func(context.Context) error { t.Error("component run"); return nil }))
			require.NoError(t, gs.Run(ctx))
			assert.Equal(t, []string{"0s closed"}, j.lines)
			assert.Equal(t, context.Canceled, gs.Report().Reason)
		})
	})
	t.Run("twice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			require.NoError(t, gs.Start(t.Context()))
			assert.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrAlreadyStarted)
			assert.ErrorIs(t, gs.Run(t.Context()), shutdown.ErrAlreadyStarted)
			assert.ErrorIs(t, gs.AddManager(&manager{name: "late"}), shutdown.ErrAlreadyStarted)
			gs.Shutdown(nil)
			assert.NoError(t, gs.Wait())
		})
	})
	t.Run("callbacks see the values of its context and not its end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			type key struct{}
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
			gs := shutdown.New()
			require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "c", Func: func(ctx context.Context) error {
				assert.Equal(t, "value", ctx.Value(key{}))
				assert.NoError(t, ctx.Err(), "samber/do hands the cancelled context on, and nothing is shut down")
				return nil
			}}))
			cancel()
			require.NoError(t, gs.Run(ctx))
			assert.Equal(t, shutdown.StateOK, gs.Report().Callbacks[0].State)
		})
	})
}

func TestContextEndsWhenWorkBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		why := errors.New("why")
		seen := map[string]error{}
		look := func(name string, phase shutdown.Phase) shutdown.Callback {
			return shutdown.Callback{Name: name, Phase: phase, Func: func(context.Context) error {
				seen[name] = context.Cause(gs.Context())
				return nil
			}}
		}
		require.NoError(t, gs.AddCallback(look("ingress", shutdown.PhaseIngress), look("just before", shutdown.PhaseWork-1), look("work", shutdown.PhaseWork)))
		gs.Shutdown(why)
		require.NoError(t, gs.Wait())
		assert.Equal(t, map[string]error{"ingress": nil, "just before": nil, "work": why}, seen)
	})
}

type closer struct{ err error }

func (c *closer) Close() error { return c.err }

func TestCloser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		broken := errors.New("broken pipe")
		require.NoError(t, gs.AddCallback(shutdown.Closer("good", &closer{}), shutdown.Closer("bad", &closer{broken})))
		gs.Shutdown(nil)
		err := gs.Wait()
		assert.EqualError(t, err, "bad (store): broken pipe")
		assert.ErrorIs(t, err, broken)
		var ce *shutdown.CallbackError
		require.ErrorAs(t, err, &ce)
		assert.Equal(t, &shutdown.CallbackError{Name: "bad", Phase: shutdown.PhaseStore, Err: broken}, ce)
	})
}
