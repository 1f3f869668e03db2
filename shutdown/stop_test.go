package shutdown_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// FuzzStop in model_test.go proves the same for random callbacks.
func TestPhasesAscendAndTheirCallbacksRunTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		gs := newService(t)
		gs.callbacks(
			j.callback("flush", shutdown.PhaseFlush, sec),
			j.callback("store a", shutdown.PhaseStore, sec),
			j.callback("store b", 0, 2*sec),
			j.callback("between", shutdown.PhaseWork+50, 0),
			j.callback("ingress", shutdown.PhaseIngress, sec),
			j.callback("first", 1, 0),
			j.callback("last", 999, 0),
		)
		j.add("trigger")
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Equal(t, []string{
			"0s trigger", "0s first", "1s ingress", "1s between", "2s store a", "3s store b",
			"4s flush", "4s last",
		}, j.lines)
		assert.Equal(t, 4*sec, took)
		assert.Equal(t, took, gs.Report().Total)
	})
}

func TestDelayBeginsWhenTheStartHooksHaveReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		gs := newService(t, shutdown.Delay(5*sec))
		gs.managers(&manager{name: "m", begin: func(context.Context, error) error {
			assert.True(t, gs.isDraining(), "when ShutdownStart runs")
			time.Sleep(sec)
			return nil
		}})
		gs.callbacks(j.callback("first", 1, 0))
		gs.start()
		j.add("trigger")
		require.False(t, gs.isDraining())
		gs.Shutdown(nil)
		assert.True(t, gs.isDraining(), "when Shutdown returns")
		require.NoError(t, gs.Wait())
		assert.Equal(t, []string{"0s trigger", "6s first"}, j.lines)
		assert.Equal(t, 5*sec, delayed(gs.Report()))
		assert.Zero(t, lingered(gs.Report()), "there is no connection")
	})
}

func TestFirstRequestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		calls := 0
		late := func(context.Context) error { // what is late, is refused
			calls++
			assert.True(t, gs.isDraining())
			assert.False(t, gs.Shutdown(io.EOF))
			nop := returns(nil)
			assert.ErrorIs(t, gs.AddCallback(shutdown.Callback{Name: "late", Func: nop}),
				shutdown.ErrShuttingDown)
			assert.ErrorIs(t, gs.Go("late", nop), shutdown.ErrShuttingDown)
			assert.ErrorIs(t, gs.AddManager(&manager{name: "late"}), shutdown.ErrShuttingDown)
			assert.ErrorIs(t, gs.AddGRPCServer("late", grpcServer{}), shutdown.ErrShuttingDown)
			srv := &http.Server{}
			assert.ErrorIs(t, gs.AddHTTPServer("late", srv), shutdown.ErrShuttingDown)
			assert.Nil(t, srv.Handler, "the server of a refused call was changed")
			assert.Nil(t, srv.ConnState, "the server of a refused call was changed")
			assert.Equal(t, errTest, gs.Report().Reason)
			return nil
		}
		var m *manager
		again := func(ctx context.Context) error { m.request(io.EOF); return late(ctx) }
		m = &manager{
			name:   "m",
			begin:  func(ctx context.Context, _ error) error { return again(ctx) },
			finish: func(ctx context.Context, _ shutdown.Report) error { return again(ctx) },
		}
		gs.managers(m)
		for _, phase := range []shutdown.Phase{1, 100, 200, 300, 400} {
			gs.callback("late", phase, late)
		}
		gs.start()
		require.True(t, gs.Shutdown(errTest))
		require.False(t, gs.Shutdown(io.EOF))
		require.NoError(t, gs.Wait())
		m.request(io.EOF)
		assert.Equal(t, 7, calls)
		assert.Equal(t, errTest, gs.Report().Reason)
		assert.Empty(t, gs.Report().Manager)
		assert.Equal(t, errTest, context.Cause(gs.Context()))
	})
	bubble(t, "a nil reason stands for one", func(t *testing.T) {
		gs := newService(t)
		gs.callback("c", 1, func(ctx context.Context) error {
			assert.EqualError(t, shutdown.Reason(ctx), "shutdown: requested")
			return nil
		})
		require.NoError(t, gs.stop())
		assert.Error(t, gs.Report().Reason)
		assert.Error(t, context.Cause(gs.Context()))
	})
}

