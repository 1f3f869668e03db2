package health_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

// Over real connections too, all requests that arrive during a run share it. The run ends when all
// of them wait for it.
func TestConnectionsShareOneRun(t *testing.T) {
	const requests = 200
	var runs atomic.Int32
	allWait := make(chan struct{})
	r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand, Timeout: time.Minute,
		Probe: func(ctx context.Context) error {
			if runs.Add(1) > 1 { // the first is not on demand
				select {
				case <-allWait:
				case <-ctx.Done():
				}
			}
			return ctx.Err()
		}})
	start(t, r)
	<-r.Ready()

	var waiting atomic.Int32
	waits := func() {
		if waiting.Add(1) == requests {
			close(allWait)
		}
	}
	h := r.Handler(health.Ready)
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h.ServeHTTP(w, req.WithContext(watchedContext{req.Context(), waits}))
	}))
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			resp, err := srv.Client().Get(srv.URL + "/readyz")
			if assert.NoError(t, err) {
				resp.Body.Close()
				assert.Equal(t, 200, resp.StatusCode)
			}
		})
	}
	wg.Wait()
	srv.Client().CloseIdleConnections()
	assert.EqualValues(t, 2, runs.Load())
}

// One check does not wait for another, and a request not for those nobody asked for.
func TestChecksRunSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context) error { time.Sleep(200 * time.Millisecond); return nil }
		var checks []health.Check
		for i := range 5 {
			checks = append(checks, health.Check{Name: fmt.Sprint("slow-", i), Probe: slow,
				Period: health.OnDemand})
		}
		checks = append(checks, health.Check{Name: "hangs", Kind: health.Live, Period: health.OnDemand,
			Timeout: time.Hour,
			Probe:   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		r := newRegistry(t, checks...)
		start(t, r)
		<-r.Ready()
		h := r.Handler(health.Ready)
		begin := time.Now()
		assert.Equal(t, 200, get(h, "/readyz").Code)
		assert.Equal(t, 200*time.Millisecond, time.Since(begin))
		assert.Equal(t, 200, get(h, "/readyz?exclude=slow-0,slow-1,slow-2,slow-3,slow-4").Code)
		assert.Equal(t, 200*time.Millisecond, time.Since(begin))
	})
}

