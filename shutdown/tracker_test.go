package shutdown_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tracker shutdown.Tracker
		gs := shutdown.New()
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "websockets", Phase: shutdown.PhaseWork, Func: tracker.Wait}))
		for i := range 3 {
			done, ok := tracker.Add()
			require.True(t, ok)
			go func() {
				<-gs.Draining()
				time.Sleep(time.Duration(i) * time.Second)
				done()
				done()
			}()
		}
		require.Equal(t, 3, tracker.Len())
		begin := time.Now()
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		assert.Equal(t, 2*time.Second, time.Since(begin))
		assert.Zero(t, tracker.Len())

		done, ok := tracker.Add()
		assert.False(t, ok, "work was begun after the wait")
		done()
		assert.Zero(t, tracker.Len())
	})
}

func TestTrackerTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tracker shutdown.Tracker
		done, _ := tracker.Add()
		why := errors.New("impatient")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		err := tracker.Wait(ctx)
		assert.EqualError(t, err, "shutdown: 1 still running: impatient")
		assert.ErrorIs(t, err, why)
		done()
		assert.NoError(t, tracker.Wait(ctx), "nothing is left, whatever the context says")
	})
}

func TestTrackerConcurrently(t *testing.T) {
	var tracker shutdown.Tracker
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for {
				done, ok := tracker.Add()
				if !ok {
					return
				}
				done()
			}
		})
	}
	assert.NoError(t, tracker.Wait(t.Context()))
	assert.Zero(t, tracker.Len())
	wg.Wait()
}