func TestContextEndsWhenPhaseWorkBegins(t *testing.T) {
	bubble(t, "with callbacks", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec))
		seen := map[shutdown.Phase]error{}
		phases := []shutdown.Phase{1, shutdown.PhaseIngress, 199, shutdown.PhaseWork, 201}
		for _, phase := range phases {
			gs.callback("look", phase, func(context.Context) error {
				time.Sleep(sec)
				seen[phase] = context.Cause(gs.Context())
				return nil
			})
		}
		gs.start()
		gs.Shutdown(errTest)
		time.Sleep(sec - 1)
		assert.NoError(t, gs.Context().Err(), "during Delay")
		require.NoError(t, gs.Wait())
		assert.Equal(t, map[shutdown.Phase]error{
			1: nil, shutdown.PhaseIngress: nil, 199: nil, shutdown.PhaseWork: errTest, 201: errTest,
		}, seen)
		assert.Equal(t, context.Canceled, gs.Context().Err())
	})
	bubble(t, "with nothing from PhaseWork on", func(t *testing.T) {
		gs := newService(t)
		gs.Shutdown(errTest)
		require.NoError(t, gs.Wait())
		assert.Equal(t, errTest, context.Cause(gs.Context()))
	})
	bubble(t, "not with Start's context", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec))
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, gs.Start(ctx))
		cancel()
		<-gs.Draining()
		synctest.Wait()
		assert.NoError(t, gs.Context().Err())
		require.NoError(t, gs.Wait())
		assert.Error(t, gs.Context().Err())
	})
}

func TestErrorsAndPanicsStopNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		inner := errors.New("inner")
		var ran []string
		for i, c := range []struct {
			name string
			fn   func(context.Context) error
		}{
			{"error", returns(errTest)},
			{"panic", func(context.Context) error { panic("boom") }},
			{"panic with an error", func(context.Context) error { panic(inner) }},
			{"panic(nil)", func(context.Context) error { panic(nil) }},
			{"goexit", goexit},
			{"fine", returns(nil)},
		} {
			gs.callback(c.name, shutdown.Phase(i+1), func(ctx context.Context) error {
				ran = append(ran, c.name)
				return c.fn(ctx)
			})
		}
		err := gs.stop()
		assert.Equal(t,
			[]string{"error", "panic", "panic with an error", "panic(nil)", "goexit", "fine"}, ran)
		assert.Equal(t, "error panic panic panic error ok", states(gs.Report()))
		assert.ErrorIs(t, err, errTest)
		assert.ErrorIs(t, err, inner)
		_, ok := errors.AsType[*runtime.PanicNilError](err)
		assert.True(t, ok)
		assert.ErrorContains(t, err, "goexit (phase 5): shutdown: runtime.Goexit was called")

		var p *shutdown.PanicError
		require.ErrorAs(t, row(t, gs.Report(), "panic").Err, &p)
		assert.Equal(t, "boom", p.Value)
		assert.Contains(t, string(p.Stack), "TestErrorsAndPanicsStopNothing")
		assert.True(t, strings.HasPrefix(p.Error(), "panic: boom\n\ngoroutine "), p.Error())
	})
}

