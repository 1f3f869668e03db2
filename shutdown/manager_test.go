package shutdown_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestAddManagerRefuses(t *testing.T) {
	gs := newService(t)
	good := &manager{name: "good", start: func(context.Context, func(error)) error {
		t.Error("a manager of a refused call was started")
		return nil
	}}
	nilManager := "shutdown: AddManager: manager 1 is nil"
	assert.EqualError(t, gs.AddManager(good, nil), nilManager)
	assert.EqualError(t, gs.Start(t.Context()), nilManager, "what was refused comes back")

	gs = newService(t)
	require.NoError(t, gs.AddManager(), "none at all")
	gs.start()
	assert.ErrorIs(t, gs.AddManager(&manager{name: "late"}), shutdown.ErrAlreadyStarted)
	require.NoError(t, gs.stop())
	assert.Empty(t, rowsOf(gs.Report()))
}

func TestManagerRequestsTheStop(t *testing.T) {
	bubble(t, "the first of several", func(t *testing.T) {
		gs := newService(t)
		a, b := &manager{name: "a"}, &manager{name: "b"}
		calls := 0
		gs.managers(a, b)
		gs.callback("once", 0, func(context.Context) error {
			calls++
			assert.NoError(t, a.ctx.Err(), "a's context ended before the stop was complete")
			return nil
		})
		gs.start()
		b.request(errTest)
		a.request(errors.New("too late"))
		require.NoError(t, gs.Wait())
		assert.Equal(t, 1, calls)
		assert.Equal(t, errTest, gs.Report().Reason)
		assert.Equal(t, "b", gs.Report().Manager)
		<-a.ctx.Done()
		<-b.ctx.Done()
		b.request(errTest) // does nothing long after the end
	})
	bubble(t, "within its Start", func(t *testing.T) {
		gs := newService(t)
		gs.managers(
			&manager{name: "a", start: func(_ context.Context, request func(error)) error {
				request(errTest)
				request(nil)
				return nil
			}},
			&manager{name: "b", start: func(context.Context, func(error)) error {
				t.Error("started after the trigger")
				return nil
			}},
		)
		gs.component("worker", func(context.Context) error {
			t.Error("run after the trigger")
			return nil
		})
		assert.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrShuttingDown)
		require.NoError(t, gs.Wait())
		assert.Equal(t, errTest, gs.Report().Reason)
		assert.Equal(t, "a", gs.Report().Manager)
	})
}

func TestHooks(t *testing.T) {
	bubble(t, "run before Delay and after all phases", func(t *testing.T) {
		var j journal
		gs := newService(t, shutdown.Delay(5*sec))
		notAcknowledged := errors.New("not acknowledged")
		gs.managers(
			&manager{
				name: "platform",
				begin: func(context.Context, error) error {
					j.add("start")
					time.Sleep(sec)
					return nil
				},
				finish: func(_ context.Context, r shutdown.Report) error {
					j.add("finish")
					assert.Equal(t, errTest, r.Reason)
					assert.Equal(t, 6*sec, r.Total)
					assert.Equal(t, "ok", states(r))
					row := hookRow(t, r, "finish", "platform")
					assert.Equal(t, shutdown.StateRunning, row.State)
					return notAcknowledged
				},
			},
			shutdown.ContextDone("has no hooks", context.Background()),
		)
		gs.callbacks(j.callback("store", 0, 0))
		gs.start()
		gs.Shutdown(errTest)
		err := gs.Wait()
		assert.EqualError(t, err, "platform (finish): not acknowledged")
		assert.ErrorIs(t, err, notAcknowledged)
		assert.Equal(t, []string{"0s start", "6s store", "6s finish"}, j.lines)
		r := gs.Report()
		assert.Equal(t, shutdown.StateOK, hookRow(t, r, "start", "platform").State)
		assert.Equal(t, shutdown.StateError, hookRow(t, r, "finish", "platform").State)
	})
	bubble(t, "that hang or panic do not stop the others", func(t *testing.T) {
		hang := hanging(t)
		gs := newService(t, shutdown.Grace(10*sec), shutdown.Tail(3*sec))
		gs.managers(
			&manager{
				name:   "hangs",
				begin:  func(ctx context.Context, _ error) error { return hang(ctx) },
				finish: func(ctx context.Context, _ shutdown.Report) error { return hang(ctx) },
			},
			&manager{
				name:   "panics",
				begin:  func(context.Context, error) error { panic(1) },
				finish: func(context.Context, shutdown.Report) error { panic(2) },
			},
		)
		gs.callback("store", 0, hang)
		gs.start()
		took, err := gs.timedStop()
		require.Error(t, err)
		assertTook(t, 13*sec, took)
		r := gs.Report()
		for _, stage := range []string{"start", "finish"} {
			assert.Equal(t, shutdown.StateTimeout, hookRow(t, r, stage, "hangs").State)
			assert.Equal(t, shutdown.StatePanic, hookRow(t, r, stage, "panics").State)
		}
		assert.Equal(t, "timeout", states(r))
	})
	t.Run("are called for a manager that asks within its Start", func(t *testing.T) {
		const tries = 100
		begun, finished := 0, 0
		for range tries {
			synctest.Test(t, func(t *testing.T) {
				gs := newService(t)
				gs.managers(&manager{
					name: "eager",
					start: func(_ context.Context, request func(error)) error {
						request(errTest)
						return nil
					},
					begin:  func(context.Context, error) error { begun++; return nil },
					finish: func(context.Context, shutdown.Report) error { finished++; return nil },
				})
				require.NoError(t, gs.Run(t.Context()))
			})
		}
		assert.Equal(t, tries, begun)
		assert.Equal(t, tries, finished)
	})
}

