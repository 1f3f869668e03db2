package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
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

// These tests were written from the documentation alone, to break it. A synctest bubble ends only when each goroutine in it
// has ended, so each test that runs in one is a leak check, too.

var errAdv = errors.New("adversary: some failure")

// advManager is a manager whose every step can be chosen.
type advManager struct {
	name   string
	start  func(ctx context.Context, request func(error)) error
	begin  func(ctx context.Context, reason error) error
	finish func(ctx context.Context, r shutdown.Report) error
}

func (m *advManager) Name() string { return m.name }

func (m *advManager) Start(ctx context.Context, request func(error)) error {
	if m.start == nil {
		return nil
	}
	return m.start(ctx, request)
}

func (m *advManager) ShutdownStart(ctx context.Context, reason error) error {
	if m.begin == nil {
		return nil
	}
	return m.begin(ctx, reason)
}

func (m *advManager) ShutdownFinish(ctx context.Context, r shutdown.Report) error {
	if m.finish == nil {
		return nil
	}
	return m.finish(ctx, r)
}

func advFind(t *testing.T, r shutdown.Report, name string) shutdown.CallbackReport {
	t.Helper()
	var found *shutdown.CallbackReport // one that failed, if there are several, such as both hooks of a manager
	for _, c := range r.Callbacks {
		if c.Name == name && (found == nil || c.State != shutdown.StateOK) {
			found = &c
		}
	}
	if found != nil {
		return *found
	}
	t.Fatalf("the report has no entry %q:\n%s", name, r)
	return shutdown.CallbackReport{}
}

// advMisbehaviours are the ways in which user code does not do what it should. Each gets a channel that is closed when
// the test is over, so that what hangs can end.
var advMisbehaviours = map[string]func(release <-chan struct{}) error{
	"error":        func(<-chan struct{}) error { return errAdv },
	"panic":        func(<-chan struct{}) error { panic(errAdv) },
	"panic string": func(<-chan struct{}) error { panic("boom") },
	"nil panic":    func(<-chan struct{}) error { panic(nil) },
	"Goexit":       func(<-chan struct{}) error { runtime.Goexit(); return nil },
	"hang":         func(release <-chan struct{}) error { <-release; return nil },
	"hang, then panic": func(release <-chan struct{}) error {
		<-release
		panic("after it was given up")
	},
	"hang, then Goexit": func(release <-chan struct{}) error {
		<-release
		runtime.Goexit()
		return nil
	},
}

func advMustAdd(t *testing.T, err error) {
	t.Helper()
	require.NoError(t, err)
}

func TestAdversaryMisbehaviourIsContainedWhereverItHappens(t *testing.T) {
	const grace, tail = 10 * time.Second, 2 * time.Second
	places := map[string]func(t *testing.T, gs *shutdown.GracefulShutdown, do func() error){
		"callback": func(t *testing.T, gs *shutdown.GracefulShutdown, do func() error) {
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "culprit", Phase: shutdown.PhaseIngress, Func: func(context.Context) error { return do() }}))
		},
		"component after the trigger": func(t *testing.T, gs *shutdown.GracefulShutdown, do func() error) {
			advMustAdd(t, gs.Go("culprit", func(ctx context.Context) error { <-ctx.Done(); return do() }))
		},
		"ShutdownStart": func(t *testing.T, gs *shutdown.GracefulShutdown, do func() error) {
			advMustAdd(t, gs.AddManager(&advManager{name: "culprit", begin: func(context.Context, error) error { return do() }}))
		},
		"ShutdownFinish": func(t *testing.T, gs *shutdown.GracefulShutdown, do func() error) {
			advMustAdd(t, gs.AddManager(&advManager{name: "culprit", finish: func(context.Context, shutdown.Report) error { return do() }}))
		},
		"GracefulStop": func(t *testing.T, gs *shutdown.GracefulShutdown, do func() error) {
			advMustAdd(t, gs.AddGRPCServer("culprit", advGRPC{graceful: func() { advRaise(do) }, stop: func() {}}))
		},
		"closer": func(t *testing.T, gs *shutdown.GracefulShutdown, do func() error) {
			advMustAdd(t, gs.AddCallback(shutdown.Closer("culprit", advCloser(do))))
		},
	}
	for place, add := range places {
		for what, misbehave := range advMisbehaviours {
			t.Run(place+"/"+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					release := make(chan struct{})
					var handled []error
					gs := shutdown.New(shutdown.Grace(grace), shutdown.Tail(tail), shutdown.Logger(slog.New(slog.DiscardHandler)),
						shutdown.ErrorHandler(func(err error) { handled = append(handled, err) }))
					add(t, gs, func() error { return misbehave(release) })
					var later, finished atomic.Int32
					for _, phase := range []shutdown.Phase{150, shutdown.PhaseWork, 250, shutdown.PhaseStore, shutdown.PhaseFlush, 999} {
						advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: fmt.Sprint("witness ", int(phase)), Phase: phase, Func: func(ctx context.Context) error {
							later.Add(1)
							return ctx.Err()
						}}))
					}
					advMustAdd(t, gs.AddManager(&advManager{name: "other", finish: func(context.Context, shutdown.Report) error { finished.Add(1); return nil }}))
					require.NoError(t, gs.Start(t.Context()))
					synctest.Wait()
					begin := time.Now()
					require.True(t, gs.Shutdown(nil))
					err := gs.Wait()
					took := time.Since(begin)
					close(release)
					synctest.Wait()

					assert.LessOrEqual(t, took, grace+tail)
					assert.EqualValues(t, 6, later.Load(), "other callbacks that ran")
					assert.EqualValues(t, 1, finished.Load(), "the other manager's ShutdownFinish")
					report := gs.Report()
					assert.LessOrEqual(t, report.Total, grace+tail)
					entry := advFind(t, report, "culprit")
					if place == "GracefulStop" && what == "error" {
						return // it cannot return one
					}
					require.Error(t, err)
					assert.Contains(t, err.Error(), "culprit")
					assert.True(t, report.Failed())
					require.Error(t, entry.Err)
					require.ErrorIs(t, err, entry.Err)
					require.NotEmpty(t, handled)
					for _, err := range handled[1:] {
						assert.Equal(t, "component after the trigger", place, "told again, after it was given up: %v", err)
					}
					switch {
					case what == "error":
						assert.Equal(t, shutdown.StateError, entry.State)
						assert.ErrorIs(t, err, errAdv)
					case strings.HasPrefix(what, "hang"):
						assert.Equal(t, shutdown.StateTimeout, entry.State)
						assert.ErrorIs(t, err, shutdown.ErrTimeout)
						assert.ErrorIs(t, err, context.DeadlineExceeded)
						assert.Contains(t, string(report.Stacks), "adversary_test.go", "the culprit's stack")
					case what == "Goexit":
						assert.NotEqual(t, shutdown.StateOK, entry.State)
						assert.Zero(t, took, "it is no hang")
					default:
						assert.Equal(t, shutdown.StatePanic, entry.State)
						var p *shutdown.PanicError
						require.ErrorAs(t, err, &p)
						assert.Contains(t, string(p.Stack), "adversary_test.go", "the panic's own stack")
						if what == "panic" {
							assert.ErrorIs(t, err, errAdv)
						}
						assert.Zero(t, took)
					}
					if !strings.HasPrefix(what, "hang") {
						assert.Nil(t, report.Stacks, "stacks without a timeout")
					}
				})
			})
		}
	}
}

