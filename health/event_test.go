package health_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

func TestOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		r := newRegistry(t, health.Check{Name: "db", Probe: s.probe, Period: time.Second, Failures: 2,
			Kind: health.Live | health.Ready})
		begin := time.Now()
		var events []health.Event
		r.OnChange(func(e health.Event) {
			events = append(events, e)
			r.Report(health.Ready) // no lock is held
			r.Drain()
			r.OnChange(func(health.Event) {})
		})
		start(t, r)
		time.Sleep(time.Second / 2)
		s.down.Store(true)
		time.Sleep(2 * time.Second)
		s.down.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()

		kind := health.Live | health.Ready
		assert.Equal(t, []health.Event{
			{Check: "db", Kind: kind, From: health.Pending, To: health.Up, Time: begin},
			{Check: "", Kind: health.Ready, From: health.Up, To: health.Draining, Time: begin},
			{Check: "db", Kind: kind, From: health.Up, To: health.Down, Time: begin.Add(2 * time.Second),
				Err: errBad},
			{Check: "db", Kind: kind, From: health.Down, To: health.Up, Time: begin.Add(3 * time.Second)},
		}, events)
	})
}

func TestOnChangeBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: new(switchable).probe})
		var got health.Event
		r.OnChange(func(e health.Event) { got = e })
		r.Drain()
		synctest.Wait()
		assert.Equal(t, health.Event{Kind: health.Ready, From: health.Pending, To: health.Draining,
			Time: time.Now()}, got)
	})
}

func TestSlowOnChangeHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: flapping(), Period: time.Second, Failures: 1})
		release := make(chan struct{})
		var got []health.Event
		r.OnChange(func(e health.Event) { <-release; got = append(got, e) })
		stop := start(t, r)
		time.Sleep(100*time.Second + 1)
		assert.WithinDuration(t, time.Now(), r.Report(health.Ready).Checks[0].Last().Time, time.Second,
			"the checks go on")
		stop() // does not wait for the function
		assert.Empty(t, got)
		close(release)
		synctest.Wait()
		require.Len(t, got, 102)
		for i, e := range got[1:101] {
			assert.Equal(t, got[i].To, e.From, "in order")
		}
		assert.Equal(t, health.Draining, got[101].To)
	})
}

func TestHangingOnChangeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: flapping(), Period: time.Second, Failures: 1})
		release := make(chan struct{})
		var got []health.Event
		r.OnChange(func(e health.Event) { <-release; got = append(got, e) })
		stop := start(t, r)
		time.Sleep(5000 * time.Second)
		stop()
		close(release)
		synctest.Wait()
		require.Len(t, got, 1+1024)
		assert.Equal(t, health.Pending, got[0].From)
		assert.Equal(t, health.Draining, got[1024].To, "the newest are kept")
	})
}

func TestOnChangePanicsAndExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, health.Check{Name: "db", Probe: flapping(), Period: time.Second, Failures: 1})
		calls := 0
		r.OnChange(func(health.Event) { panic(errBad) })
		r.OnChange(func(health.Event) { panic("another") })
		r.OnChange(func(health.Event) { runtime.Goexit() })
		r.OnChange(func(health.Event) { calls++ })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second-1)
		defer cancel()
		err := r.Run(ctx)
		synctest.Wait()
		assert.Equal(t, 11, calls)
		assert.ErrorIs(t, err, errBad)
		_, ok := errors.AsType[*health.PanicError](err)
		assert.True(t, ok)
	})
}

func TestOnChangeIsLabelled(t *testing.T) {
	r := newRegistry(t)
	running, release := make(chan struct{}), make(chan struct{})
	r.OnChange(func(health.Event) { close(running); <-release })
	r.Drain()
	<-running
	labels := goroutineLabels(t)
	close(release)
	assert.Contains(t, labels, `"gracekit":"health/onchange"`)
}

func TestOnChangeNil(t *testing.T) {
	assert.PanicsWithValue(t, "health: OnChange(nil): expected a function",
		func() { newRegistry(t).OnChange(nil) })
}