func TestRelease(t *testing.T) {
	bubble(t, "before Wait returns, after the manager's context has ended", func(t *testing.T) {
		released := false
		m := &manager{name: "m"}
		m.release = func() { released = true; assert.Error(t, m.ctx.Err()) }
		gs := newService(t)
		gs.managers(m)
		gs.start()
		require.NoError(t, gs.stop())
		assert.True(t, released)
	})
	bubble(t, "before a failed Start returns", func(t *testing.T) {
		released := false
		gs := newService(t)
		gs.managers(
			&manager{name: "m", release: func() { released = true }},
			&manager{
				name:    "broken",
				start:   func(context.Context, func(error)) error { return errTest },
				release: func() { t.Error("released although it has not started") },
			},
		)
		require.ErrorIs(t, gs.Start(t.Context()), errTest)
		assert.True(t, released)
	})
	bubble(t, "one that hangs or panics", func(t *testing.T) {
		hang := hanging(t)
		var reported []error
		report := func(err error) { reported = append(reported, err) }
		gs := newService(t, shutdown.ErrorHandler(report))
		gs.managers(
			&manager{name: "panics", release: func() { panic("boom") }},
			&manager{name: "hangs", release: func() { _ = hang(t.Context()) }},
		)
		gs.start()
		took, err := gs.timedStop()
		assertTook(t, 100*ms, took)
		require.Len(t, reported, 2)
		assert.ErrorContains(t, reported[0], "panics (release): panic: boom\n")
		assert.ErrorIs(t, err, reported[0])
		assert.EqualError(t, reported[1], "hangs (release): shutdown: timed out after 100ms")
		assert.ErrorIs(t, err, reported[1])
		_, ok := errors.AsType[*shutdown.PanicError](err)
		assert.True(t, ok)
	})
}

// Start says which manager could not be released, and how.
func TestReleaseThatFailsAfterAFailedStartIsNamed(t *testing.T) {
	for way, release := range map[string]func(){
		"panics": func() { panic("boom") },
		"exits":  runtime.Goexit,
	} {
		bubble(t, way, func(t *testing.T) {
			gs := newService(t)
			gs.managers(&manager{name: "lease", release: release},
				&manager{name: "broken", start: func(context.Context, func(error)) error { return errTest }})
			err := gs.Start(t.Context())
			assert.ErrorIs(t, err, errTest)
			assert.ErrorContains(t, err, "shutdown: Release of manager lease: ")
			var panicked *shutdown.PanicError
			assert.Equal(t, way == "panics", errors.As(err, &panicked))
		})
	}
}