func advRaise(do func() error) {
	_ = do()
}

type advCloser func() error

func (c advCloser) Close() error { return c() }

type advGRPC struct{ graceful, stop func() }

func (g advGRPC) GracefulStop() { g.graceful() }
func (g advGRPC) Stop()         { g.stop() }

func TestAdversaryGRPC(t *testing.T) {
	const grace, tail = 10 * time.Second, 2 * time.Second
	t.Run("Stop at the deadline frees GracefulStop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stopped := make(chan struct{})
			var stops atomic.Int32
			gs := shutdown.New(shutdown.Grace(grace), shutdown.Tail(tail))
			advMustAdd(t, gs.AddGRPCServer("rpc", advGRPC{graceful: func() { <-stopped }, stop: func() {
				if stops.Add(1) == 1 {
					close(stopped)
				}
			}}))
			gs.Shutdown(nil)
			err := gs.Wait()
			require.ErrorIs(t, err, shutdown.ErrTimeout)
			assert.EqualValues(t, 1, stops.Load(), "calls of Stop")
			entry := advFind(t, gs.Report(), "rpc")
			assert.Equal(t, shutdown.PhaseIngress, entry.Phase)
			assert.Equal(t, shutdown.StateTimeout, entry.State)
			assert.LessOrEqual(t, gs.Report().Total, grace+tail)
			assert.GreaterOrEqual(t, entry.Start+entry.Duration, grace/2, "Stop came long before the deadline")
		})
	})
	t.Run("no Stop after a clean GracefulStop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var stops atomic.Int32
			gs := shutdown.New()
			advMustAdd(t, gs.AddGRPCServer("rpc", advGRPC{graceful: func() { time.Sleep(time.Second) }, stop: func() { stops.Add(1) }}))
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Equal(t, time.Second, gs.Report().Total)
			assert.Zero(t, stops.Load())
		})
	})
	for name, stop := range map[string]func(release <-chan struct{}){
		"neither ever returns": func(release <-chan struct{}) { <-release },
		"Stop panics":          func(<-chan struct{}) { panic("stop") },
		"Stop exits":           func(<-chan struct{}) { runtime.Goexit() },
		"Stop returns, GracefulStop does not": func(<-chan struct{}) {
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var flushed atomic.Bool
				gs := shutdown.New(shutdown.Grace(grace), shutdown.Tail(tail))
				advMustAdd(t, gs.AddGRPCServer("rpc", advGRPC{graceful: func() { <-release }, stop: func() { stop(release) }}))
				advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "flush", Phase: shutdown.PhaseFlush, Func: func(ctx context.Context) error {
					flushed.Store(ctx.Err() == nil)
					return nil
				}}))
				begin := time.Now()
				gs.Shutdown(nil)
				err := gs.Wait()
				took := time.Since(begin)
				close(release)
				require.ErrorIs(t, err, shutdown.ErrTimeout)
				assert.LessOrEqual(t, took, grace+tail)
				assert.True(t, flushed.Load(), "the flush got no time")
			})
		})
	}
	t.Run("nil", func(t *testing.T) {
		gs := shutdown.New()
		require.Error(t, gs.AddGRPCServer("rpc", nil))
		require.Error(t, gs.AddGRPCServer("", advGRPC{}))
	})
}

func TestAdversaryLoggerAndErrorHandler(t *testing.T) {
	const grace, tail = 10 * time.Second, 2 * time.Second
	for what, misbehave := range advMisbehaviours {
		for _, where := range []string{"logger", "error handler", "both"} {
			t.Run(where+"/"+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					release := make(chan struct{})
					opts := []shutdown.Option{shutdown.Grace(grace), shutdown.Tail(tail)}
					if where != "error handler" {
						opts = append(opts, shutdown.Logger(slog.New(advLog(func() error { return misbehave(release) }))))
					}
					if where != "logger" {
						opts = append(opts, shutdown.ErrorHandler(func(error) { _ = misbehave(release) }))
					}
					gs := shutdown.New(opts...)
					var ran atomic.Int32
					for i, phase := range []shutdown.Phase{shutdown.PhaseIngress, shutdown.PhaseIngress, shutdown.PhaseWork, shutdown.PhaseStore, shutdown.PhaseFlush} {
						advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: fmt.Sprint("failing ", i), Phase: phase, Func: func(ctx context.Context) error {
							if ctx.Err() == nil {
								ran.Add(1)
							}
							return errAdv
						}}))
					}
					advMustAdd(t, gs.Go("component", func(ctx context.Context) error { return errAdv }))
					begin := time.Now()
					require.NotPanics(t, func() { _ = gs.Start(t.Context()) })
					err := gs.Wait()
					took := time.Since(begin)
					close(release)
					require.ErrorIs(t, err, errAdv)
					assert.LessOrEqual(t, took, grace+tail)
					assert.EqualValues(t, 5, ran.Load(), "callbacks that ran with time left")
					var component *shutdown.ComponentError
					require.ErrorAs(t, err, &component)
				})
			})
		}
	}
	t.Run("calls back into the library", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var gs *shutdown.GracefulShutdown
			var calls atomic.Int32
			again := func() error {
				calls.Add(1)
				_ = gs.Report().String()
				gs.Shutdown(errAdv)
				_ = gs.AddCallback(shutdown.Callback{Name: "late", Func: func(context.Context) error { return nil }})
				_ = gs.Go("late", func(context.Context) error { return nil })
				<-gs.Draining()
				return nil
			}
			gs = shutdown.New(shutdown.Logger(slog.New(advLog(again))), shutdown.ErrorHandler(func(error) { _ = again() }))
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "failing", Func: func(ctx context.Context) error { return errAdv }}))
			begin := time.Now()
			gs.Shutdown(nil)
			require.ErrorIs(t, gs.Wait(), errAdv)
			assert.Zero(t, time.Since(begin))
			assert.NotZero(t, calls.Load())
		})
	})
	t.Run("the handler that waits for the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var gs *shutdown.GracefulShutdown
			gs = shutdown.New(shutdown.ErrorHandler(func(error) { _ = gs.Wait() }))
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "failing", Func: func(ctx context.Context) error { return errAdv }}))
			begin := time.Now()
			gs.Shutdown(nil)
			require.ErrorIs(t, gs.Wait(), errAdv)
			assert.LessOrEqual(t, time.Since(begin), 27*time.Second)
		})
	})
	t.Run("one at a time, each error once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var inside atomic.Int32
			seen := map[string]int{}
			gs := shutdown.New(shutdown.ErrorHandler(func(err error) {
				assert.EqualValues(t, 1, inside.Add(1))
				seen[err.Error()]++
				time.Sleep(time.Millisecond)
				inside.Add(-1)
			}))
			for i := range 50 {
				advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: fmt.Sprint("callback ", i), Func: func(context.Context) error { return errAdv }}))
			}
			gs.Shutdown(nil)
			require.Error(t, gs.Wait())
			assert.Len(t, seen, 50)
			for text, n := range seen {
				assert.Equal(t, 1, n, text)
			}
		})
	})
}

