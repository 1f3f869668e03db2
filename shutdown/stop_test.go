package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// The budgets: Grace for all, Tail for what has not begun by then, and never more, whatever user code does.
func TestBudgets(t *testing.T) {
	type want struct {
		total  time.Duration
		states string // of the rows in order
	}
	const s = time.Second
	tests := []struct {
		name      string
		options   []shutdown.Option
		callbacks func(hang func(context.Context) error) []shutdown.Callback
		want      want
	}{
		{
			"a hang ends at Grace, and what comes later runs in Tail",
			nil,
			func(hang func(context.Context) error) []shutdown.Callback {
				return []shutdown.Callback{
					{Name: "hung", Phase: shutdown.PhaseWork, Func: hang},
					{Name: "db", Phase: shutdown.PhaseStore, Func: sleep(100 * time.Millisecond)},
					{Name: "log", Phase: shutdown.PhaseFlush, Func: sleep(100 * time.Millisecond)},
				}
			},
			want{25*s + 200*time.Millisecond, "timeout ok ok"},
		},
		{
			"everything hangs",
			[]shutdown.Option{shutdown.Grace(10 * s), shutdown.Tail(3 * s)},
			func(hang func(context.Context) error) []shutdown.Callback {
				return []shutdown.Callback{
					{Name: "ingress", Phase: shutdown.PhaseIngress, Func: hang},
					{Name: "work", Phase: shutdown.PhaseWork, Func: hang},
					{Name: "store", Phase: shutdown.PhaseStore, Func: hang},
					{Name: "flush", Phase: shutdown.PhaseFlush, Func: hang},
				}
			},
			want{13 * s, "timeout timeout timeout timeout"},
		},
		{
			"no tail",
			[]shutdown.Option{shutdown.Grace(10 * s), shutdown.Tail(0)},
			func(hang func(context.Context) error) []shutdown.Callback {
				return []shutdown.Callback{
					{Name: "work", Phase: shutdown.PhaseWork, Func: hang},
					{Name: "store", Phase: shutdown.PhaseStore, Func: hang},
				}
			},
			want{10 * s, "timeout skipped"},
		},
		{
			"a timeout of its own",
			nil,
			func(hang func(context.Context) error) []shutdown.Callback {
				return []shutdown.Callback{
					{Name: "hung", Phase: shutdown.PhaseWork, Timeout: 3 * s, Func: hang},
					{Name: "beside it", Phase: shutdown.PhaseWork, Timeout: time.Hour, Func: sleep(5 * s)},
					{Name: "later", Phase: shutdown.PhaseStore, Func: sleep(s)},
				}
			},
			want{6 * s, "timeout ok ok"},
		},
		{
			"Delay is part of Grace",
			[]shutdown.Option{shutdown.Grace(10 * s), shutdown.Delay(4 * s)},
			func(hang func(context.Context) error) []shutdown.Callback {
				return []shutdown.Callback{{Name: "hung", Func: hang}}
			},
			want{10 * s, "timeout"},
		},
		{
			"a callback that keeps to its deadline",
			[]shutdown.Option{shutdown.Grace(10 * s)},
			func(func(context.Context) error) []shutdown.Callback {
				return []shutdown.Callback{{Name: "polite", Func: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }}}
			},
			want{10 * s, "timeout"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New(tt.options...)
				require.NoError(t, gs.AddCallback(tt.callbacks(unhang(t))...))
				begin := time.Now()
				gs.Shutdown(nil)
				err := gs.Wait()
				assert.Equal(t, tt.want.total, time.Since(begin), "time to stop")
				r := gs.Report()
				assert.Equal(t, tt.want.total, r.Total)
				assert.Equal(t, tt.want.states, states(r))
				assert.ErrorIs(t, err, shutdown.ErrTimeout)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				var netErr interface{ Timeout() bool } // as net.Error has it
				assert.True(t, errors.As(err, &netErr) && netErr.Timeout())
				assert.NotEmpty(t, r.Stacks)
			})
		})
	}
}

// The hooks of the managers have their share of Tail like a phase.
func TestHooksShareTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := unhang(t)
		gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Tail(3*time.Second))
		require.NoError(t, gs.AddManager(&hooked{manager{name: "platform"},
			func(context.Context, error) error { time.Sleep(time.Second); return nil },
			func(ctx context.Context, _ shutdown.Report) error { return hang(ctx) }}))
		require.NoError(t, gs.AddCallback(
			shutdown.Callback{Name: "work", Phase: shutdown.PhaseWork, Func: hang},
			shutdown.Callback{Name: "store", Phase: shutdown.PhaseStore, Func: hang},
		))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
		var took []time.Duration
		for _, c := range gs.Report().Callbacks {
			took = append(took, c.Duration)
		}
		assert.Equal(t, []time.Duration{time.Second, 9 * time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond}, took, "start, work, store, finish")
	})
}

func states(r shutdown.Report) string {
	var s []string
	for _, c := range r.Callbacks {
		s = append(s, string(c.State))
	}
	return strings.Join(s, " ")
}

