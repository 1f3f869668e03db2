package signals_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/signals"
)

// A synctest bubble ends only when every goroutine started in it has ended, so each test here is a
// leak check too.

func TestFirstSignalAsksSecondForces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		var forced []os.Signal
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source),
			signals.OnForce(func(sig os.Signal) { forced = append(forced, sig) }), nil)
		defer cancel()

		require.NoError(t, ctx.Err())
		_, ok := signals.FromContext(ctx)
		require.False(t, ok, "a signal before there was one")

		source <- os.Interrupt
		synctest.Wait()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.Empty(t, forced)

		source <- syscall.SIGTERM
		time.Sleep(time.Second)
		source <- syscall.SIGTERM
		time.Sleep(time.Second)
		source <- os.Interrupt
		synctest.Wait()
		assert.Equal(t, []os.Signal{syscall.SIGTERM, syscall.SIGTERM, os.Interrupt}, forced)

		got, ok := signals.FromContext(ctx)
		assert.True(t, ok)
		assert.Equal(t, os.Interrupt, got, "the cause stays the first signal")
	})
}

// odd is a signal that == cannot compare.
type odd []string

func (o odd) String() string { return o[0] }
func (odd) Signal()          {}

func TestForceWindow(t *testing.T) {
	type arrival struct {
		at  time.Duration // after the first one
		sig os.Signal
	}
	const ms = time.Millisecond
	window := func(d time.Duration) []signals.Option {
		return []signals.Option{signals.ForceWindow(d)}
	}
	interrupts := func(at ...time.Duration) (arrivals []arrival) {
		for _, d := range at {
			arrivals = append(arrivals, arrival{d, os.Interrupt})
		}
		return arrivals
	}
	tests := []struct {
		name   string
		opts   []signals.Option
		first  os.Signal
		others []arrival
		want   int // forced
	}{
		{"default: at once", nil, os.Interrupt, interrupts(0), 0},
		{"default: within a millisecond", nil, os.Interrupt, interrupts(ms), 0},
		{"default: just inside", nil, os.Interrupt, interrupts(5*ms - 1), 0},
		{"default: at its end", nil, os.Interrupt, interrupts(5 * ms), 1},
		{"default: another signal", nil, os.Interrupt, []arrival{{0, syscall.SIGTERM}}, 1},
		{"none", window(0), os.Interrupt, interrupts(0), 1},
		{"just inside", window(500 * ms), os.Interrupt, interrupts(500*ms - 1), 0},
		{"at its end", window(500 * ms), os.Interrupt, interrupts(500 * ms), 1},
		{"another signal", window(500 * ms), os.Interrupt, []arrival{{1, syscall.SIGTERM}}, 1},
		{
			"it counts from the first signal, not from the last", window(time.Second), os.Interrupt,
			interrupts(400*ms, 800*ms, 1200*ms), 1,
		},
		{
			"repeats of the first around another signal", window(time.Second), os.Interrupt,
			[]arrival{{1, os.Interrupt}, {2, syscall.SIGTERM}, {3, os.Interrupt}}, 1,
		},
		{
			"repeats of the signal that forced", window(time.Second), os.Interrupt,
			[]arrival{{1, syscall.SIGTERM}, {2, syscall.SIGTERM}}, 1,
		},
		{"signals that cannot be compared", nil, odd{"a"}, []arrival{{0, odd{"a"}}}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := make(chan os.Signal)
				forced := 0
				opts := append(tt.opts, signals.Source(source),
					signals.OnForce(func(os.Signal) { forced++ }))
				ctx, cancel := signals.NotifyContext(t.Context(), opts...)
				defer cancel()
				source <- tt.first
				<-ctx.Done()
				begin := time.Now()
				for _, a := range tt.others {
					time.Sleep(time.Until(begin.Add(a.at)))
					source <- a.sig
				}
				synctest.Wait()
				assert.Equal(t, tt.want, forced, "forced")
			})
		})
	}
}

