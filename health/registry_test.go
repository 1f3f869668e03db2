package health_test

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

	"github.com/gracekit/gracekit/health"
)

// A switchable is a dependency that a test turns on and off.
type switchable struct {
	down  atomic.Bool
	calls atomic.Int32
}

func (s *switchable) probe(context.Context) error {
	s.calls.Add(1)
	if s.down.Load() {
		return errBad
	}
	return nil
}

func newRegistry(t testing.TB, checks ...health.Check) *health.Registry {
	t.Helper()
	r, err := health.New(checks...)
	require.NoError(t, err)
	return r
}

// start runs r in the background until the function it returns is called, or the test ends.
func start(t testing.TB, r *health.Registry) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, r.Run(ctx))
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func state(r *health.Registry) health.State { return r.Report(health.Ready).State }

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	ok := func(context.Context) error { return nil }
	r, err := health.New(
		health.Check{Name: "db", Probe: ok},
		health.Check{Name: "db", Probe: ok},
		health.Check{Name: "a/b", Probe: ok},
		health.Check{Name: "no-probe"},
		health.Check{Name: "odd", Probe: ok, Kind: 64, Timeout: -1, Period: -2, Grace: -3, Failures: -4, Successes: -5},
	)
	assert.Nil(t, r)
	assert.ErrorIs(t, err, health.ErrDuplicate)
	assert.ErrorIs(t, err, health.ErrInvalidName)
	assert.EqualError(t, err, `health: two checks of the same name: "db"
health: invalid name of a check: "a/b": expected 1 to 64 of A-Z a-z 0-9 . _ -
health: check "no-probe": Probe is nil
health: check "odd": Kind Kind(0x40): expected Live, Ready, Startup or several of them
health: check "odd": Timeout -1ns: must not be negative
health: check "odd": Period -2ns: must not be negative, except OnDemand
health: check "odd": Grace -3ns: must not be negative
health: check "odd": Failures -4: must not be negative
health: check "odd": Successes -5: must not be negative`)
}

func TestNewNames(t *testing.T) {
	tests := []struct {
		name  string
		valid bool
	}{
		{"mysql", true}, {"a.b_c-D9", true}, {"...", true}, {string(make64()), true},
		{"", false}, {".", false}, {"..", false}, {"a b", false}, {"a,b", false}, {"a%2f", false}, {"é", false}, {"a?", false},
		{string(make64()) + "x", false}, {"<b>", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := health.New(health.Check{Name: tt.name, Probe: new(switchable).probe})
			if tt.valid {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, health.ErrInvalidName)
			}
		})
	}
}

func make64() []byte {
	b := make([]byte, 64)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

func TestKindAndStateText(t *testing.T) {
	assert.Equal(t, "live", health.Live.String())
	assert.Equal(t, "ready|startup", (health.Startup | health.Ready).String())
	assert.Equal(t, "live|Kind(0x80)", (health.Live | 128).String())
	assert.Equal(t, "Kind(0x0)", health.Kind(0).String())
	assert.Equal(t, "pending up down draining State(4)", health.Pending.String()+" "+health.Up.String()+" "+
		health.Down.String()+" "+health.Draining.String()+" "+health.State(4).String())
	text, err := health.Live.MarshalText()
	assert.Equal(t, "live", string(text))
	assert.NoError(t, err)
}

func TestPendingBeforeRun(t *testing.T) {
	s := new(switchable)
	r := newRegistry(t, health.Check{Name: "db", Probe: s.probe})
	assert.Equal(t, health.Pending, state(r))
	assert.False(t, closed(r.Ready()))
	assert.Zero(t, s.calls.Load())
	assert.Equal(t, health.Result{}, r.Report(health.Ready).Checks[0].Last())
}

func TestNoChecks(t *testing.T) {
	r := newRegistry(t)
	assert.True(t, r.Report(health.Live).OK())
	assert.True(t, closed(r.Ready()))
	r.Drain()
	assert.Equal(t, health.Draining, state(r))
	assert.True(t, r.Report(health.Live).OK())
}

func TestThresholds(t *testing.T) {
	tests := []struct {
		name                string
		failures, successes int
		down, up            int // runs it takes
	}{
		{"default", 0, 0, 3, 1},
		{"at once", 1, 1, 1, 1},
		{"given", 5, 4, 5, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(switchable)
				r := newRegistry(t, health.Check{
					Name: "db", Probe: s.probe, Period: time.Minute, Failures: tt.failures, Successes: tt.successes,
				})
				start(t, r)
				<-r.Ready()
				time.Sleep(time.Second) // from now on between two runs

				s.down.Store(true)
				for i := 1; i <= tt.down; i++ {
					assert.Equal(t, health.Up, state(r), "before failure %d", i)
					time.Sleep(time.Minute)
				}
				assert.Equal(t, health.Down, state(r))

				s.down.Store(false)
				for i := 1; i <= tt.up; i++ {
					assert.Equal(t, health.Down, state(r), "before success %d", i)
					time.Sleep(time.Minute)
				}
				assert.Equal(t, health.Up, state(r))
			})
		})
	}
}

func TestThresholdsCountInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRegistry(t, health.Check{Name: "flaky", Period: time.Second, Probe: func(context.Context) error {
			if n++; n%3 != 1 { // two failures, one success
				return errBad
			}
			return nil
		}})
		start(t, r)
		for range 100 {
			time.Sleep(time.Second)
			require.Equal(t, health.Up, state(r))
		}
	})
}

func TestPeriodIsFromStartToStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began []time.Duration
		first := time.Now()
		r := newRegistry(t, health.Check{Name: "slow", Timeout: time.Minute, Probe: func(ctx context.Context) error {
			began = append(began, time.Since(first))
			select {
			case <-time.After(time.Duration(len(began)) * 4 * time.Second):
			case <-ctx.Done():
			}
			return nil
		}})
		stop := start(t, r)
		time.Sleep(45 * time.Second)
		stop()
		// The third run takes 12s, so the fourth is late, but never beside it.
		assert.Equal(t, []time.Duration{0, 10 * time.Second, 20 * time.Second, 32 * time.Second}, began)
	})
}

// A service whose database comes up after 400ms must not be called unready for the rest of the Period.
func TestComesUpWithinATenth(t *testing.T) {
	for _, startup := range []time.Duration{0, 30 * time.Millisecond, 400 * time.Millisecond, time.Minute} {
		t.Run(startup.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				r := newRegistry(t, health.Check{Name: "db", Probe: upAfter(startup)})
				start(t, r)
				<-r.Ready()
				assert.LessOrEqual(t, time.Since(begin)-startup, startup/10+10*time.Millisecond)
			})
		})
	}
}

// The many runs while a check comes up do not use up its threshold.
func TestPendingUntilThresholdInPeriods(t *testing.T) {
	for _, period := range []time.Duration{time.Millisecond, 10 * time.Second} {
		t.Run(period.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(switchable)
				s.down.Store(true)
				r := newRegistry(t, health.Check{Name: "db", Probe: s.probe, Period: period, Failures: 3})
				start(t, r)
				time.Sleep(2*period - 1)
				assert.Equal(t, health.Pending, state(r))
				time.Sleep(period)
				assert.Equal(t, health.Down, state(r))
			})
		})
	}
}

func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		s.down.Store(true)
		r := newRegistry(t, health.Check{
			Name: "slow-start", Probe: s.probe, Kind: health.Live | health.Ready, Period: time.Second, Grace: time.Minute, Failures: 1,
		})
		assert.Equal(t, health.Pending, r.Report(health.Live).State, "before Run there is no grace")
		start(t, r)
		time.Sleep(time.Minute - 1)
		assert.Equal(t, health.Pending, state(r))
		assert.Equal(t, health.Up, r.Report(health.Live).State, "a slow start is no reason for a restart")
		assert.Equal(t, health.Pending, r.Report(health.Live).Checks[0].State)
		time.Sleep(2 * time.Second)
		assert.Equal(t, health.Down, state(r))
		assert.Equal(t, health.Down, r.Report(health.Live).State)
	})
}

func TestGraceEndsWithPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRegistry(t, health.Check{
			Name: "db", Kind: health.Live, Period: time.Minute, Grace: time.Second, Failures: 2,
			Probe: func(context.Context) error { n++; return errBad },
		})
		start(t, r)
		time.Sleep(time.Second - 1)
		assert.True(t, r.Report(health.Live).OK())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, health.Pending, r.Report(health.Live).State)
		assert.False(t, r.Report(health.Live).OK())
	})
}

func TestOptional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		s.down.Store(true)
		r := newRegistry(t, health.Check{Name: "mail", Probe: s.probe, Failures: 1, Optional: true})
		assert.True(t, closed(r.Ready()))
		start(t, r)
		synctest.Wait()
		report := r.Report(health.Ready)
		assert.True(t, report.OK())
		assert.Equal(t, health.Down, report.Checks[0].State)
	})
}

func TestWorstStateWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func(context.Context) error { return errBad }
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r := newRegistry(t,
			health.Check{Name: "pending", Probe: hang, Timeout: time.Hour, Kind: health.Live | health.Ready},
			health.Check{Name: "down", Probe: fail, Failures: 1},
			health.Check{Name: "up", Probe: new(switchable).probe, Kind: health.Live},
		)
		start(t, r)
		synctest.Wait()
		assert.Equal(t, health.Down, state(r))
		assert.Equal(t, health.Pending, r.Report(health.Live).State)
		assert.Equal(t, health.Down, r.Report(health.Live|health.Ready).State)
		assert.Len(t, r.Report(health.Live|health.Ready).Checks, 3)
		r.Drain()
		assert.Equal(t, health.Draining, state(r))
		assert.Equal(t, health.Pending, r.Report(health.Live).State)
	})
}

// A probe that never returns is not started again, and yet turns down.
func TestProbeThatHangsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		hang := make(chan struct{})
		r := newRegistry(t, health.Check{Name: "nfs", Period: 10 * time.Second, Probe: func(context.Context) error {
			if calls.Add(1) == 2 {
				<-hang
			}
			return nil
		}})
		stop := start(t, r)
		<-r.Ready()
		time.Sleep(12 * time.Second)
		last := r.Report(health.Ready).Checks[0].Last()
		assert.ErrorIs(t, last.Err, health.ErrTimeout)
		assert.ErrorContains(t, last.Err, "probe timed out after 1s and ignores its context")
		assert.Equal(t, health.Up, state(r))

		time.Sleep(20 * time.Second)
		assert.Equal(t, health.Down, state(r))
		assert.ErrorContains(t, r.Report(health.Ready).Checks[0].Last().Err, "still running after 20s")
		assert.EqualValues(t, 2, calls.Load())

		close(hang) // what it returned so late is worth nothing; the next run is
		synctest.Wait()
		assert.Equal(t, health.Down, state(r))
		time.Sleep(10 * time.Second)
		assert.Equal(t, health.Up, state(r))
		assert.EqualValues(t, 3, calls.Load())
		stop()
	})
}

func TestTimeoutCancelsTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Failures: 1, Timeout: 3 * time.Second, Probe: func(ctx context.Context) error {
			<-ctx.Done()
			return errors.Join(errBad, ctx.Err())
		}})
		start(t, r)
		time.Sleep(3*time.Second + 1)
		last := r.Report(health.Ready).Checks[0].Last()
		assert.Equal(t, 3*time.Second, last.Duration)
		assert.ErrorIs(t, last.Err, health.ErrTimeout)
		assert.ErrorIs(t, last.Err, errBad)
	})
}

func TestPanicAndGoexitAreFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t,
			health.Check{Name: "panics", Failures: 1, Probe: func(context.Context) error { panic(errBad) }},
			health.Check{Name: "exits", Failures: 1, Probe: func(context.Context) error { runtime.Goexit(); return nil }},
		)
		start(t, r)
		synctest.Wait()
		report := r.Report(health.Ready)
		assert.Equal(t, health.Down, report.Checks[0].State)
		_, ok := errors.AsType[*health.PanicError](report.Checks[0].Last().Err)
		assert.True(t, ok)
		assert.ErrorIs(t, report.Checks[0].Last().Err, errBad)
		assert.Equal(t, health.Down, report.Checks[1].State)
		assert.ErrorContains(t, report.Checks[1].Last().Err, "runtime.Goexit")
	})
}

func TestStartupPassesForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		migrations, cache := new(switchable), new(switchable)
		migrations.down.Store(true)
		r := newRegistry(t,
			health.Check{Name: "migrations", Probe: migrations.probe, Kind: health.Startup},
			health.Check{Name: "cache", Probe: cache.probe, Kind: health.Startup | health.Ready, Failures: 1},
		)
		start(t, r)
		time.Sleep(time.Second)
		assert.Equal(t, health.Pending, r.Report(health.Startup).State)
		assert.Equal(t, health.Up, state(r))

		migrations.down.Store(false)
		time.Sleep(time.Second)
		assert.Equal(t, health.Up, r.Report(health.Startup).State)
		calls := migrations.calls.Load()

		cache.down.Store(true)
		time.Sleep(time.Minute)
		assert.Equal(t, calls, migrations.calls.Load(), "it is not asked again")
		assert.Equal(t, health.Down, state(r))
		assert.Equal(t, health.Up, r.Report(health.Startup).State)
		assert.Equal(t, health.Down, r.Report(health.Startup).Checks[1].State)
		r.Drain()
		assert.Equal(t, health.Up, r.Report(health.Startup).State)
	})
}

func TestReadyStaysClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Probe: s.probe, Failures: 1})
		start(t, r)
		<-r.Ready()
		s.down.Store(true)
		time.Sleep(time.Minute)
		assert.Equal(t, health.Down, state(r))
		assert.True(t, closed(r.Ready()))
	})
}

func TestReadyNeverAfterDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe})
		r.Drain()
		r.Drain()
		start(t, r)
		time.Sleep(time.Minute)
		assert.False(t, closed(r.Ready()))
		assert.Equal(t, health.Up, r.Report(health.Ready).Checks[0].State, "the checks go on")
		assert.Equal(t, health.Draining, state(r))
	})
}

func TestDrainOn(t *testing.T) {
	t.Run("takes effect at once", func(t *testing.T) {
		for range 100 {
			shutdown := make(chan struct{})
			r := newRegistry(t)
			r.DrainOn(make(chan struct{}))
			r.DrainOn(shutdown)
			assert.Equal(t, health.Up, state(r))
			close(shutdown)
			assert.Equal(t, health.Draining, state(r))
		}
	})
	t.Run("by a value", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ch := make(chan struct{}, 1)
			r := newRegistry(t)
			r.DrainOn(ch)
			ch <- struct{}{}
			synctest.Wait()
			assert.Equal(t, health.Draining, state(r))
		})
	})
	t.Run("its goroutine ends with Run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRegistry(t)
			r.DrainOn(make(chan struct{}))
			start(t, r)()
			r.DrainOn(make(chan struct{}))
		}) // a goroutine left over makes synctest panic
	})
	t.Run("nil", func(t *testing.T) {
		assert.PanicsWithValue(t, "health: DrainOn(nil): expected a channel", func() { newRegistry(t).DrainOn(nil) })
	})
}

func TestRunTwice(t *testing.T) {
	r := newRegistry(t)
	stop := start(t, r)
	stop()
	assert.ErrorIs(t, r.Run(t.Context()), health.ErrAlreadyStarted)
}

func TestRunTwiceAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe})
		start(t, r)
		synctest.Wait()
		assert.ErrorIs(t, r.Run(t.Context()), health.ErrAlreadyStarted)
		assert.Equal(t, health.Up, state(r))
	})
}

// A check that the end of Run cuts short proves nothing; but nobody looks any more, so the service is not ready.
func TestEndOfRunDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRegistry(t, health.Check{
			Name: "db", Failures: 1, Timeout: time.Hour, Kind: health.Live | health.Ready,
			Probe: func(ctx context.Context) error {
				if calls++; calls == 1 {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			},
		})
		stop := start(t, r)
		<-r.Ready()
		time.Sleep(11 * time.Second) // into the second run
		stop()
		report := r.Report(health.Live)
		assert.Equal(t, health.Up, report.State)
		assert.Len(t, report.Checks[0].History, 1)
		assert.Equal(t, health.Draining, state(r))
	})
}

func TestRunEndsThoughAProbeDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: func(context.Context) error { time.Sleep(time.Hour); return nil }})
		stop := start(t, r)
		time.Sleep(time.Minute)
		begin := time.Now()
		stop()
		assert.Less(t, time.Since(begin), 100*time.Millisecond)
		time.Sleep(time.Hour)
	})
}

func TestReportIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe, Period: time.Second, Kind: health.Live})
		start(t, r)
		time.Sleep(100*time.Second + 1)
		report := r.Report(health.Live)
		require.Len(t, report.Checks[0].History, 40)
		assert.WithinDuration(t, time.Now(), report.Checks[0].Last().Time, time.Second)
		assert.Equal(t, 100*time.Second+1, time.Since(report.Checks[0].Since))
		report.Checks[0].History[0].Err = errBad
		assert.NoError(t, r.Report(health.Live).Checks[0].History[0].Err)
	})
}

func TestReportPanicsOnOtherKinds(t *testing.T) {
	r := newRegistry(t)
	want := "health: Report(Kind(0x0)): expected Live, Ready, Startup or several of them"
	assert.PanicsWithValue(t, want, func() { r.Report(0) })
	assert.Panics(t, func() { r.Report(8) })
	assert.Panics(t, func() { r.Handler(0) })
}