// advLog is a slog.Handler that does something else.
type advLog func() error

func (h advLog) Enabled(context.Context, slog.Level) bool  { return true }
func (h advLog) Handle(context.Context, slog.Record) error { return h() }
func (h advLog) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h advLog) WithGroup(string) slog.Handler             { return h }

func TestAdversaryContextOfCallbacks(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Delay(time.Second), shutdown.Linger(0))
		trigger := time.Now()
		check := func(what string, ctx context.Context, deadline time.Duration) {
			assert.NoError(t, ctx.Err(), "%s: cancelled with its parent", what)
			assert.Equal(t, "value", ctx.Value(key{}), "%s: value", what)
			assert.Equal(t, errAdv, shutdown.Reason(ctx), "%s: reason", what)
			got, ok := ctx.Deadline()
			assert.True(t, ok, "%s: has a deadline", what)
			if deadline > 0 {
				assert.Equal(t, deadline, got.Sub(trigger), "%s: deadline", what)
			}
			assert.LessOrEqual(t, got.Sub(trigger), 12*time.Second, "%s: deadline", what)
			select {
			case <-ctx.Done():
				assert.Fail(t, "Done is closed", what)
			default:
			}
		}
		advMustAdd(t, gs.AddCallback(
			shutdown.Callback{Name: "short", Phase: shutdown.PhaseIngress, Timeout: 3 * time.Second, Func: func(ctx context.Context) error {
				check("short", ctx, 4*time.Second)
				<-ctx.Done()
				assert.Equal(t, shutdown.ErrTimeout, context.Cause(ctx))
				assert.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
				assert.Equal(t, context.DeadlineExceeded, ctx.Err())
				return nil
			}},
			shutdown.Callback{Name: "longer than Grace", Phase: shutdown.PhaseIngress, Timeout: time.Hour, Func: func(ctx context.Context) error {
				check("long", ctx, 10*time.Second)
				return nil
			}},
			shutdown.Callback{Name: "rest", Phase: shutdown.PhaseStore, Func: func(ctx context.Context) error {
				check("rest", ctx, 10*time.Second)
				assert.Equal(t, 4*time.Second, time.Since(trigger))
				return nil
			}},
		))
		advMustAdd(t, gs.AddManager(&advManager{
			name: "m",
			begin: func(ctx context.Context, reason error) error {
				check("begin", ctx, 0)
				assert.Equal(t, errAdv, reason)
				return nil
			},
			finish: func(ctx context.Context, r shutdown.Report) error {
				check("finish", ctx, 0)
				assert.Equal(t, errAdv, r.Reason)
				return nil
			},
		}))
		advMustAdd(t, gs.Go("component", func(ctx context.Context) error {
			<-ctx.Done()
			assert.Equal(t, errAdv, context.Cause(ctx))
			return context.Cause(ctx)
		}))
		require.NoError(t, gs.Start(parent))
		trigger = time.Now()
		cancel(errAdv)
		err := gs.Wait()
		var failed *shutdown.CallbackError
		if errors.As(err, &failed) {
			assert.Equal(t, "short", failed.Name, "%v", err)
		}
		assert.Nil(t, shutdown.Reason(t.Context()))
	})
}

func TestAdversaryContextEndsWhenPhaseWorkBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(time.Second))
		ctx := gs.Context()
		alive := func(what string, want bool) func(context.Context) error {
			return func(context.Context) error {
				time.Sleep(time.Nanosecond)
				assert.Equal(t, want, ctx.Err() == nil, "%s: alive", what)
				return nil
			}
		}
		advMustAdd(t, gs.AddCallback(
			shutdown.Callback{Name: "1", Phase: 1, Func: alive("phase 1", true)},
			shutdown.Callback{Name: "150", Phase: 150, Func: alive("phase 150", true)},
			shutdown.Callback{Name: "199", Phase: 199, Func: func(context.Context) error { time.Sleep(time.Second); return alive("phase 199", true)(nil) }},
			shutdown.Callback{Name: "201", Phase: 201, Func: alive("phase 201", false)},
		))
		gs.Shutdown(errAdv)
		require.NoError(t, ctx.Err())
		time.Sleep(time.Second - 1)
		require.NoError(t, ctx.Err(), "during Delay")
		require.NoError(t, gs.Wait())
		require.Error(t, ctx.Err())
		assert.Equal(t, errAdv, context.Cause(ctx))
		assert.ErrorIs(t, ctx.Err(), context.Canceled)
	})
	t.Run("with nothing in PhaseWork and none after it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			gs.Shutdown(errAdv)
			require.NoError(t, gs.Wait())
			assert.Equal(t, errAdv, context.Cause(gs.Context()))
		})
	})
	t.Run("the end of Start's context does not end it early", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Delay(time.Second))
			parent, cancel := context.WithCancel(t.Context())
			require.NoError(t, gs.Start(parent))
			cancel()
			<-gs.Draining()
			synctest.Wait()
			require.NoError(t, gs.Context().Err())
			require.NoError(t, gs.Wait())
			require.Error(t, gs.Context().Err())
		})
	})
}

