package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestStartTwice(t *testing.T) {
	bubble(t, "is an error, and so is Run, at any time", func(t *testing.T) {
		starts := 0
		gs := newService(t, shutdown.Delay(sec))
		gs.managers(&manager{name: "m", start: func(context.Context, func(error)) error {
			starts++
			return nil
		}})
		gs.start()
		again := func(when string) {
			begin := time.Now()
			assert.Equal(t, shutdown.ErrAlreadyStarted, gs.Start(t.Context()), when)
			assert.Equal(t, shutdown.ErrAlreadyStarted, gs.Run(t.Context()), when)
			assert.Zero(t, time.Since(begin), "at once, %s", when)
		}
		again("before the trigger")
		gs.Shutdown(nil)
		again("during the stop")
		require.NoError(t, gs.Wait())
		again("after the stop")
		assert.Equal(t, 1, starts)
	})
	t.Run("many at the same time", func(t *testing.T) {
		for range 20 {
			synctest.Test(t, func(t *testing.T) {
				var starts, started, already atomic.Int32
				gs := newService(t)
				gs.managers(&manager{name: "m", start: func(context.Context, func(error)) error {
					starts.Add(1)
					time.Sleep(sec)
					return nil
				}})
				for range 20 {
					go func() {
						switch err := gs.Start(t.Context()); {
						case err == nil:
							started.Add(1)
						case errors.Is(err, shutdown.ErrAlreadyStarted):
							already.Add(1)
						}
					}()
				}
				time.Sleep(time.Hour)
				require.NoError(t, gs.stop())
				assert.EqualValues(t, 1, starts.Load())
				assert.EqualValues(t, 1, started.Load())
				assert.EqualValues(t, 19, already.Load())
			})
		}
	})
}

func TestStartFails(t *testing.T) {
	for name, tt := range map[string]struct {
		fail func(context.Context) error
		text string
	}{
		"error":  {returns(errTest), "test: some failure"},
		"panic":  {func(context.Context) error { panic(errTest) }, "panic: test: some failure\n"},
		"Goexit": {goexit, "shutdown: runtime.Goexit was called"},
	} {
		bubble(t, name+": what has started is stopped, and Start works again", func(t *testing.T) {
			var ran []string
			run := func(name string) func(context.Context) error {
				return func(context.Context) error { ran = append(ran, name); return nil }
			}
			fails := true
			first, broken, third := &manager{name: "1"}, &manager{name: "2"}, &manager{name: "3"}
			broken.start = func(ctx context.Context, _ func(error)) error {
				if fails {
					return tt.fail(ctx)
				}
				return nil
			}
			third.start = func(ctx context.Context, _ func(error)) error { return run("3")(ctx) }
			gs := newService(t)
			gs.managers(first, broken, third)
			gs.component("worker", run("worker"))
			gs.callback("store", 0, run("store"))
			err := gs.Start(t.Context())
			assert.ErrorContains(t, err, "shutdown: starting manager 2: "+tt.text)
			assert.Equal(t, name != "Goexit", errors.Is(err, errTest))
			assert.Error(t, first.ctx.Err(), "a manager that has started goes on")
			synctest.Wait()
			assert.Empty(t, ran)
			assert.False(t, gs.isDraining())

			fails = false
			gs.start()
			assert.NoError(t, first.ctx.Err())
			synctest.Wait()
			require.NoError(t, gs.stop())
			assert.Equal(t, []string{"3", "worker", "store"}, ran)
			assert.Error(t, first.ctx.Err())
		})
	}
	bubble(t, "in Run: the callbacks run, without Delay", func(t *testing.T) {
		fails, closed := true, 0
		gs := newService(t, shutdown.Delay(10*sec))
		gs.managers(&manager{name: "flaky", start: func(context.Context, func(error)) error {
			if fails {
				return errTest
			}
			return nil
		}})
		gs.callback("close", 0, func(context.Context) error { closed++; return io.EOF })
		begin := time.Now()
		err := gs.Run(t.Context())
		assert.EqualError(t, err,
			"shutdown: starting manager flaky: test: some failure\nclose (store): EOF")
		assert.ErrorIs(t, err, errTest)
		assert.ErrorIs(t, err, io.EOF)
		assert.Equal(t, 1, closed)
		assert.Zero(t, time.Since(begin))

		fails = false // a stop is final: a second Run must not look like a service that has run
		assert.Equal(t, err, gs.Run(t.Context()))
		assert.Equal(t, 1, closed)
	})
}

