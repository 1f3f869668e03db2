package shutdown_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// manager is a Manager whose parts are functions.
type manager struct {
	name    string
	start   func(ctx context.Context, request func(error)) error
	request func(error)
	ctx     context.Context
}

func (m *manager) Name() string { return m.name }

func (m *manager) Start(ctx context.Context, request func(error)) error {
	m.ctx, m.request = ctx, request
	if m.start != nil {
		return m.start(ctx, request)
	}
	return nil
}

// hooked has both hooks.
type hooked struct {
	manager
	onStart  func(context.Context, error) error
	onFinish func(context.Context, shutdown.Report) error
}

func (m *hooked) ShutdownStart(ctx context.Context, reason error) error {
	return m.onStart(ctx, reason)
}
func (m *hooked) ShutdownFinish(ctx context.Context, r shutdown.Report) error {
	return m.onFinish(ctx, r)
}

func TestManagerAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		a, b := &manager{name: "a"}, &manager{name: "b"}
		calls := 0
		require.NoError(t, gs.AddManager(a, b))
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "once", Func: func(context.Context) error {
			calls++
			assert.NoError(t, a.ctx.Err(), "the managers' context ended before the stop was complete")
			return nil
		}}))
		require.NoError(t, gs.Start(t.Context()))
		why := errors.New("b's reason")
		b.request(why)
		a.request(errors.New("too late"))
		require.NoError(t, gs.Wait())
		assert.Equal(t, 1, calls, "callbacks run once however many managers ask")
		assert.Equal(t, why, gs.Report().Reason)
		assert.Equal(t, "b", gs.Report().Manager)
		<-a.ctx.Done()
		<-b.ctx.Done()
		b.request(why) // long after
	})
}

func TestManagerAsksWithinItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		why := errors.New("at once")
		require.NoError(t, gs.AddManager(
			&manager{name: "a", start: func(_ context.Context, request func(error)) error { request(why); return nil }},
			&manager{name: "b", start: func(context.Context, func(error)) error { t.Error("started after the trigger"); return nil }},
		))
		assert.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrShuttingDown)
		require.NoError(t, gs.Wait())
		assert.Equal(t, "a", gs.Report().Manager)
	})
}

func TestManagerFailsToStart(t *testing.T) {
	broken := errors.New("broken")
	newService := func(t *testing.T) (gs *shutdown.GracefulShutdown, ok *manager, fail *bool, closed *int) {
		gs = shutdown.New(shutdown.Delay(10 * time.Second))
		ok, fail, closed = &manager{name: "ok"}, new(bool), new(int)
		*fail = true
		require.NoError(t, gs.AddManager(ok, &manager{name: "flaky", start: func(context.Context, func(error)) error {
			if *fail {
				return broken
			}
			return nil
		}}))
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "close", Func: func(context.Context) error { *closed++; return nil }}))
		return gs, ok, fail, closed
	}
	t.Run("Start stops those already started, and can be tried again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs, ok, fail, closed := newService(t)
			err := gs.Start(t.Context())
			assert.EqualError(t, err, "shutdown: starting manager flaky: broken")
			assert.ErrorIs(t, err, broken)
			assert.Error(t, ok.ctx.Err(), "the manager that had started goes on")
			assert.Zero(t, *closed)

			*fail = false
			require.NoError(t, gs.Start(t.Context()))
			assert.NoError(t, ok.ctx.Err())
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Equal(t, 1, *closed)
		})
	})
	t.Run("Run then runs the callbacks, without Delay", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs, _, fail, closed := newService(t)
			begin := time.Now()
			err := gs.Run(t.Context())
			assert.EqualError(t, err, "shutdown: starting manager flaky: broken")
			assert.Equal(t, 1, *closed)
			assert.Zero(t, time.Since(begin))

			*fail = false // too late: a second Run must not look like a service that has run
			assert.Equal(t, err, gs.Run(t.Context()))
			assert.Equal(t, 1, *closed)
		})
	})
	t.Run("a panic, an exit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			require.NoError(t, gs.AddManager(&manager{name: "p", start: func(context.Context, func(error)) error { panic("boom") }}))
			var p *shutdown.PanicError
			require.ErrorAs(t, gs.Start(t.Context()), &p)
			assert.Equal(t, "boom", p.Value)

			gs = shutdown.New()
			require.NoError(t, gs.AddManager(&manager{name: "g", start: func(context.Context, func(error)) error { runtime.Goexit(); return nil }}))
			assert.EqualError(t, gs.Start(t.Context()), "shutdown: starting manager g: shutdown: runtime.Goexit was called")
		})
	})
	t.Run("one that hangs is left behind when the context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			gs := shutdown.New()
			release := make(chan struct{})
			defer close(release)
			require.NoError(t, gs.AddManager(&manager{name: "deaf", start: func(context.Context, func(error)) error { <-release; return nil }}))
			assert.ErrorIs(t, gs.Start(ctx), shutdown.ErrShuttingDown)
			assert.NoError(t, gs.Wait())
			assert.Equal(t, context.DeadlineExceeded, gs.Report().Reason)
		})
	})
}