func TestOnForce(t *testing.T) {
	t.Run("one call at a time, also while the first call hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal, 100)
			var inside, calls atomic.Int32
			goOn := make(chan struct{})
			ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source),
				signals.ForceWindow(0),
				signals.OnForce(func(os.Signal) {
					assert.EqualValues(t, 1, inside.Add(1))
					calls.Add(1)
					<-goOn
					inside.Add(-1)
				}))
			defer cancel()
			for range 10 {
				source <- os.Interrupt
			}
			synctest.Wait()
			require.Error(t, ctx.Err())
			require.EqualValues(t, 1, calls.Load())
			close(goOn)
			synctest.Wait()
			assert.EqualValues(t, 9, calls.Load())
		})
	})
	t.Run("each signal, also after a call that has exited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			var calls atomic.Int32
			_, cancel := signals.NotifyContext(t.Context(), signals.Source(source),
				signals.ForceWindow(0),
				signals.OnForce(func(os.Signal) { calls.Add(1); runtime.Goexit() }))
			defer cancel()
			for range 4 {
				source <- os.Interrupt
			}
			synctest.Wait()
			assert.EqualValues(t, 3, calls.Load())
		})
	})
	t.Run("it may release the signals", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal, 100)
			calls := 0
			var cancel context.CancelFunc
			_, cancel = signals.NotifyContext(t.Context(), signals.Source(source),
				signals.ForceWindow(0), signals.OnForce(func(os.Signal) { calls++; cancel() }))
			for range 5 {
				source <- os.Interrupt
			}
			synctest.Wait()
			assert.Equal(t, 1, calls, "forced after the release")
		})
	})
}

func TestEachContextCountsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var forced [2]int
		var sources [2]chan os.Signal
		var contexts [2]context.Context
		for i := range sources {
			sources[i] = make(chan os.Signal)
			ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(sources[i]),
				signals.OnForce(func(os.Signal) { forced[i]++ }))
			defer cancel()
			contexts[i] = ctx
		}
		sources[0] <- os.Interrupt
		sources[0] <- syscall.SIGTERM
		synctest.Wait()
		assert.NoError(t, contexts[1].Err())
		sources[1] <- os.Interrupt
		synctest.Wait()
		assert.Equal(t, [2]int{1, 0}, forced)
	})
}

func TestParent(t *testing.T) {
	t.Run("its end ends the context but releases nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			parent, cancelParent := context.WithCancelCause(t.Context())
			source := make(chan os.Signal)
			forced := 0
			ctx, cancel := signals.NotifyContext(parent, signals.Source(source),
				signals.OnForce(func(os.Signal) { forced++ }))
			defer cancel()
			why := errors.New("lease lost")
			cancelParent(why)
			<-ctx.Done()
			assert.Equal(t, why, context.Cause(ctx))

			source <- syscall.SIGTERM
			synctest.Wait()
			assert.Equal(t, 0, forced, "the first signal asks, whoever else has asked")
			assert.Equal(t, why, context.Cause(ctx))
			source <- os.Interrupt
			synctest.Wait()
			assert.Equal(t, 1, forced)
		})
	})
	t.Run("its values, deadline and cause are the context's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			type key struct{}
			values := context.WithValue(t.Context(), key{}, "v")
			parent, cancelParent := context.WithTimeout(values, time.Minute)
			defer cancelParent()
			ctx, cancel := signals.NotifyContext(parent, signals.Source(make(chan os.Signal)))
			defer cancel()
			assert.Equal(t, "v", ctx.Value(key{}))
			want, _ := parent.Deadline()
			got, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, want, got)
			<-ctx.Done()
			assert.Equal(t, context.DeadlineExceeded, ctx.Err())
			_, ok = signals.FromContext(ctx)
			assert.False(t, ok)
		})
	})
	t.Run("it has ended before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			parent, cancelParent := context.WithCancelCause(t.Context())
			why := errors.New("why")
			cancelParent(why)
			source := signals.Source(make(chan os.Signal, 2))
			ctx, cancel := signals.NotifyContext(parent, source)
			assert.Equal(t, why, context.Cause(ctx))
			cancel()
		})
	})
}