func TestAdversaryComponents(t *testing.T) {
	cases := map[string]struct {
		run  func(ctx context.Context, gs *shutdown.GracefulShutdown) error
		asks bool  // requests the shutdown
		is   error // what Wait's error Is; nil for a clean stop
	}{
		"error":             {func(context.Context, *shutdown.GracefulShutdown) error { return errAdv }, true, errAdv},
		"io.EOF":            {func(context.Context, *shutdown.GracefulShutdown) error { return io.EOF }, true, io.EOF},
		"panic":             {func(context.Context, *shutdown.GracefulShutdown) error { panic(errAdv) }, true, errAdv},
		"deadline exceeded": {func(context.Context, *shutdown.GracefulShutdown) error { return context.DeadlineExceeded }, true, context.DeadlineExceeded},
		"nil":               {func(context.Context, *shutdown.GracefulShutdown) error { return nil }, false, nil},
		"cancelled":         {func(context.Context, *shutdown.GracefulShutdown) error { return context.Canceled }, false, nil},
		"wrapped cancelled": {func(context.Context, *shutdown.GracefulShutdown) error { return fmt.Errorf("x: %w", context.Canceled) }, false, nil},
		"server closed":     {func(context.Context, *shutdown.GracefulShutdown) error { return http.ErrServerClosed }, false, nil},
		"wrapped server closed": {func(context.Context, *shutdown.GracefulShutdown) error {
			return fmt.Errorf("x: %w", http.ErrServerClosed)
		}, false, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New()
				advMustAdd(t, gs.Go("worker", func(ctx context.Context) error { return c.run(ctx, gs) }))
				require.NoError(t, gs.Start(t.Context()))
				synctest.Wait()
				asked := false
				select {
				case <-gs.Draining():
					asked = true
				default:
				}
				assert.Equal(t, c.asks, asked, "requests the shutdown")
				assert.Equal(t, !asked, gs.Shutdown(nil))
				err := gs.Wait()
				if c.is == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, c.is)
				}
				if asked {
					var reason *shutdown.ComponentError
					require.ErrorAs(t, gs.Report().Reason, &reason)
					assert.Equal(t, "worker", reason.Name)
					var returned *shutdown.ComponentError
					require.ErrorAs(t, err, &returned)
					assert.Equal(t, "worker", returned.Name)
					assert.Equal(t, 1, strings.Count(err.Error(), "worker"), "told more than once: %v", err)
					assert.NotEqual(t, shutdown.StateOK, advFind(t, gs.Report(), "worker").State)
				}
			})
		})
	}
	t.Run("Goexit requests the shutdown", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			advMustAdd(t, gs.Go("worker", func(ctx context.Context) error { runtime.Goexit(); return nil }))
			require.NoError(t, gs.Start(t.Context()))
			err := gs.Wait()
			var failed *shutdown.ComponentError
			require.ErrorAs(t, err, &failed)
		})
	})
	t.Run("awaited in PhaseWork, before the stores", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var ended atomic.Bool
			gs := shutdown.New()
			advMustAdd(t, gs.Go("worker", func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(3 * time.Second)
				ended.Store(true)
				return ctx.Err()
			}))
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(context.Context) error {
				assert.True(t, ended.Load(), "the store was closed under the worker")
				return nil
			}}))
			require.NoError(t, gs.Start(t.Context()))
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Equal(t, 3*time.Second, gs.Report().Total)
			assert.Equal(t, shutdown.PhaseWork, advFind(t, gs.Report(), "worker").Phase)
		})
	})
	t.Run("begun only by Start; after it at once; after the trigger never", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var runs [3]atomic.Int32
			gs := shutdown.New()
			advMustAdd(t, gs.Go("before", func(ctx context.Context) error { runs[0].Add(1); return nil }))
			synctest.Wait()
			assert.Zero(t, runs[0].Load())
			require.NoError(t, gs.Start(t.Context()))
			synctest.Wait()
			assert.EqualValues(t, 1, runs[0].Load())
			advMustAdd(t, gs.Go("after", func(ctx context.Context) error { runs[1].Add(1); <-ctx.Done(); return nil }))
			synctest.Wait()
			assert.EqualValues(t, 1, runs[1].Load())
			gs.Shutdown(nil)
			assert.ErrorIs(t, gs.Go("late", func(ctx context.Context) error { runs[2].Add(1); return nil }), shutdown.ErrShuttingDown)
			require.NoError(t, gs.Wait())
			assert.ErrorIs(t, gs.Go("late", func(ctx context.Context) error { runs[2].Add(1); return nil }), shutdown.ErrShuttingDown)
			assert.Zero(t, runs[2].Load())
		})
	})
	t.Run("never run when stopped before Start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			advMustAdd(t, gs.Go("worker", func(ctx context.Context) error { t.Error("was run"); return nil }))
			gs.Shutdown(nil)
			require.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrShuttingDown)
			require.NoError(t, gs.Wait())
		})
	})
	t.Run("an error after the trigger is only reported", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Delay(time.Second))
			advMustAdd(t, gs.Go("worker", func(ctx context.Context) error { <-gs.Draining(); return errAdv }))
			require.NoError(t, gs.Start(t.Context()))
			other := errors.New("the reason")
			gs.Shutdown(other)
			err := gs.Wait()
			require.ErrorIs(t, err, errAdv)
			assert.Equal(t, other, gs.Report().Reason)
			assert.GreaterOrEqual(t, gs.Report().Total, time.Second, "Delay was cut short")
		})
	})
	t.Run("two that fail at once are both told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			advMustAdd(t, gs.Go("a", func(ctx context.Context) error { return errAdv }))
			advMustAdd(t, gs.Go("b", func(ctx context.Context) error { return io.EOF }))
			require.NoError(t, ignoreAdv(gs.Start(t.Context()), shutdown.ErrShuttingDown))
			err := gs.Wait()
			assert.ErrorIs(t, err, errAdv)
			assert.ErrorIs(t, err, io.EOF)
		})
	})
	t.Run("a component that calls everything", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var ran atomic.Int32
			gs := shutdown.New()
			advMustAdd(t, gs.Go("worker", func(ctx context.Context) error {
				_ = gs.Go("inner", func(ctx context.Context) error { ran.Add(1); <-ctx.Done(); return ctx.Err() })
				_ = gs.AddCallback(shutdown.Callback{Name: "inner", Func: func(context.Context) error { ran.Add(1); return nil }})
				_ = gs.Report()
				time.Sleep(time.Second)
				gs.Shutdown(errAdv)
				return gs.Wait() // waits for itself: has to be given up in the end
			}))
			begin := time.Now()
			err := gs.Run(t.Context())
			require.ErrorIs(t, err, shutdown.ErrTimeout)
			assert.LessOrEqual(t, time.Since(begin), 28*time.Second)
			assert.EqualValues(t, 2, ran.Load())
		})
	})
}

