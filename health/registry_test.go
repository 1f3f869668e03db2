package health_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

// A balancer learns at once that the service is about to stop, even from a check that would keep it
// waiting.
func TestDrainingIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		loop := new(switchable)
		live := health.Check{Name: "loop", Kind: health.Live, Probe: loop.probe,
			Period: health.OnDemand, Failures: 1}
		r := newRegistry(t, live, health.Check{Name: "db", Period: health.OnDemand,
			Timeout: time.Minute, Probe: func(ctx context.Context) error {
				if runs.Add(1) > 1 {
					select {
					case <-time.After(30 * time.Second):
					case <-ctx.Done():
					}
				}
				return nil
			}})
		shutdown := make(chan struct{})
		r.DrainOn(shutdown)
		start(t, r)
		<-r.Ready()
		h := r.Handler(health.Ready)

		waiting := make(chan *httptest.ResponseRecorder)
		go func() { waiting <- get(h, "/readyz") }()
		time.Sleep(time.Second) // it waits for the run
		begin := time.Now()
		close(shutdown)
		assert.Equal(t, 503, get(h, "/readyz").Code)
		w := <-waiting
		assert.Equal(t, 503, w.Code)
		assert.Contains(t, w.Body.String(), "ready: draining")
		assert.Equal(t, 503, get(h, "/readyz").Code, "after draining has begun")
		assert.Zero(t, time.Since(begin))
		assert.EqualValues(t, 2, runs.Load(), "no further run for an answer that is known")

		assert.Equal(t, 200, get(h, "/readyz/db").Code, "a single check still answers by its own state")
		assert.Equal(t, 29*time.Second, time.Since(begin), "when the run has ended")
		assert.Equal(t, 503, get(h, "/readyz").Code)
		synctest.Wait()
		assert.EqualValues(t, 2, runs.Load(), "nor one in the background")

		loop.down.Store(true)
		assert.Equal(t, 503, get(r.Handler(health.Live), "/readyz").Code,
			"what a Live endpoint says is looked up all the same")
	})
}

// Everything at once, for the race detector; and Run ends all the same.
func TestEverythingAtOnce(t *testing.T) {
	s := new(switchable)
	r := newRegistry(t,
		health.Check{Name: "a", Probe: s.probe, Period: time.Millisecond,
			Kind: health.Live | health.Ready, Failures: 1},
		health.Check{Name: "b", Probe: s.probe, Period: health.OnDemand, Failures: 1},
		health.Check{Name: "c", Probe: s.probe, Kind: health.Startup},
		health.Check{Name: "d", Probe: func(context.Context) error { panic("d") },
			Period: time.Millisecond, Optional: true},
	)
	r.OnChange(func(health.Event) { r.Report(health.Ready) })
	stop := start(t, r)
	shutdown := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 30 {
				s.down.Store((i+n)%2 == 0)
				get(r.Handler(health.Ready, health.Details()), "/readyz?verbose&exclude=a", "application/json")
				get(r.Handler(health.Live|health.Ready), "/readyz", "text/html")
				if n == 15 {
					r.DrainOn(shutdown)
					r.OnChange(func(health.Event) {})
				}
				if i == 0 && n == 20 {
					close(shutdown)
				}
			}
		})
	}
	wg.Wait()
	stop()
	assert.Equal(t, health.Draining, state(r))
	assert.False(t, r.Report(health.Live).Checks[0].Since.IsZero())
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
		time.Sleep(10 * time.Millisecond)
		assert.Equal(t, health.Down, state(r))
		assert.Equal(t, health.Pending, r.Report(health.Live).State)
		assert.Equal(t, health.Down, r.Report(health.Live|health.Ready).State)
		assert.Len(t, r.Report(health.Live|health.Ready).Checks, 3)
		r.Drain()
		assert.Equal(t, health.Draining, state(r))
		assert.Equal(t, health.Pending, r.Report(health.Live).State)
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
		assert.PanicsWithValue(t, "health: DrainOn(nil): expected a channel",
			func() { newRegistry(t).DrainOn(nil) })
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

// A check that the end of Run cuts short proves nothing; but nobody looks any more, so the service
// is not ready.
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
		r := newRegistry(t, health.Check{Name: "db",
			Probe: func(context.Context) error { time.Sleep(time.Hour); return nil }})
		stop := start(t, r)
		time.Sleep(time.Minute)
		begin := time.Now()
		stop()
		assert.Less(t, time.Since(begin), 100*time.Millisecond)
		time.Sleep(time.Hour)
	})
}

func TestAddWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "a", Probe: new(switchable).probe})
		h := r.Handler(health.Ready)
		start(t, r)
		time.Sleep(time.Minute)
		slow := func(context.Context) error { time.Sleep(time.Second / 2); return nil }
		require.NoError(t, r.Add(health.Check{Name: "b", Probe: slow, Grace: time.Minute,
			Kind: health.Live | health.Ready}))
		assert.Equal(t, 503, get(h, "/readyz").Code, "nothing is known of it")
		assert.True(t, r.Report(health.Live).OK(), "its Grace begins now")
		time.Sleep(time.Second)
		assert.Equal(t, 200, get(h, "/readyz").Code)
		assert.Equal(t, 200, get(h, "/readyz/b").Code)

		onDemand := new(switchable)
		require.NoError(t, r.Add(health.Check{Name: "c", Probe: onDemand.probe, Period: health.OnDemand,
			Failures: 1}))
		time.Sleep(time.Second)
		onDemand.down.Store(true)
		assert.Equal(t, 503, get(h, "/readyz").Code, "a Handler made before runs it, too")
	})
}

func TestAddBeforeRunIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t)
		require.True(t, closed(r.Ready()))
		optional := health.Check{Name: "a", Probe: new(switchable).probe, Optional: true}
		require.NoError(t, r.Add(optional))
		assert.True(t, closed(r.Ready()))
		require.NoError(t, r.Add(health.Check{Name: "b", Probe: upAfter(time.Second)}))
		assert.False(t, closed(r.Ready()))
		begin := time.Now()
		start(t, r)
		<-r.Ready()
		assert.GreaterOrEqual(t, time.Since(begin), time.Second)
	})
}

func TestAddRefuses(t *testing.T) {
	ok := new(switchable).probe
	r := newRegistry(t, health.Check{Name: "a", Probe: ok})
	assert.ErrorIs(t, r.Add(health.Check{Name: "a", Probe: ok}), health.ErrDuplicate)
	assert.ErrorIs(t, r.Add(health.Check{Name: "a/b", Probe: ok}), health.ErrInvalidName)
	assert.EqualError(t, r.Add(health.Check{Name: "b"}), `health: check "b": Probe is nil`)
	assert.Len(t, r.Report(health.Ready).Checks, 1)
	start(t, r)()
	assert.EqualError(t, r.Add(health.Check{Name: "b", Probe: ok}), `health: Add("b"): Run has ended`)
}

func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, events := new(switchable), 0
		s.down.Store(true)
		r := newRegistry(t,
			health.Check{Name: "gone", Probe: s.probe, Failures: 1},
			health.Check{Name: "stays", Probe: new(switchable).probe},
		)
		assert.False(t, r.Remove("other"))
		r.OnChange(func(health.Event) { events++ })
		start(t, r)
		time.Sleep(time.Minute)
		require.Equal(t, health.Down, state(r))
		synctest.Wait()
		require.Equal(t, 2, events)

		assert.True(t, r.Remove("gone"))
		assert.False(t, r.Remove("gone"))
		assert.Equal(t, health.Up, state(r))
		assert.True(t, closed(r.Ready()), "the last that was missing")
		assert.Equal(t, 404, get(r.Handler(health.Ready), "/readyz/gone").Code)
		runs := s.calls.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, runs, s.calls.Load(), "it does not run any more")
		synctest.Wait()
		assert.Equal(t, 2, events)
		assert.NoError(t, r.Add(health.Check{Name: "gone", Probe: s.probe}), "the name is free")
	})
}

// A check that is removed while it runs is over: its context ends, its result is dropped, and
// nobody waits for it.
func TestRemoveDuringARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs, ended := 0, 0
		r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand, Timeout: time.Hour,
			Probe: func(ctx context.Context) error {
				if runs++; runs > 1 {
					<-ctx.Done()
					ended++
				}
				return nil
			}})
		r.OnChange(func(e health.Event) { assert.NotEqual(t, health.Down, e.To) })
		start(t, r)
		<-r.Ready()
		begin := time.Now()
		time.AfterFunc(time.Second, func() { r.Remove("db") })
		assert.Equal(t, 200, get(r.Handler(health.Ready), "/readyz").Code)
		assert.Equal(t, time.Second, time.Since(begin))
		synctest.Wait()
		assert.Equal(t, 1, ended)
	})
}

func TestAddAndRemoveAtOnce(t *testing.T) {
	r := newRegistry(t)
	h := r.Handler(health.Ready)
	stop := start(t, r)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 50 {
				name := fmt.Sprint(i, "-", n%3)
				_ = r.Add(health.Check{Name: name, Probe: new(switchable).probe, Period: time.Millisecond})
				get(h, "/readyz/"+name, browserAccept)
				r.Report(health.Ready)
				r.Remove(name)
			}
		})
	}
	wg.Wait()
	assert.Empty(t, r.Report(health.Ready).Checks)
	go stop()
	for r.Add(health.Check{Name: "late", Probe: new(switchable).probe}) == nil {
		r.Remove("late")
	}
	stop()
}