// Wherever user code misbehaves and however, the stop goes on, ends in time and names the culprit.
func TestMisbehaviourIsContained(t *testing.T) {
	const grace, tail = 10 * sec, 2 * sec
	places := map[string]func(gs service, misbehave func() error){
		"callback": func(gs service, misbehave func() error) {
			gs.callback("culprit", 100, func(context.Context) error { return misbehave() })
		},
		"closer": func(gs service, misbehave func() error) {
			gs.callbacks(shutdown.Closer("culprit", closer(misbehave)))
		},
		"component": func(gs service, misbehave func() error) {
			gs.component("culprit", func(ctx context.Context) error {
				<-ctx.Done()
				return misbehave()
			})
		},
		"start hook": func(gs service, misbehave func() error) {
			gs.managers(&manager{
				name:  "culprit",
				begin: func(context.Context, error) error { return misbehave() },
			})
		},
		"finish hook": func(gs service, misbehave func() error) {
			gs.managers(&manager{
				name:   "culprit",
				finish: func(context.Context, shutdown.Report) error { return misbehave() },
			})
		},
		"GracefulStop": func(gs service, misbehave func() error) {
			gs.grpcServer("culprit", grpcServer{graceful: func() { _ = misbehave() }})
		},
	}
	for place, add := range places {
		for kind, misbehave := range misbehaviours {
			if place == "GracefulStop" && kind == "error" {
				continue // it cannot return one
			}
			bubble(t, place+"/"+kind, func(t *testing.T) {
				release := make(chan struct{})
				var handled []error
				gs := newService(t, shutdown.Grace(grace), shutdown.Tail(tail),
					shutdown.Logger(slog.New(slog.DiscardHandler)),
					shutdown.ErrorHandler(func(err error) { handled = append(handled, err) }))
				add(gs, func() error { return misbehave(release) })
				var others atomic.Int32
				for _, phase := range []shutdown.Phase{150, 200, 250, 300, 400, 999} {
					gs.callback("other", phase, func(ctx context.Context) error {
						others.Add(1)
						return ctx.Err()
					})
				}
				gs.managers(&manager{
					name: "other",
					finish: func(context.Context, shutdown.Report) error {
						others.Add(1)
						return nil
					},
				})
				gs.start()
				synctest.Wait()
				took, err := gs.timedStop()
				close(release)
				synctest.Wait()

				assert.LessOrEqual(t, took, grace+tail)
				assert.EqualValues(t, 7, others.Load(), "other callbacks and hooks that ran")
				report := gs.Report()
				assert.Equal(t, took, report.Total)
				assert.True(t, report.Failed())
				culprit := row(t, report, "culprit")
				require.Error(t, culprit.Err)
				require.ErrorIs(t, err, culprit.Err)
				assert.ErrorContains(t, err, "culprit")
				require.NotEmpty(t, handled)
				for _, err := range handled[1:] {
					assert.Equal(t, "component", place, "reported after it was given up: %v", err)
				}
				hangs := strings.HasPrefix(kind, "hang")
				if !hangs {
					assert.Zero(t, took)
					assert.Nil(t, report.Stacks, "stacks without a timeout")
				}
				switch {
				case hangs:
					assert.Equal(t, shutdown.StateTimeout, culprit.State)
					assert.ErrorIs(t, err, shutdown.ErrTimeout)
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Contains(t, string(report.Stacks), "harness_test.go", "the culprit's")
				case kind == "error":
					assert.Equal(t, shutdown.StateError, culprit.State)
					assert.ErrorIs(t, err, errTest)
				case kind == "Goexit":
					assert.Equal(t, shutdown.StateError, culprit.State)
				default:
					assert.Equal(t, shutdown.StatePanic, culprit.State)
					var p *shutdown.PanicError
					require.ErrorAs(t, err, &p)
					assert.Contains(t, string(p.Stack), "harness_test.go", "the panic's own stack")
					assert.Equal(t, kind == "panic", errors.Is(err, errTest))
				}
			})
		}
	}
}

func BenchmarkStop(b *testing.B) {
	for b.Loop() {
		gs := shutdown.New(shutdown.Logger(slog.New(slog.NewTextHandler(io.Discard, nil))))
		for i := range 20 {
			_ = gs.AddCallback(shutdown.Callback{
				Name: "c", Phase: shutdown.Phase(1 + i%4), Func: returns(nil),
			})
		}
		gs.Shutdown(nil)
		_ = gs.Wait()
	}
}