func TestHooks(t *testing.T) {
	t.Run("before Delay and after all phases", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var j journal
			gs := shutdown.New(shutdown.Delay(5 * time.Second))
			why, notAcknowledged := errors.New("why"), errors.New("not acknowledged")
			m := &hooked{manager: manager{name: "platform"},
				onStart: func(ctx context.Context, reason error) error {
					j.add("start")
					assert.Equal(t, why, reason)
					assert.Equal(t, why, shutdown.Reason(ctx))
					time.Sleep(time.Second)
					return nil
				},
				onFinish: func(_ context.Context, r shutdown.Report) error {
					j.add("finish")
					assert.Equal(t, why, r.Reason)
					assert.Equal(t, 6*time.Second, r.Total)
					assert.Equal(t, "ok ok running", states(r))
					return notAcknowledged
				}}
			require.NoError(t, gs.AddManager(m))
			require.NoError(t, gs.AddCallback(j.callback("store", 0, 0)))
			require.NoError(t, gs.Start(t.Context()))
			gs.Shutdown(why)
			err := gs.Wait()
			assert.EqualError(t, err, "platform (finish): not acknowledged")
			assert.ErrorIs(t, err, notAcknowledged)
			assert.Equal(t, []string{"0s start", "6s store", "6s finish"}, j.lines)
			assert.Equal(t, "ok ok error", states(gs.Report()))
		})
	})
	t.Run("hooks that hang or panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hang := unhang(t)
			gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Tail(3*time.Second))
			var ran atomic.Int32
			require.NoError(t, gs.AddManager(
				&hooked{manager{name: "hangs"}, func(ctx context.Context, _ error) error { return hang(ctx) }, func(ctx context.Context, _ shutdown.Report) error { return hang(ctx) }},
				&hooked{manager{name: "panics"}, func(context.Context, error) error { panic(1) }, func(context.Context, shutdown.Report) error { panic(2) }},
			))
			require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "store", Func: func(ctx context.Context) error { ran.Add(1); return hang(ctx) }}))
			require.NoError(t, gs.Start(t.Context()))
			begin := time.Now()
			gs.Shutdown(nil)
			require.Error(t, gs.Wait())
			assert.EqualValues(t, 1, ran.Load())
			assert.Equal(t, 13*time.Second, time.Since(begin))
			assert.Equal(t, "timeout panic timeout timeout panic", states(gs.Report()))
		})
	})
	t.Run("whoever asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			m := &hooked{manager{name: "m"}, func(context.Context, error) error { calls++; return nil }, func(context.Context, shutdown.Report) error { calls++; return nil }}
			gs := shutdown.New()
			require.NoError(t, gs.AddManager(m, &manager{name: "other"}))
			require.NoError(t, gs.Start(t.Context()))
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Equal(t, 2, calls)
		})
	})
}

// releaser holds something.
type releaser struct {
	manager
	release func()
}

func (r *releaser) Release() { r.release() }