func sleep(d time.Duration) func(context.Context) error {
	return func(context.Context) error { time.Sleep(d); return nil }
}

func culprit(release <-chan struct{}) error { <-release; return nil }

func TestTheCulpritsStackIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		gs := shutdown.New()
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "hung", Timeout: time.Second,
			Func: func(context.Context) error { return culprit(release) }}))
		gs.Shutdown(nil)
		assert.EqualError(t, gs.Wait(), "hung (store): shutdown: timed out after 1s")
		assert.Contains(t, string(gs.Report().Stacks), "shutdown_test.culprit(")
	})
}

func TestDeadlineIsInTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Grace(20*time.Second), shutdown.Delay(5*time.Second))
		begin := time.Now()
		var own, rest time.Time
		require.NoError(t, gs.AddCallback(
			shutdown.Callback{Name: "own", Timeout: 2 * time.Second, Func: func(ctx context.Context) error { own, _ = ctx.Deadline(); return nil }},
			shutdown.Callback{Name: "rest", Func: func(ctx context.Context) error { rest, _ = ctx.Deadline(); return nil }},
		))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		assert.Equal(t, 7*time.Second, own.Sub(begin))
		assert.Equal(t, 20*time.Second, rest.Sub(begin))
		assert.Equal(t, 5*time.Second, gs.Report().Delay)
	})
}

// What a callback says when its time is up is kept if it says so at once, and it counts as a timeout in any case. "At once" is up to
// the scheduler, so there are many tries.
func TestLastWords(t *testing.T) {
	lastWords := errors.New("3 of 7 batches written")
	kept := 0
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Grace(time.Second))
			require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "batches", Func: func(ctx context.Context) error {
				<-ctx.Done()
				return lastWords
			}}))
			gs.Shutdown(nil)
			err := gs.Wait()
			assert.ErrorContains(t, err, "batches (store): shutdown: timed out after 1s")
			assert.Equal(t, "timeout", states(gs.Report()))
			if errors.Is(err, lastWords) {
				kept++
				assert.EqualError(t, err, "batches (store): shutdown: timed out after 1s: 3 of 7 batches written")
			}
		})
	}
	assert.Positive(t, kept)
}

func TestErrorsAndPanicsStopNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		first, inner := errors.New("first"), errors.New("inner")
		var ran []string
		add := func(name string, phase shutdown.Phase, fn func(context.Context) error) {
			require.NoError(t, gs.AddCallback(shutdown.Callback{Name: name, Phase: phase, Func: func(ctx context.Context) error {
				ran = append(ran, name)
				return fn(ctx)
			}}))
		}
		add("error", 1, func(context.Context) error { return first })
		add("panic", 2, func(context.Context) error { panic("boom") })
		add("panic with an error", 3, func(context.Context) error { panic(fmt.Errorf("wrapped: %w", inner)) })
		add("panic(nil)", 4, func(context.Context) error { panic(nil) })
		add("goexit", 5, func(context.Context) error { runtime.Goexit(); return nil })
		add("fine", 6, func(context.Context) error { return nil })
		gs.Shutdown(nil)
		err := gs.Wait()

		assert.Equal(t, []string{"error", "panic", "panic with an error", "panic(nil)", "goexit", "fine"}, ran)
		assert.Equal(t, "error panic panic panic error ok", states(gs.Report()))
		assert.ErrorIs(t, err, first)
		assert.ErrorIs(t, err, inner)
		var nilPanic *runtime.PanicNilError
		assert.ErrorAs(t, err, &nilPanic)
		assert.ErrorContains(t, err, "goexit (phase 5): shutdown: runtime.Goexit was called")

		var p *shutdown.PanicError
		require.ErrorAs(t, gs.Report().Callbacks[1].Err, &p)
		assert.Equal(t, "boom", p.Value)
		assert.Contains(t, string(p.Stack), "TestErrorsAndPanicsStopNothing", "the stack is the one of the panic")
		assert.True(t, strings.HasPrefix(p.Error(), "panic: boom\n\ngoroutine "), p.Error())
		assert.NoError(t, p.Unwrap())
	})
}

