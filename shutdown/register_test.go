package shutdown_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestRegister(t *testing.T) {
	callback := func(name string, ran *[]string) shutdown.Callback {
		return shutdown.Callback{Name: name, Func: func(context.Context) error {
			*ran = append(*ran, name)
			return nil
		}}
	}
	bubble(t, "what is removed is not called and has no row", func(t *testing.T) {
		var ran []string
		gs := newService(t)
		removeA, err := gs.Register(callback("a", &ran))
		require.NoError(t, err)
		_, err = gs.Register(callback("b", &ran))
		require.NoError(t, err)
		gs.start()
		removeC, err := gs.Register(callback("c", &ran))
		require.NoError(t, err)
		assert.True(t, removeA())
		assert.False(t, removeA(), "a second time")
		assert.True(t, removeC())
		require.NoError(t, gs.stop())
		assert.Equal(t, []string{"b"}, ran)
		assert.Len(t, gs.Report().Steps, 1)
	})
	bubble(t, "remove of one of two that are equal", func(t *testing.T) {
		var ran atomic.Int32
		gs := newService(t)
		same := shutdown.Callback{Name: "same", Func: func(context.Context) error {
			ran.Add(1)
			return nil
		}}
		remove, err := gs.Register(same)
		require.NoError(t, err)
		_, err = gs.Register(same)
		require.NoError(t, err)
		gs.callbacks(same)
		assert.True(t, remove())
		assert.False(t, remove())
		require.NoError(t, gs.stop())
		assert.EqualValues(t, 2, ran.Load())
	})
	bubble(t, "after the trigger it is too late", func(t *testing.T) {
		var ran []string
		gs := newService(t, shutdown.Delay(sec))
		remove, err := gs.Register(callback("a", &ran))
		require.NoError(t, err)
		gs.start()
		gs.Shutdown(nil)
		assert.False(t, remove(), "during Delay")
		late, err := gs.Register(callback("late", &ran))
		assert.ErrorIs(t, err, shutdown.ErrShuttingDown)
		assert.False(t, late())
		require.NoError(t, gs.Wait())
		assert.False(t, remove(), "after the end")
		assert.Equal(t, []string{"a"}, ran)
	})
	bubble(t, "from within the callback", func(t *testing.T) {
		gs := newService(t)
		var remove func() bool
		remove, err := gs.Register(shutdown.Callback{Name: "c", Func: func(context.Context) error {
			assert.False(t, remove())
			return nil
		}})
		require.NoError(t, err)
		require.NoError(t, gs.stop())
	})
	t.Run("what is wrong with a callback is an error", func(t *testing.T) {
		gs := newService(t)
		remove, err := gs.Register(shutdown.Callback{Name: "c"})
		assert.EqualError(t, err, `shutdown: callback "c" has no Func`)
		assert.False(t, remove())
		assert.EqualError(t, gs.Start(t.Context()), err.Error())
	})
}

// Exactly one of the two closes the resource: the owner, whose remove was true, or the stop.
func TestRemoveAndTheTriggerRace(t *testing.T) {
	race := func(t *testing.T) {
		const n = 50
		gs := newService(t)
		var removed, called [n]atomic.Int32
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range n {
			remove, err := gs.Register(shutdown.Callback{
				Name: fmt.Sprint(i), Phase: shutdown.Phase(i%3 + 1),
				Func: func(context.Context) error { called[i].Add(1); return nil },
			})
			require.NoError(t, err)
			for range 2 { // two that remove it: one of them at most may
				all.Go(func() {
					<-begin
					if remove() {
						removed[i].Add(1)
					}
				})
			}
		}
		all.Go(func() { <-begin; gs.Shutdown(nil) })
		close(begin)
		all.Wait()
		require.NoError(t, gs.Wait())
		for i := range n {
			assert.EqualValues(t, 1, removed[i].Load()+called[i].Load(), "callback %d", i)
		}
	}
	for range 20 {
		race(t)
	}
}

// What comes and goes leaves nothing behind: the report has the rows of those that are left.
func TestRegisteredAndRemovedManyTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		gs.start()
		for i := range 10_000 {
			remove, err := gs.Register(shutdown.Callback{Name: fmt.Sprint(i), Func: returns(nil)})
			require.NoError(t, err)
			if i%1000 != 0 {
				require.True(t, remove())
			}
		}
		require.NoError(t, gs.stop())
		assert.Len(t, gs.Report().Steps, 10)
	})
}