// DESIGN: pending serves as 503; Grace forgives failures that soon after Run began.
func TestGraceAtTheEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		s.down.Store(true)
		all := health.Live | health.Ready | health.Startup
		r := newRegistry(t,
			health.Check{Name: "slow", Probe: s.probe, Kind: all, Period: time.Second, Grace: time.Minute,
				Failures: 1},
			health.Check{Name: "strict", Probe: s.probe, Kind: health.Live, Period: time.Minute,
				Failures: 2},
		)
		code := func(kind health.Kind, target string) int { return get(r.Handler(kind), target).Code }
		assert.Equal(t, 503, code(health.Live, "/readyz?exclude=strict"), "before Run")
		start(t, r)
		time.Sleep(30 * time.Second)
		assert.Equal(t, 503, code(health.Live, "/readyz"), "pending without Grace")
		assert.Equal(t, 200, code(health.Live, "/readyz?exclude=strict"),
			"pending in its Grace: no reason for a restart")
		assert.Equal(t, 503, code(health.Live, "/readyz/slow"), "but by itself it is pending")
		assert.Equal(t, 503, code(health.Ready, "/readyz"))
		assert.Equal(t, 503, code(health.Startup, "/readyz"))

		s.down.Store(false)
		// it is retried after a tenth of the time since Run began, at most a Period
		time.Sleep(3 * time.Second)
		assert.Equal(t, 200, code(health.Ready, "/readyz"))
		s.down.Store(true)
		time.Sleep(20 * time.Second)
		assert.Equal(t, 200, code(health.Ready, "/readyz"),
			"failures in the Grace do not count after it was up either")
		time.Sleep(10 * time.Second)
		assert.Equal(t, 503, code(health.Ready, "/readyz"))
		assert.Equal(t, 503, code(health.Live, "/readyz?exclude=strict"))
	})
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
					Name: "db", Probe: s.probe, Period: time.Minute, Failures: tt.failures,
					Successes: tt.successes,
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
		r := newRegistry(t, health.Check{Name: "flaky", Period: time.Second,
			Probe: func(context.Context) error {
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
		r := newRegistry(t, health.Check{Name: "slow", Timeout: time.Minute,
			Probe: func(ctx context.Context) error {
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

// A service whose database comes up after 400ms must not be called unready for the rest of the
// Period.
func TestComesUpWithinATenth(t *testing.T) {
	for _, startup := range []time.Duration{0, 30 * time.Millisecond, 400 * time.Millisecond,
		time.Minute} {
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
			Name: "slow-start", Probe: s.probe, Kind: health.Live | health.Ready, Period: time.Second,
			Grace: time.Minute, Failures: 1,
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

// A probe that never returns is not started again, and yet turns down.
func TestProbeThatHangsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		hang := make(chan struct{})
		r := newRegistry(t, health.Check{Name: "nfs", Period: 10 * time.Second,
			Probe: func(context.Context) error {
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
		r := newRegistry(t, health.Check{Name: "db", Failures: 1, Timeout: 3 * time.Second,
			Probe: func(ctx context.Context) error {
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
			health.Check{Name: "exits", Failures: 1,
				Probe: func(context.Context) error { runtime.Goexit(); return nil }},
		)
		start(t, r)
		time.Sleep(10 * time.Millisecond)
		report := r.Report(health.Ready)
		assert.Equal(t, health.Down, report.Checks[0].State)
		_, ok := errors.AsType[*health.PanicError](report.Checks[0].Last().Err)
		assert.True(t, ok)
		assert.ErrorIs(t, report.Checks[0].Last().Err, errBad)
		assert.Equal(t, health.Down, report.Checks[1].State)
		assert.ErrorContains(t, report.Checks[1].Last().Err, "runtime.Goexit")
	})
}

// A probe that calls runtime.Goexit takes the goroutine of its check with it.
func TestCheckGoesOnAfterGoexit(t *testing.T) {
	for name, period := range map[string]time.Duration{
		"in the background": time.Second, "on demand": health.OnDemand,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				r := newRegistry(t, health.Check{Name: "db", Period: period,
					Probe: func(context.Context) error {
						if calls.Add(1)%2 == 1 {
							runtime.Goexit()
						}
						return nil
					}})
				start(t, r)
				<-r.Ready()
				for calls.Load() < 10 {
					get(r.Handler(health.Ready), "/readyz")
					time.Sleep(time.Second)
				}
				assert.Equal(t, health.Up, state(r), "one failure of two is none of three in a row")
			})
		})
	}
}

// errCircle wraps itself, twice: the functions of package errors do not return from it.
type errCircle struct{}

func (*errCircle) Error() string     { return "circle" }
func (e *errCircle) Unwrap() []error { return []error{e, e} }

func TestErrorThatWrapsItself(t *testing.T) {
	probe := func(context.Context) error { return &errCircle{} }
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: probe, Failures: 1})
		start(t, r)
		time.Sleep(10 * time.Millisecond)
		report := r.Report(health.Ready)
		assert.Equal(t, health.Down, report.Checks[0].State)
		assert.EqualError(t, report.Checks[0].Last().Err, "circle")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.Contains(t, health.Wait(ctx, probe).Error(), "last failure: circle")
	})
}

func TestStartupPassesForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		migrations, cache := new(switchable), new(switchable)
		migrations.down.Store(true)
		r := newRegistry(t,
			health.Check{Name: "migrations", Probe: migrations.probe, Kind: health.Startup},
			health.Check{Name: "cache", Probe: cache.probe, Kind: health.Startup | health.Ready,
				Failures: 1},
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

func TestOnDemandRunsWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Probe: s.probe, Period: health.OnDemand,
			Failures: 1},
			health.Check{Name: "other", Probe: new(switchable).probe})
		start(t, r)
		<-r.Ready()
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, s.calls.Load(), "not without a request")

		h := r.Handler(health.Ready)
		s.down.Store(true)
		assert.Equal(t, 503, get(h, "/readyz").Code)
		s.down.Store(false)
		assert.Equal(t, 200, get(h, "/readyz/db").Code)
		require.EqualValues(t, 3, s.calls.Load())

		get(h, "/readyz?exclude=db")
		get(h, "/readyz/other")
		r.Report(health.Ready)
		assert.EqualValues(t, 3, s.calls.Load(), "not when nobody wants to know")
	})
}

func TestOnDemandComesUpByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: upAfter(time.Second),
			Period: health.OnDemand})
		begin := time.Now()
		start(t, r)
		<-r.Ready()
		assert.LessOrEqual(t, time.Since(begin), 1100*time.Millisecond)
	})
}

func TestOnDemandStartupCheckIsDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Probe: s.probe, Period: health.OnDemand,
			Kind: health.Startup})
		start(t, r)
		synctest.Wait()
		for range 3 {
			assert.Equal(t, 200, get(r.Handler(health.Startup), "/readyz").Code)
		}
		assert.EqualValues(t, 1, s.calls.Load())
	})
}

func TestConcurrentRequestsShareOneRun(t *testing.T) {
	for _, demandedFirst := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int32
			r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand,
				Probe: func(context.Context) error {
					calls.Add(1)
					time.Sleep(200 * time.Millisecond)
					return nil
				}})
			start(t, r)
			synctest.Wait()
			runs := int32(1) // a run may be under way already
			if demandedFirst {
				<-r.Ready()
				time.Sleep(time.Second)
				runs = 2
			}
			h := r.Handler(health.Ready)
			begin := time.Now()
			var wg sync.WaitGroup
			for i := range 1000 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 100 * time.Microsecond)
					assert.Equal(t, 200, get(h, "/readyz").Code)
				})
			}
			wg.Wait()
			assert.Equal(t, 200*time.Millisecond, time.Since(begin))
			time.Sleep(time.Minute)
			assert.Equal(t, runs, calls.Load())
		})
	}
}

// A client that hangs up is answered at once, and neither cancels the check nor makes it fail.
func TestClientThatHangsUpProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand, Failures: 1,
			Probe: func(ctx context.Context) error {
				time.Sleep(200 * time.Millisecond)
				if err := ctx.Err(); err != nil {
					return err
				}
				return s.probe(ctx)
			}})
		start(t, r)
		<-r.Ready()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begin := time.Now()
		w := httptest.NewRecorder()
		r.Handler(health.Ready).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil))
		assert.Equal(t, 50*time.Millisecond, time.Since(begin))
		assert.Equal(t, 503, w.Code, "never a 200 for what was not seen")
		time.Sleep(time.Second)
		report := r.Report(health.Ready)
		assert.True(t, report.OK())
		assert.NoError(t, report.Checks[0].Last().Err)
		assert.EqualValues(t, 2, s.calls.Load())
	})
}

func TestOnDemandHangingProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		hang := make(chan struct{})
		r := newRegistry(t, health.Check{Name: "nfs", Period: health.OnDemand,
			Probe: func(context.Context) error {
				if calls.Add(1) == 2 {
					<-hang
				}
				return nil
			}})
		start(t, r)
		<-r.Ready()
		h := r.Handler(health.Ready)
		for i, want := range []int{200, 200, 503, 503} {
			assert.Equal(t, want, get(h, "/readyz").Code, "request %d", i)
		}
		assert.EqualValues(t, 2, calls.Load())
		close(hang)
		synctest.Wait()
		assert.Equal(t, 200, get(h, "/readyz").Code)
	})
}

func TestOnDemandAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand,
			Probe: new(switchable).probe, Kind: health.Live})
		stop := start(t, r)
		synctest.Wait()
		stop()
		assert.Equal(t, 200, get(r.Handler(health.Live), "/readyz").Code)
	})
}

// Whatever the methods of an error do, the check goes down and every view of it can be had.
func TestCheckSurvivesTheMethodsOfAnError(t *testing.T) {
	forHostileErrors(t, func(t *testing.T, hostile error) {
		r := newRegistry(t,
			health.Check{Name: "hostile", Probe: func(context.Context) error { return hostile },
				Failures: 1},
			health.Check{Name: "late", Failures: 1,
				Probe: func(ctx context.Context) error { <-ctx.Done(); return hostile }},
		)
		stop := start(t, r)
		time.Sleep(3 * time.Second)
		begin := time.Now()
		for _, accept := range []string{"text/plain", "application/json", "text/html"} {
			w := get(r.Handler(health.Ready, health.Details()), "/readyz", accept)
			assert.Equal(t, 503, w.Code)
			for _, name := range []string{"hostile", "late"} {
				assert.Contains(t, w.Body.String(), name)
			}
		}
		for _, check := range r.Report(health.Ready).Checks {
			assert.Equal(t, health.Down, check.State, check.Name)
		}
		stop()
		assert.LessOrEqual(t, time.Since(begin), 50*time.Millisecond)
	})
}