func ignoreAdv(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

func TestAdversaryStart(t *testing.T) {
	t.Run("twice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			var starts atomic.Int32
			advMustAdd(t, gs.AddManager(&advManager{name: "m", start: func(context.Context, func(error)) error { starts.Add(1); return nil }}))
			require.NoError(t, gs.Start(t.Context()))
			require.Equal(t, shutdown.ErrAlreadyStarted, gs.Start(t.Context()))
			require.ErrorIs(t, gs.Run(t.Context()), shutdown.ErrAlreadyStarted)
			require.ErrorIs(t, gs.AddManager(&advManager{name: "n"}), shutdown.ErrAlreadyStarted)
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			require.Error(t, gs.Start(t.Context()))
			assert.EqualValues(t, 1, starts.Load())
		})
	})
	t.Run("many at once", func(t *testing.T) {
		for range 20 {
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New()
				var starts, oks, already atomic.Int32
				advMustAdd(t, gs.AddManager(&advManager{name: "m", start: func(context.Context, func(error)) error {
					starts.Add(1)
					time.Sleep(time.Second)
					return nil
				}}))
				for range 20 {
					go func() {
						switch err := gs.Start(t.Context()); {
						case err == nil:
							oks.Add(1)
						case errors.Is(err, shutdown.ErrAlreadyStarted):
							already.Add(1)
						}
					}()
				}
				time.Sleep(time.Hour)
				gs.Shutdown(nil)
				require.NoError(t, gs.Wait())
				assert.EqualValues(t, 1, starts.Load())
				assert.EqualValues(t, 1, oks.Load())
				assert.EqualValues(t, 19, already.Load())
			})
		}
	})
	t.Run("a failing manager", func(t *testing.T) {
		for what, fail := range map[string]func() error{
			"error":  func() error { return errAdv },
			"panic":  func() error { panic(errAdv) },
			"Goexit": func() error { runtime.Goexit(); return nil },
		} {
			t.Run(what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					gs := shutdown.New()
					var third, component, callback atomic.Int32
					failing := true
					ended := make(chan struct{}, 2)
					advMustAdd(t, gs.AddManager(
						&advManager{name: "first", start: func(ctx context.Context, _ func(error)) error {
							go func() { <-ctx.Done(); ended <- struct{}{} }()
							return nil
						}},
						&advManager{name: "the broken one", start: func(ctx context.Context, _ func(error)) error {
							if failing {
								return fail()
							}
							return nil
						}},
						&advManager{name: "third", start: func(ctx context.Context, _ func(error)) error { third.Add(1); return nil }},
					))
					advMustAdd(t, gs.Go("worker", func(ctx context.Context) error { component.Add(1); <-ctx.Done(); return nil }))
					advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(context.Context) error { callback.Add(1); return nil }}))
					err := gs.Start(t.Context())
					require.Error(t, err)
					assert.Contains(t, err.Error(), "the broken one")
					if what != "Goexit" {
						assert.ErrorIs(t, err, errAdv)
					}
					<-ended // those already started are stopped
					synctest.Wait()
					assert.Zero(t, third.Load())
					assert.Zero(t, component.Load())
					assert.Zero(t, callback.Load())
					select {
					case <-gs.Draining():
						t.Error("a failed Start triggered the shutdown")
					default:
					}
					failing = false
					require.NoError(t, gs.Start(t.Context()), "again")
					gs.Shutdown(nil)
					require.NoError(t, gs.Wait())
					assert.EqualValues(t, 1, third.Load())
					assert.EqualValues(t, 1, component.Load())
					assert.EqualValues(t, 1, callback.Load())
					<-ended
				})
			})
		}
	})
	t.Run("Run with a failing manager runs the callbacks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Delay(time.Second))
			var callback atomic.Int32
			advMustAdd(t, gs.AddManager(&advManager{name: "the broken one", start: func(ctx context.Context, _ func(error)) error { return errAdv }}))
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(context.Context) error { callback.Add(1); return io.EOF }}))
			begin := time.Now()
			err := gs.Run(t.Context())
			require.ErrorIs(t, err, errAdv)
			require.ErrorIs(t, err, io.EOF)
			assert.Contains(t, err.Error(), "the broken one")
			assert.EqualValues(t, 1, callback.Load())
			assert.Zero(t, time.Since(begin))
		})
	})
	t.Run("with a context that has ended", func(t *testing.T) {
		for _, run := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(errAdv)
				gs := shutdown.New()
				var callback atomic.Int32
				advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(ctx context.Context) error {
					assert.NoError(t, ctx.Err())
					assert.Equal(t, errAdv, shutdown.Reason(ctx))
					callback.Add(1)
					return nil
				}}))
				if run {
					require.NoError(t, gs.Run(ctx))
				} else {
					require.ErrorIs(t, gs.Start(ctx), shutdown.ErrShuttingDown)
					require.NoError(t, gs.Wait())
				}
				assert.EqualValues(t, 1, callback.Load())
				assert.Equal(t, errAdv, gs.Report().Reason)
			})
		}
	})
	t.Run("Run after Shutdown", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			var callback atomic.Int32
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(ctx context.Context) error { callback.Add(1); return nil }}))
			gs.Shutdown(errAdv)
			require.NoError(t, gs.Run(t.Context()))
			assert.EqualValues(t, 1, callback.Load())
		})
	})
	t.Run("requested inside a manager's Start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			var order []string
			var mu sync.Mutex
			note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
			advMustAdd(t, gs.AddManager(
				&advManager{name: "eager", start: func(ctx context.Context, request func(error)) error { request(errAdv); request(nil); return nil },
					begin: func(context.Context, error) error { note("begin"); return nil }, finish: func(context.Context, shutdown.Report) error { note("finish"); return nil }},
				&advManager{name: "next", start: func(ctx context.Context, request func(error)) error { request(io.EOF); return nil }},
			))
			advMustAdd(t, gs.Go("worker", func(ctx context.Context) error { <-ctx.Done(); return nil }))
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(ctx context.Context) error { note("store"); return nil }}))
			require.NoError(t, gs.Run(t.Context()))
			assert.Equal(t, errAdv, gs.Report().Reason)
			assert.Equal(t, "eager", gs.Report().Manager)
			assert.Contains(t, order, "store")
		})
	})
	t.Run("hangs in a manager", func(t *testing.T) {
		// Every blocking call returns soon after its context has ended.
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			release := make(chan struct{})
			gs := shutdown.New(shutdown.Grace(10 * time.Second))
			advMustAdd(t, gs.AddManager(&advManager{name: "hung", start: func(ctx context.Context, request func(error)) error { <-release; return nil }}))
			var callback atomic.Int32
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(ctx context.Context) error { callback.Add(1); return nil }}))
			begin := time.Now()
			done := make(chan error, 1)
			go func() { done <- gs.Run(ctx) }()
			select {
			case err := <-done:
				t.Log("Run:", err)
				assert.LessOrEqual(t, time.Since(begin), 13*time.Second)
			case <-time.After(time.Minute):
				t.Errorf("Run is held for ever by a manager's Start although its context has ended; callbacks run: %d", callback.Load())
			}
			assert.EqualValues(t, 1, callback.Load())
			close(release)
		})
	})
	t.Run("Wait and Shutdown while a manager's Start hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			gs := shutdown.New(shutdown.Grace(10 * time.Second))
			advMustAdd(t, gs.AddManager(&advManager{name: "hung", start: func(ctx context.Context, request func(error)) error { <-release; return nil }}))
			var callback atomic.Int32
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(ctx context.Context) error { callback.Add(1); return nil }}))
			go func() { _ = gs.Start(t.Context()) }()
			synctest.Wait()
			begin := time.Now()
			require.True(t, gs.Shutdown(nil))
			done := make(chan error, 1)
			go func() { done <- gs.Wait() }()
			select {
			case <-done:
				assert.LessOrEqual(t, time.Since(begin), 12*time.Second)
			case <-time.After(time.Minute):
				t.Error("the stop is held up by a manager's Start")
			}
			assert.EqualValues(t, 1, callback.Load())
			close(release)
		})
	})
}

func TestAdversaryFirstRequestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		var calls atomic.Int32
		deep := func(context.Context) error {
			calls.Add(1)
			assert.False(t, gs.Shutdown(io.EOF))
			assert.ErrorIs(t, gs.AddCallback(shutdown.Callback{Name: "late", Func: func(context.Context) error { return nil }}), shutdown.ErrShuttingDown)
			assert.ErrorIs(t, gs.AddManager(&advManager{name: "late"}), shutdown.ErrShuttingDown)
			assert.ErrorIs(t, gs.AddGRPCServer("late", advGRPC{}), shutdown.ErrShuttingDown)
			srv := &http.Server{}
			assert.ErrorIs(t, gs.AddHTTPServer("late", srv), shutdown.ErrShuttingDown)
			assert.Nil(t, srv.Handler, "touched")
			assert.Nil(t, srv.ConnState, "touched")
			assert.Equal(t, errAdv, gs.Report().Reason)
			_ = gs.Report().String()
			select {
			case <-gs.Draining():
			default:
				assert.Fail(t, "not draining")
			}
			return nil
		}
		var request func(error)
		advMustAdd(t, gs.AddManager(&advManager{
			name:   "m",
			start:  func(ctx context.Context, r func(error)) error { request = r; return nil },
			begin:  func(ctx context.Context, _ error) error { request(io.EOF); return deep(ctx) },
			finish: func(ctx context.Context, r shutdown.Report) error { request(io.EOF); return deep(ctx) },
		}))
		for _, phase := range []shutdown.Phase{1, 100, 200, 300, 400} {
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "deep", Phase: phase, Func: deep}))
		}
		require.NoError(t, gs.Start(t.Context()))
		require.True(t, gs.Shutdown(errAdv))
		require.NoError(t, gs.Wait())
		request(io.EOF) // after the end
		assert.EqualValues(t, 7, calls.Load())
		assert.Equal(t, errAdv, gs.Report().Reason)
		assert.Empty(t, gs.Report().Manager)
	})
	t.Run("nil reason", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "c", Func: func(ctx context.Context) error {
				assert.Error(t, shutdown.Reason(ctx))
				return nil
			}}))
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			require.Error(t, gs.Report().Reason)
			require.Error(t, context.Cause(gs.Context()))
		})
	})
}

// Many goroutines do everything at once: what was accepted runs exactly once, what was refused never, one request wins.
func TestAdversaryThousandShutdowns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Logger(slog.New(slog.DiscardHandler)), shutdown.ErrorHandler(func(error) {}))
		var winners, accepted, ran, refusedRan, components, componentsRan atomic.Int32
		add := func() {
			var ok, once atomic.Bool
			err := gs.AddCallback(shutdown.Callback{Name: "c", Phase: shutdown.Phase(1 + ran.Load()%500), Func: func(context.Context) error {
				if !once.CompareAndSwap(false, true) {
					t.Error("a callback ran twice")
				}
				ran.Add(1)
				return nil
			}})
			ok.Store(err == nil)
			if err == nil {
				accepted.Add(1)
			} else if !errors.Is(err, shutdown.ErrShuttingDown) {
				t.Error(err)
			}
		}
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				<-begin
				if i%2 == 0 {
					runtime.Gosched()
				}
				if gs.Shutdown(fmt.Errorf("reason %d", i)) {
					winners.Add(1)
				}
			})
			if i%4 == 0 {
				all.Go(func() { <-begin; add() })
				all.Go(func() {
					<-begin
					var r shutdown.Report = gs.Report()
					_ = r.String()
					_ = r.LogValue()
					_ = r.Failed()
				})
				all.Go(func() {
					<-begin
					err := gs.Go("component", func(ctx context.Context) error { componentsRan.Add(1); <-ctx.Done(); return nil })
					if err == nil {
						components.Add(1)
					}
				})
			}
		}
		for range 10 {
			add()
		}
		all.Go(func() { <-begin; _ = ignoreAdv(gs.Start(t.Context()), shutdown.ErrShuttingDown) })
		for range 20 {
			all.Go(func() { <-begin; assert.NoError(t, gs.Wait()) })
		}
		close(begin)
		all.Wait()
		require.NoError(t, gs.Wait())
		assert.EqualValues(t, 1, winners.Load(), "calls that returned true")
		assert.Equal(t, accepted.Load(), ran.Load(), "callbacks run")
		assert.Zero(t, refusedRan.Load())
		assert.LessOrEqual(t, componentsRan.Load(), components.Load())
	})
}

func TestAdversaryPhasesRunInOrderAndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Grace(time.Hour))
		var now, done [1000]atomic.Int32
		phases := []shutdown.Phase{400, 1, 300, 100, 250, 200, 999, 0}
		for i := range 80 {
			phase := phases[i%len(phases)]
			real := phase
			if real == 0 {
				real = shutdown.PhaseStore
			}
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: fmt.Sprint(phase, i), Phase: phase, Func: func(context.Context) error {
				now[real].Add(1)
				time.Sleep(time.Nanosecond) // all others of the phase have begun by then
				want := int32(10)
				if real == shutdown.PhaseStore {
					want = 20
				}
				assert.Equal(t, want, now[real].Load(), "callbacks of phase %v that run at the same time", real)
				for p := range now {
					if p < int(real) {
						assert.Equal(t, now[p].Load(), done[p].Load(), "phase %d still runs in phase %d", p, real)
					} else if p > int(real) {
						assert.Zero(t, now[p].Load(), "phase %d runs in phase %d", p, real)
					}
				}
				time.Sleep(time.Duration(i+1) * time.Second)
				done[real].Add(1)
				return nil
			}}))
		}
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
	})
}

func TestAdversaryHungAndLateResultDoesNotChangeTheReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		gs := shutdown.New(shutdown.Grace(time.Second), shutdown.Tail(time.Second))
		advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "hung", Phase: 1, Func: func(context.Context) error { <-release; return nil }}))
		advMustAdd(t, gs.Go("worker", func(context.Context) error { <-release; return errAdv }))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		err := gs.Wait()
		before := gs.Report()
		text := err.Error()
		time.Sleep(time.Hour)
		close(release)
		synctest.Wait()
		after := gs.Report()
		assert.Equal(t, before, after)
		assert.Equal(t, text, gs.Wait().Error())
		after.Callbacks[0].Name = "changed by the caller"
		if len(after.Stacks) > 0 {
			after.Stacks[0] = 'X'
		}
		assert.Equal(t, before.Callbacks[0].State, gs.Report().Callbacks[0].State)
		assert.NotEqual(t, "changed by the caller", gs.Report().Callbacks[0].Name, "the caller's copy is shared")
	})
}

func TestAdversaryStacksHoldTheCulpritAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		advCrowd(2000, release)
		gs := shutdown.New(shutdown.Grace(time.Second))
		advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "hung", Phase: 1, Func: func(context.Context) error { advTheCulprit(release); return nil }}))
		advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "hung too", Phase: 2, Func: func(context.Context) error { <-release; return nil }}))
		gs.Shutdown(nil)
		require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
		assert.Contains(t, string(gs.Report().Stacks), "advTheCulprit")
		close(release)
	})
}