// A manager's Start that hangs holds up neither Start nor the stop.
func TestStartHangs(t *testing.T) {
	newService := func(t *testing.T) (gs service, closed *bool) {
		hang := hanging(t)
		gs, closed = newService(t, shutdown.Grace(10*sec)), new(bool)
		gs.managers(&manager{
			name:  "deaf",
			start: func(ctx context.Context, _ func(error)) error { return hang(ctx) },
		})
		gs.callback("store", 0, func(context.Context) error { *closed = true; return nil })
		return gs, closed
	}
	bubble(t, "and its context ends", func(t *testing.T) {
		gs, closed := newService(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		assert.ErrorIs(t, gs.Start(ctx), shutdown.ErrShuttingDown)
		_ = gs.Wait()
		assert.LessOrEqual(t, time.Since(begin), time.Minute+12*sec)
		assert.Equal(t, context.DeadlineExceeded, gs.Report().Reason)
		assert.True(t, *closed)
	})
	bubble(t, "and the context of Run ends", func(t *testing.T) {
		gs, closed := newService(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		_ = gs.Run(ctx)
		assert.LessOrEqual(t, time.Since(begin), time.Minute+12*sec)
		assert.True(t, *closed)
	})
	bubble(t, "and Shutdown is called", func(t *testing.T) {
		gs, closed := newService(t)
		go func() { _ = gs.Start(t.Context()) }()
		synctest.Wait()
		took, _ := gs.timedStop()
		assert.LessOrEqual(t, took, 12*sec)
		assert.True(t, *closed)
	})
}

func TestEndOfStartsContext(t *testing.T) {
	bubble(t, "requests the stop, with its cause", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		gs := newService(t)
		time.AfterFunc(time.Minute, func() { cancel(errTest) })
		begin := time.Now()
		require.NoError(t, gs.Run(ctx))
		assert.Equal(t, time.Minute, time.Since(begin))
		assert.Equal(t, errTest, gs.Report().Reason)
		assert.Empty(t, gs.Report().Manager)
		assert.Equal(t, shutdown.ErrAlreadyStarted, gs.Run(t.Context()))
	})
	starts := map[string]func(t *testing.T, gs service, ctx context.Context){
		"Start": func(t *testing.T, gs service, ctx context.Context) {
			assert.ErrorIs(t, gs.Start(ctx), shutdown.ErrShuttingDown)
			require.NoError(t, gs.Wait())
		},
		"Run": func(t *testing.T, gs service, ctx context.Context) {
			require.NoError(t, gs.Run(ctx))
		},
	}
	for name, start := range starts {
		bubble(t, "before "+name+": the callbacks run and nothing is started", func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errTest)
			gs := newService(t)
			gs.managers(&manager{name: "m", start: func(context.Context, func(error)) error {
				t.Error("the manager was started")
				return nil
			}})
			gs.component("never", func(context.Context) error {
				t.Error("the component was run")
				return nil
			})
			gs.callback("store", 0, func(ctx context.Context) error {
				assert.NoError(t, ctx.Err())
				assert.Equal(t, errTest, shutdown.Reason(ctx))
				return nil
			})
			start(t, gs, ctx)
			assert.Equal(t, "ok", states(gs.Report()))
			assert.Equal(t, errTest, gs.Report().Reason)
		})
	}
}

func TestStartAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		gs := newService(t)
		gs.callback("store", 0, func(context.Context) error { closed++; return nil })
		require.True(t, gs.Shutdown(errTest))
		assert.ErrorIs(t, gs.AddManager(&manager{name: "m"}), shutdown.ErrShuttingDown)
		assert.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrShuttingDown)
		assert.NoError(t, gs.Run(t.Context()))
		assert.Equal(t, 1, closed)
	})
}