func TestRelease(t *testing.T) {
	t.Run("before Wait returns, after the context has ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			released := false
			m := &releaser{manager: manager{name: "m"}}
			m.release = func() { released = true; assert.Error(t, m.ctx.Err()) }
			gs := shutdown.New()
			require.NoError(t, gs.AddManager(m))
			require.NoError(t, gs.Start(t.Context()))
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.True(t, released)
		})
	})
	t.Run("before a failed Start returns", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			released := false
			gs := shutdown.New()
			require.NoError(t, gs.AddManager(&releaser{manager{name: "m"}, func() { released = true }},
				&manager{name: "broken", start: func(context.Context, func(error)) error { return errors.New("broken") }}))
			require.Error(t, gs.Start(t.Context()))
			assert.True(t, released)
		})
	})
	t.Run("one that hangs, panics or exits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hang := unhang(t)
			var told []string
			gs := shutdown.New(shutdown.ErrorHandler(func(err error) { told = append(told, firstLine(err.Error())) }))
			require.NoError(t, gs.AddManager(
				&releaser{manager{name: "panics"}, func() { panic("boom") }},
				&releaser{manager{name: "hangs"}, func() { _ = hang(t.Context()) }}))
			require.NoError(t, gs.Start(t.Context()))
			begin := time.Now()
			gs.Shutdown(nil)
			err := gs.Wait()
			assert.Equal(t, 100*time.Millisecond, time.Since(begin))
			assert.Equal(t, []string{"panics: release: panic: boom"}, told)
			require.ErrorContains(t, err, "panics: release: panic: boom")
			_, ok := errors.AsType[*shutdown.PanicError](err)
			assert.True(t, ok)
		})
	})
}

func TestContextDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		gs := shutdown.New()
		require.NoError(t, gs.AddManager(shutdown.ContextDone("leader", ctx)))
		require.NoError(t, gs.Start(t.Context()))
		synctest.Wait()
		require.Nil(t, gs.Report().Reason)
		lost := errors.New("no longer the leader")
		cancel(lost)
		require.NoError(t, gs.Wait())
		assert.Equal(t, lost, gs.Report().Reason)
		assert.Equal(t, "leader", gs.Report().Manager)
	})
}

func TestPoll(t *testing.T) {
	t.Run("at once and then every interval, until it asks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			begin := time.Now()
			var at []time.Duration
			require.NoError(t, gs.AddManager(shutdown.Poll("spot notice", time.Minute, func(context.Context) (bool, error) {
				at = append(at, time.Since(begin))
				time.Sleep(time.Second)
				return len(at) == 3, nil
			})))
			require.NoError(t, gs.Run(t.Context()))
			assert.Equal(t, []time.Duration{0, 61 * time.Second, 122 * time.Second}, at)
			assert.EqualError(t, gs.Report().Reason, "shutdown: spot notice asks to stop")
			assert.Equal(t, "spot notice", gs.Report().Manager)
		})
	})
	t.Run("its error is the reason", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			why := errors.New("lease lost")
			require.NoError(t, gs.AddManager(shutdown.Poll("lease", time.Minute, func(context.Context) (bool, error) { return true, why })))
			require.NoError(t, gs.Run(t.Context()))
			assert.Equal(t, why, gs.Report().Reason)
		})
	})
	t.Run("errors and panics are told once in a row and do not end it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var told []string
			gs := shutdown.New(shutdown.ErrorHandler(func(err error) { told = append(told, firstLine(err.Error())) }))
			calls := 0
			require.NoError(t, gs.AddManager(shutdown.Poll("p", time.Minute, func(context.Context) (bool, error) {
				switch calls++; calls {
				case 1, 2:
					return false, errors.New("unreachable")
				case 3:
					return false, nil
				case 4:
					panic("boom")
				}
				return true, nil
			})))
			require.NoError(t, gs.Run(t.Context()), "errors of a poll are not the stop's")
			assert.Equal(t, 5, calls)
			assert.Equal(t, []string{"p: unreachable", "p: panic: boom"}, told)
		})
	})
	t.Run("ends with the stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			calls := 0
			require.NoError(t, gs.AddManager(shutdown.Poll("p", time.Minute, func(context.Context) (bool, error) { calls++; return false, nil })))
			require.NoError(t, gs.Start(t.Context()))
			synctest.Wait()
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			time.Sleep(time.Hour)
			assert.Equal(t, 1, calls)
		})
	})
}

func firstLine(s string) string {
	for i, c := range s {
		if c == '\n' {
			return s[:i]
		}
	}
	return s
}