// A Logger and an ErrorHandler are user code, too.
func TestObservers(t *testing.T) {
	t.Run("told in order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			var handled []string
			gs := shutdown.New(
				shutdown.Logger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime}))),
				shutdown.ErrorHandler(func(err error) { handled = append(handled, err.Error()) }))
			require.NoError(t, gs.AddCallback(
				shutdown.Callback{Name: "a", Phase: 1, Func: func(context.Context) error { return errors.New("A") }},
				shutdown.Callback{Name: "b", Phase: 2, Func: func(context.Context) error { time.Sleep(time.Second); return nil }},
				shutdown.Callback{Name: "c", Phase: 3, Func: func(context.Context) error { return errors.New("C") }},
			))
			gs.Shutdown(errors.New("because"))
			require.Error(t, gs.Wait())
			assert.Equal(t, []string{"a (phase 1): A", "c (phase 3): C"}, handled)
			assert.Equal(t, strings.Join([]string{
				`level=INFO msg="shutdown begins" reason=because manager=""`,
				`level=ERROR msg="shutdown callback failed" error="a (phase 1): A"`,
				`level=ERROR msg="shutdown callback failed" error="c (phase 3): C"`,
				`level=ERROR msg="shutdown complete, with errors" report.reason=because report.manager="" report.total=1s report.delay=0s report.linger=0s` +
					` report.callbacks="[phase 1 a: error after 0s: a (phase 1): A phase 2 b: ok after 1s phase 3 c: error after 0s: c (phase 3): C]"`,
				"",
			}, "\n"), log.String())
		})
	})
	t.Run("a clean stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			gs := shutdown.New(shutdown.Logger(slog.New(slog.NewTextHandler(&log, nil))))
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Contains(t, log.String(), `level=INFO msg="shutdown complete" report.reason="shutdown: requested"`)
		})
	})
	t.Run("one that blocks holds nothing up beyond Grace+Tail", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			gs := shutdown.New(shutdown.ErrorHandler(func(error) { <-release }), shutdown.Grace(5*time.Second), shutdown.Tail(time.Second))
			ran := time.Duration(0)
			begin := time.Now()
			require.NoError(t, gs.AddCallback(
				shutdown.Callback{Name: "a", Phase: 1, Func: func(context.Context) error { return errors.New("A") }},
				shutdown.Callback{Name: "b", Phase: 2, Func: func(context.Context) error { ran = time.Since(begin); return nil }},
			))
			gs.Shutdown(nil)
			require.Error(t, gs.Wait())
			assert.Equal(t, time.Duration(0), ran)
			assert.Equal(t, 6*time.Second, time.Since(begin))
		})
	})
	t.Run("one that panics or exits is an error, and is called again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			gs := shutdown.New(shutdown.ErrorHandler(func(error) {
				if calls++; calls == 1 {
					panic("handler")
				}
				runtime.Goexit()
			}))
			require.NoError(t, gs.AddCallback(
				shutdown.Callback{Name: "a", Phase: 1, Func: func(context.Context) error { return errors.New("A") }},
				shutdown.Callback{Name: "b", Phase: 2, Func: func(context.Context) error { return errors.New("B") }},
				shutdown.Callback{Name: "c", Phase: 2, Func: func(context.Context) error { return errors.New("C") }},
			))
			gs.Shutdown(nil)
			err := gs.Wait()
			assert.Equal(t, 3, calls)
			assert.ErrorContains(t, err, "shutdown: Logger or ErrorHandler: panic: handler")
			assert.ErrorContains(t, err, "shutdown: Logger or ErrorHandler: shutdown: runtime.Goexit was called")
		})
	})
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func BenchmarkStop(b *testing.B) {
	for b.Loop() {
		gs := shutdown.New(shutdown.Logger(slog.New(slog.NewTextHandler(io.Discard, nil))))
		for i := range 20 {
			_ = gs.AddCallback(shutdown.Callback{Name: "c", Phase: shutdown.Phase(1 + i%4), Func: func(context.Context) error { return nil }})
		}
		gs.Shutdown(nil)
		_ = gs.Wait()
	}
}

// Callbacks and hooks see the same end of the whole stop, whatever their own deadlines are.
func TestStopDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(map[string]time.Time)
		look := func(name string) func(context.Context) error {
			return func(ctx context.Context) error {
				seen[name] = shutdown.StopDeadline(ctx)
				time.Sleep(time.Second)
				return nil
			}
		}
		gs := shutdown.New(shutdown.Grace(20*time.Second), shutdown.Delay(5*time.Second), shutdown.Linger(0), shutdown.Tail(3*time.Second))
		require.NoError(t, gs.AddManager(lookingManager{look("start"), look("finish")}))
		require.NoError(t, gs.AddCallback(
			shutdown.Callback{Name: "work", Phase: shutdown.PhaseWork, Timeout: 2 * time.Second, Func: look("work")},
			shutdown.Callback{Name: "flush", Phase: shutdown.PhaseFlush, Func: look("flush")},
		))
		require.NoError(t, gs.Start(t.Context()))
		time.Sleep(time.Minute)
		want := time.Now().Add(23 * time.Second)
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())

		require.Len(t, seen, 4)
		for name, got := range seen {
			assert.Equal(t, want, got, name)
		}
		assert.Zero(t, shutdown.StopDeadline(t.Context()))
	})
}

type lookingManager struct{ start, finish func(context.Context) error }

func (lookingManager) Name() string                                       { return "looking" }
func (lookingManager) Start(context.Context, func(error)) error           { return nil }
func (m lookingManager) ShutdownStart(ctx context.Context, _ error) error { return m.start(ctx) }
func (m lookingManager) ShutdownFinish(c context.Context, _ shutdown.Report) error {
	return m.finish(c)
}