// Many goroutines start, add, read and stop at the same time: one request wins, and what was
// accepted runs exactly once.
func TestStartAndStopRace(t *testing.T) {
	race := func(t *testing.T) {
		gs := newService(t, shutdown.Logger(slog.New(slog.DiscardHandler)),
			shutdown.ErrorHandler(func(error) {}))
		var won, accepted, ran, components, componentsRan atomic.Int32
		count := func(err error, n *atomic.Int32) {
			if err == nil {
				n.Add(1)
			} else {
				assert.ErrorIs(t, err, shutdown.ErrShuttingDown)
			}
		}
		add := func(phase int) {
			var calls atomic.Int32
			count(gs.AddCallback(shutdown.Callback{
				Name: "c", Phase: shutdown.Phase(phase), Func: func(context.Context) error {
					assert.EqualValues(t, 1, calls.Add(1), "calls of one callback")
					ran.Add(1)
					return nil
				},
			}), &accepted)
		}
		for i := range 10 {
			add(1 + i)
		}
		begin := make(chan struct{})
		var all sync.WaitGroup
		do := func(f func()) { all.Go(func() { <-begin; f() }) }
		do(func() {
			if err := gs.Start(t.Context()); err != nil {
				assert.ErrorIs(t, err, shutdown.ErrShuttingDown)
			}
		})
		for i := range 1000 {
			do(func() {
				if i%2 == 0 {
					runtime.Gosched()
				}
				if gs.Shutdown(fmt.Errorf("reason %d", i)) {
					won.Add(1)
				}
				assert.NoError(t, gs.Wait())
			})
			if i%4 == 0 {
				do(func() { add(1 + i%500) })
				do(func() {
					r := gs.Report()
					_, _, _ = r.String(), r.LogValue(), r.Failed()
				})
				do(func() {
					count(gs.Go("component", func(ctx context.Context) error {
						componentsRan.Add(1)
						return untilStopped(ctx)
					}), &components)
				})
			}
		}
		close(begin)
		all.Wait()
		assert.EqualValues(t, 1, won.Load(), "calls of Shutdown that returned true")
		assert.Equal(t, accepted.Load(), ran.Load(), "callbacks")
		assert.LessOrEqual(t, componentsRan.Load(), components.Load())
	}
	t.Run("real time", race)
	bubble(t, "fake clock", race)
}

// Run stops without Delay after a manager has failed to start, also when somebody requests the
// stop at the same time. This is for the race detector.
func TestRunThatFailsAndShutdownRace(t *testing.T) {
	for range 20 {
		gs := newService(t, shutdown.Delay(time.Hour), shutdown.Grace(2*time.Hour))
		var all sync.WaitGroup
		gs.managers(
			&manager{name: "releases", release: func() { gs.Shutdown(nil) }},
			&manager{name: "fails", start: func(context.Context, func(error)) error {
				all.Go(func() { gs.Shutdown(nil); _ = gs.Report().String() })
				return errTest
			}},
		)
		gs.component("never", func(context.Context) error { t.Error("started"); return nil })
		flushed := gs.flushing()
		err := gs.Run(t.Context())
		all.Wait()
		if err != nil { // if the request came first, its stop is what Run tells of
			assert.ErrorIs(t, err, errTest)
		}
		assert.True(t, flushed.Load())
	}
}

// A failure of a manager's Start is not lost because somebody has requested the stop meanwhile.
func TestFailureOfAManagersStartDuringTheStopIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		gs.managers(&manager{name: "broken", start: func(context.Context, func(error)) error {
			gs.Shutdown(nil)
			return errTest
		}})
		err := gs.Run(t.Context())
		assert.ErrorIs(t, err, errTest)
		assert.ErrorContains(t, err, "broken")
	})
}

// A Start that hangs is named, whatever has ended the time of the stop.
func TestStartThatHangsIsNamedWhateverEndsTheStop(t *testing.T) {
	for name, end := range map[string]func(gs service){
		"Hurry":  func(gs service) { gs.Shutdown(nil); gs.Hurry() },
		"Before": func(gs service) { gs.Shutdown(shutdown.Before(time.Now(), nil)) },
		"Grace":  func(gs service) { gs.Shutdown(nil) },
	} {
		bubble(t, name, func(t *testing.T) {
			hang := hanging(t)
			gs := newService(t)
			gs.managers(&manager{name: "deaf", start: func(ctx context.Context, _ func(error)) error {
				return hang(ctx)
			}})
			flushed := gs.flushing()
			go func() { _ = gs.Start(t.Context()) }()
			synctest.Wait()
			end(gs)
			assert.ErrorContains(t, gs.Wait(), "deaf")
			assert.True(t, flushed.Load())
		})
	}
}

// A manager's failure to start comes out of Run, also if the stop is requested in that moment.
func TestFailureOfAManagersStartIsNotLostToARequest(t *testing.T) {
	for range 2000 {
		gs := newService(t)
		var all sync.WaitGroup
		gs.managers(&manager{name: "fails", start: func(context.Context, func(error)) error {
			all.Go(func() { gs.Shutdown(nil) })
			return errTest
		}})
		err := gs.Run(t.Context())
		all.Wait()
		require.ErrorIs(t, err, errTest)
	}
}