func advCrowd(n int, release <-chan struct{}) {
	for range n {
		go func() { <-release }()
	}
}

//go:noinline
func advTheCulprit(release <-chan struct{}) { <-release }

func TestAdversaryDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(5 * time.Second))
		advMustAdd(t, gs.AddManager(&advManager{name: "m", begin: func(context.Context, error) error {
			select {
			case <-gs.Draining():
			default:
				t.Error("Draining is open when ShutdownStart runs")
			}
			time.Sleep(time.Second)
			return nil
		}}))
		advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "c", Phase: 1, Func: func(context.Context) error { return nil }}))
		require.NoError(t, gs.Start(t.Context()))
		begin := time.Now()
		gs.Shutdown(nil)
		select {
		case <-gs.Draining():
		default:
			t.Error("Draining is open when Shutdown returns")
		}
		require.NoError(t, gs.Wait())
		assert.GreaterOrEqual(t, time.Since(begin), 5*time.Second, "Delay in full")
		assert.LessOrEqual(t, time.Since(begin), 6*time.Second, "the hook, then Delay; no Linger without a connection")
		assert.Equal(t, 5*time.Second, gs.Report().Delay)
	})
}

func TestAdversaryOptionsPanicWithTheirName(t *testing.T) {
	for name, f := range map[string]func(){
		"Grace":        func() { shutdown.Grace(0) },
		"Grace(-":      func() { shutdown.Grace(-1) },
		"Delay":        func() { shutdown.Delay(-1) },
		"Linger":       func() { shutdown.Linger(-1) },
		"Tail":         func() { shutdown.Tail(-1) },
		"Logger":       func() { shutdown.Logger(nil) },
		"ErrorHandler": func() { shutdown.ErrorHandler(nil) },
		"Delay(1":      func() { shutdown.New(shutdown.Grace(time.Second), shutdown.Delay(time.Second)) },
		"Delay(25":     func() { shutdown.New(shutdown.Delay(25 * time.Second)) },
		"Poll":         func() { shutdown.Poll("p", 0, func(context.Context) (bool, error) { return false, nil }) },
		"Poll(":        func() { shutdown.Poll("p", time.Second, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				v := recover()
				require.NotNil(t, v, "no panic")
				assert.Contains(t, fmt.Sprint(v), name)
				assert.Contains(t, fmt.Sprint(v), "shutdown: ")
			}()
			f()
		})
	}
	shutdown.New(nil, shutdown.Grace(1), nil)
}

func TestAdversaryBadInputNamesTheValueAndAddsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := func(context.Context) error { t.Error("a callback of a refused call ran"); return nil }
		gs := shutdown.New()
		good := shutdown.Callback{Name: "good", Func: ok}
		for want, bad := range map[string]shutdown.Callback{
			"culprit":  {Name: "culprit"},
			"name":     {Func: ok},
			"culprit2": {Name: "culprit2", Phase: -1, Func: ok},
			"culprit3": {Name: "culprit3", Timeout: -time.Second, Func: ok},
		} {
			err := gs.AddCallback(good, bad, good)
			require.Error(t, err, "%+v", bad)
			assert.Contains(t, strings.ToLower(err.Error()), want)
		}
		require.Error(t, gs.AddManager(&advManager{name: "m", start: func(context.Context, func(error)) error { t.Error("started"); return nil }}, nil))
		require.Error(t, gs.Go("", func(context.Context) error { t.Error("ran"); return nil }))
		require.Error(t, gs.Go("x", nil))
		require.Error(t, gs.AddHTTPServer("x", nil))
		srv := &http.Server{}
		require.Error(t, gs.AddHTTPServer("", srv))
		assert.Nil(t, srv.Handler)
		require.NoError(t, gs.AddHTTPServer("x", srv))
		handler := fmt.Sprintf("%p", srv.Handler)
		require.Error(t, gs.AddHTTPServer("y", srv))
		assert.Equal(t, handler, fmt.Sprintf("%p", srv.Handler), "wrapped twice")
		require.NoError(t, gs.AddCallback(), "none at all")
		require.NoError(t, gs.AddManager())
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		for _, c := range gs.Report().Callbacks {
			assert.Equal(t, "x", c.Name)
		}
	})
}

func TestAdversaryCloserNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		err := func() (err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("%v", v)
				}
			}()
			return gs.AddCallback(shutdown.Closer("db", nil))
		}()
		gs.Shutdown(nil)
		stop := gs.Wait()
		assert.True(t, err != nil || stop != nil, "a nil closer is nowhere an error")
	})
}

func TestAdversaryZeroReport(t *testing.T) {
	gs := shutdown.New()
	assert.Zero(t, gs.Report())
	assert.NotPanics(t, func() {
		_ = shutdown.Report{}.String()
		_ = shutdown.Report{}.LogValue()
		_ = shutdown.Report{}.Failed()
	})
}

func TestAdversaryPoll(t *testing.T) {
	poll := func(t *testing.T, opts []shutdown.Option, check func(ctx context.Context, n int) (bool, error)) *shutdown.GracefulShutdown {
		gs := shutdown.New(opts...)
		n := 0
		advMustAdd(t, gs.AddManager(shutdown.Poll("notice", time.Second, func(ctx context.Context) (bool, error) { n++; return check(ctx, n) })))
		return gs
	}
	t.Run("error with true is the reason", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			gs := poll(t, nil, func(_ context.Context, n int) (bool, error) { return n == 4, errAdv })
			require.NoError(t, gs.Run(t.Context()), "a poll's failures are not those of the stop")
			assert.ErrorIs(t, gs.Report().Reason, errAdv)
			assert.Equal(t, "notice", gs.Report().Manager)
			assert.Equal(t, 3*time.Second, time.Since(begin), "at once, then every second")
		})
	})
	t.Run("true without an error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := poll(t, nil, func(_ context.Context, n int) (bool, error) { return true, nil })
			require.NoError(t, gs.Run(t.Context()))
			require.Error(t, gs.Report().Reason)
			assert.Equal(t, "notice", gs.Report().Manager)
		})
	})
	t.Run("errors and panics: the first of a row", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var told []error
			gs := poll(t, []shutdown.Option{shutdown.ErrorHandler(func(err error) { told = append(told, err) })}, func(_ context.Context, n int) (bool, error) {
				switch n {
				case 1, 2, 3, 6, 7:
					return false, errAdv
				case 9, 10:
					panic(io.EOF)
				}
				return n == 12, nil
			})
			require.NoError(t, gs.Run(t.Context()))
			require.Len(t, told, 3)
			assert.ErrorIs(t, told[0], errAdv)
			assert.Contains(t, told[0].Error(), "notice")
			assert.ErrorIs(t, told[1], errAdv)
			assert.ErrorIs(t, told[2], io.EOF)
			var p *shutdown.PanicError
			assert.ErrorAs(t, told[2], &p)
		})
	})
	t.Run("slow checks never overlap", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			gs := poll(t, nil, func(_ context.Context, n int) (bool, error) { time.Sleep(2500 * time.Millisecond); return n == 2, nil })
			require.NoError(t, gs.Run(t.Context()))
			assert.Equal(t, 6*time.Second, time.Since(begin))
		})
	})
	t.Run("a hung check does not hold up the stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			gs := poll(t, nil, func(_ context.Context, n int) (bool, error) { <-release; return true, nil })
			require.NoError(t, gs.Start(t.Context()))
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			close(release)
		})
	})
	t.Run("its context lives until the stop is complete", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var gs *shutdown.GracefulShutdown
			var stopDone atomic.Bool
			gs = poll(t, nil, func(ctx context.Context, n int) (bool, error) {
				<-ctx.Done()
				assert.True(t, stopDone.Load())
				return false, ctx.Err()
			})
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "last", Phase: 1000, Func: func(context.Context) error {
				time.Sleep(time.Second)
				stopDone.Store(true)
				return nil
			}}))
			parent, cancel := context.WithCancel(t.Context())
			require.NoError(t, gs.Start(parent))
			cancel()
			require.NoError(t, gs.Wait())
		})
	})
	t.Run("Shutdown inside the check", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var gs *shutdown.GracefulShutdown
			gs = poll(t, nil, func(_ context.Context, n int) (bool, error) { gs.Shutdown(errAdv); return true, io.EOF })
			require.NoError(t, gs.Run(t.Context()))
			assert.Equal(t, errAdv, gs.Report().Reason)
		})
	})
}

func TestAdversaryContextDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		gs := shutdown.New()
		advMustAdd(t, gs.AddManager(shutdown.ContextDone("lease", ctx)))
		require.NoError(t, gs.Start(t.Context()))
		synctest.Wait()
		cancel(errAdv)
		require.NoError(t, gs.Wait())
		assert.Equal(t, errAdv, gs.Report().Reason)
		assert.Equal(t, "lease", gs.Report().Manager)
	})
	t.Run("ended already", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errAdv)
			gs := shutdown.New()
			advMustAdd(t, gs.AddManager(shutdown.ContextDone("lease", ctx)))
			require.NoError(t, gs.Run(t.Context()))
			assert.Equal(t, errAdv, gs.Report().Reason)
		})
	})
	t.Run("never ends, and leaks nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			advMustAdd(t, gs.AddManager(shutdown.ContextDone("never", context.Background())))
			advMustAdd(t, gs.AddManager(shutdown.ContextDone("never", context.WithoutCancel(t.Context()))))
			require.NoError(t, gs.Start(t.Context()))
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
		})
	})
	t.Run("stopped when another manager fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			gs := shutdown.New()
			advMustAdd(t, gs.AddManager(shutdown.ContextDone("lease", ctx), &advManager{name: "broken", start: func(context.Context, func(error)) error { return errAdv }}))
			require.ErrorIs(t, gs.Start(t.Context()), errAdv)
			synctest.Wait()
			cancel()
			synctest.Wait()
			select {
			case <-gs.Draining():
				t.Error("a manager that was stopped still asks")
			default:
			}
		})
	})
}

func TestAdversaryTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tracker shutdown.Tracker
		done1, ok := tracker.Add()
		require.True(t, ok)
		done2, _ := tracker.Add()
		require.Equal(t, 2, tracker.Len())
		done1()
		done1()
		done1()
		require.Equal(t, 1, tracker.Len(), "done twice counts twice")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error)
		go func() { result <- tracker.Wait(ctx) }()
		synctest.Wait()
		done3, ok := tracker.Add()
		require.False(t, ok)
		require.NotNil(t, done3)
		done3()
		require.Equal(t, 1, tracker.Len())
		cancel(errAdv)
		err := <-result
		require.ErrorIs(t, err, errAdv)
		assert.Contains(t, err.Error(), "1")
		go func() { result <- tracker.Wait(t.Context()) }()
		go func() { result <- tracker.Wait(t.Context()) }()
		synctest.Wait()
		done2()
		require.NoError(t, <-result)
		require.NoError(t, <-result)
		require.NoError(t, tracker.Wait(t.Context()))
		require.NoError(t, tracker.Wait(ctx), "nothing is left, so an ended context does not matter")
		_, ok = tracker.Add()
		require.False(t, ok)
	})
	t.Run("race", func(t *testing.T) {
		for range 20 {
			synctest.Test(t, func(t *testing.T) {
				var tracker shutdown.Tracker
				var working atomic.Int32
				for range 100 {
					go func() {
						done, ok := tracker.Add()
						if !ok {
							return
						}
						working.Add(1)
						runtime.Gosched()
						working.Add(-1)
						done()
						done()
					}()
				}
				for range 3 {
					go func() {
						assert.NoError(t, tracker.Wait(t.Context()))
						assert.Zero(t, working.Load(), "working after Wait returned")
						assert.Zero(t, tracker.Len())
					}()
				}
				synctest.Wait()
			})
		}
	})
	t.Run("as a callback", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var tracker shutdown.Tracker
			_, _ = tracker.Add()
			gs := shutdown.New(shutdown.Grace(time.Second))
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "websockets", Phase: shutdown.PhaseWork, Func: tracker.Wait}))
			gs.Shutdown(nil)
			err := gs.Wait()
			require.ErrorIs(t, err, shutdown.ErrTimeout)
			assert.Equal(t, shutdown.StateTimeout, advFind(t, gs.Report(), "websockets").State)
		})
	})
}

// advExploding is an error whose text cannot be had.
type advExploding struct{}

func (advExploding) Error() string { panic("Error panics") }

func TestAdversaryErrorsThatPanic(t *testing.T) {
	// "The whole stop never takes longer than Grace+Tail, whatever user code does."
	t.Run("a callback's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Logger(slog.New(slog.NewTextHandler(io.Discard, nil))), shutdown.ErrorHandler(func(err error) { _ = err.Error() }))
			var flushed atomic.Bool
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "c", Phase: 1, Func: func(context.Context) error { return advExploding{} }}))
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "flush", Phase: 400, Func: func(context.Context) error { flushed.Store(true); return nil }}))
			gs.Shutdown(nil)
			err := gs.Wait()
			assert.True(t, errors.Is(err, advExploding{}))
			assert.True(t, flushed.Load())
		})
	})
	t.Run("the reason's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Logger(slog.New(slog.NewTextHandler(io.Discard, nil))))
			var flushed atomic.Bool
			advMustAdd(t, gs.AddCallback(shutdown.Callback{Name: "flush", Phase: 400, Func: func(context.Context) error { flushed.Store(true); return nil }}))
			gs.Shutdown(advExploding{})
			_ = gs.Wait() // may tell that the logger panicked
			assert.True(t, flushed.Load())
		})
	})
}