// What hangs is no short run: it is shown as running, its time grows, and it has one result.
func TestProbeThatHangsIsShownAsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		runs := 0
		r := newRegistry(t, health.Check{Name: "nfs", Failures: 9, Probe: func(context.Context) error {
			if runs++; runs == 2 {
				<-release
			}
			return nil
		}})
		begin := time.Now()
		start(t, r)
		time.Sleep(10*time.Second + 500*time.Millisecond)
		check := func() health.CheckReport { return r.Report(health.Ready).Checks[0] }
		assert.Equal(t, begin.Add(10*time.Second), check().Running)
		assert.Len(t, check().History, 1, "its time is not up")

		time.Sleep(24*time.Second + 500*time.Millisecond)
		c := check()
		assert.Equal(t, begin.Add(10*time.Second), c.Running)
		require.Len(t, c.History, 2)
		assert.Equal(t, c.Running, c.Last().Time)
		assert.Equal(t, 25*time.Second, c.Last().Duration, "as long as it has been running")
		assert.ErrorIs(t, c.Last().Err, health.ErrTimeout)
		h := r.Handler(health.Ready)
		assert.Contains(t, get(h, "/readyz", browserAccept).Body.String(), ">running for 25s<")
		json := get(h, "/readyz", "application/json").Body.String()
		assert.Contains(t, json, `"runningSince":"2000-01-01T00:00:10Z"`)
		assert.Contains(t, json, `"lastDurationMs":25000`)

		close(release)
		synctest.Wait()
		assert.Zero(t, check().Running)
		assert.Equal(t, 25*time.Second, check().Last().Duration)
		time.Sleep(time.Minute)
		assert.NoError(t, check().Last().Err)
		assert.NotContains(t, get(h, "/readyz", "application/json").Body.String(), "runningSince")
	})
}

func TestFirstRunIsShownAsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r := newRegistry(t, health.Check{Name: "db", Probe: hang, Timeout: time.Hour})
		assert.Contains(t, get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String(),
			">not run yet<")
		start(t, r)
		time.Sleep(25 * time.Second)
		assert.Contains(t, get(r.Handler(health.Ready), "/readyz", browserAccept).Body.String(),
			">running for 25s<")
		assert.Zero(t, r.Report(health.Ready).Checks[0].Last(), "there is no result yet")
	})
}

// A check never overlaps itself; two checks that share a probe know nothing of each other.
func TestProbeOfTwoChecksMayRunTwiceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		probe := func(context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(25 * time.Second) // it ignores its context
			return nil
		}
		r := newRegistry(t, health.Check{Name: "a", Probe: probe}, health.Check{Name: "b", Probe: probe})
		stop := start(t, r)
		time.Sleep(time.Hour)
		assert.EqualValues(t, 2, most.Load())
		stop()
		time.Sleep(time.Minute)
	})
}

func TestChecksDoNotStartAtTheSameMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		starts := map[time.Duration]int{}
		begin := time.Now()
		r := newRegistry(t)
		for i := range 1500 {
			first := true
			require.NoError(t, r.Add(health.Check{Name: fmt.Sprint(i), Probe: func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				if first {
					starts[time.Since(begin)]++
				}
				first = false
				return nil
			}}))
		}
		start(t, r)
		<-r.Ready()
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, time.Second, time.Since(begin), "not later than after a tenth of the Period")
		assert.Len(t, starts, 1001)
	})
}

// Checks that begin at about the same moment do not go on in step, however many there are.
func TestChecksAreSpreadOverTheirPeriod(t *testing.T) {
	for _, n := range []int{2, 10, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const period = 10 * time.Second
				var mu sync.Mutex
				var began []time.Time
				probe := func(context.Context) error {
					mu.Lock()
					defer mu.Unlock()
					began = append(began, time.Now())
					return nil
				}
				r := newRegistry(t)
				for i := range n {
					require.NoError(t, r.Add(health.Check{Name: fmt.Sprint(i), Probe: probe, Period: period}))
				}
				stop := start(t, r)
				time.Sleep(time.Minute + 1)
				begin := time.Now()
				stop()
				gaps, previous := time.Duration(0), begin.Add(-period)
				for _, at := range began {
					if at.Before(previous) {
						continue
					}
					gaps = max(gaps, at.Sub(previous))
					previous = at
				}
				assert.LessOrEqual(t, gaps, 3*period/time.Duration(n+1),
					"the longest time in which nothing runs")
			})
		})
	}
}