func TestRelease(t *testing.T) {
	t.Run("nothing is read after it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal, 1)
			ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source))
			cancel()
			cancel()
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			require.Equal(t, context.Canceled, context.Cause(ctx), "no signal, so no *Error")
			synctest.Wait()
			source <- os.Interrupt
			synctest.Wait()
			assert.Len(t, source, 1, "read after the release")
		})
	})
	t.Run("at the same time as signals", func(t *testing.T) {
		for range 50 {
			synctest.Test(t, func(t *testing.T) {
				source := make(chan os.Signal, 4)
				ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source),
					signals.ForceWindow(0), signals.OnForce(func(os.Signal) {}))
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() { source <- os.Interrupt })
					all.Go(cancel)
				}
				all.Wait()
				<-ctx.Done()
				require.ErrorIs(t, context.Cause(ctx), context.Canceled)
			})
		}
	})
}

func TestClosedSourceIsNoSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		forced := 0
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source),
			signals.OnForce(func(os.Signal) { forced++ }))
		defer cancel()
		close(source)
		time.Sleep(time.Hour)
		assert.NoError(t, ctx.Err())
		assert.Zero(t, forced)
	})
}

// hurries is an option like posixsignal.SecondHurries.
type hurries struct{ signals.Option }

func (hurries) SecondHurries() {}

func TestControl(t *testing.T) {
	// run sends the signals to a stop that can be hurried once it is requested, unless it has been
	// hurried before, and returns what happened in its order.
	run := func(t *testing.T, hurried bool, opts []signals.Option, sigs ...os.Signal) []string {
		t.Helper()
		var happened []string
		synctest.Test(t, func(t *testing.T) {
			requested := false
			source := make(chan os.Signal)
			ctx := control.NewContext(t.Context(), control.Control{
				Request: func(reason error) {
					requested = true
					happened = append(happened, "request: "+reason.Error())
				},
				Hurry: func() bool {
					ok := requested && !hurried
					hurried = true
					if ok {
						happened = append(happened, "hurry")
					}
					return ok
				},
			})
			opts := append(opts, signals.Source(source), signals.OnForce(func(sig os.Signal) {
				happened = append(happened, "force: "+sig.String())
			}))
			_, cancel := signals.NotifyContext(ctx, opts...)
			defer cancel()
			for _, sig := range sigs {
				source <- sig
			}
			synctest.Wait()
		})
		return happened
	}
	asked := "request: signals: received interrupt"
	second := []signals.Option{hurries{}}
	later := []signals.Option{hurries{}, signals.ForceWindow(0)}

	assert.Equal(t, []string{asked, "force: terminated"},
		run(t, false, nil, os.Interrupt, syscall.SIGTERM), "without the option the second forces")
	assert.Equal(t, []string{asked},
		run(t, false, second, os.Interrupt, os.Interrupt), "a repeat is no second signal")
	assert.Equal(t, []string{asked, "hurry"},
		run(t, false, second, os.Interrupt, syscall.SIGTERM), "the second hurries")
	assert.Equal(t, []string{asked, "hurry"},
		run(t, false, second, os.Interrupt, syscall.SIGTERM, syscall.SIGTERM, os.Interrupt),
		"repeats of the one that hurries count as that one, too")
	assert.Equal(t, []string{asked, "hurry", "force: interrupt", "force: terminated"},
		run(t, false, later, os.Interrupt, os.Interrupt, os.Interrupt, syscall.SIGTERM),
		"the third forces, and so does every one after it")
	assert.Equal(t, []string{asked, "force: terminated"},
		run(t, true, second, os.Interrupt, syscall.SIGTERM, syscall.SIGTERM),
		"a stop that has been hurried is forced by the second")

	t.Run("the option does no harm without a stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			forced := 0
			ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source), hurries{},
				signals.OnForce(func(os.Signal) { forced++ }))
			defer cancel()
			source <- os.Interrupt
			<-ctx.Done()
			source <- syscall.SIGTERM
			synctest.Wait()
			assert.Equal(t, 1, forced)
		})
	})
}
