package shutdown_test

import (
	"context"
	"errors"
	"io"
	"net/http"
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

func TestTracker(t *testing.T) {
	bubble(t, "counts each piece of work once", func(t *testing.T) {
		var tracker shutdown.Tracker
		done, ok := tracker.Add()
		require.True(t, ok)
		_, ok = tracker.Add()
		require.True(t, ok)
		require.Equal(t, 2, tracker.Len())
		done()
		done()
		assert.Equal(t, 1, tracker.Len(), "the second done counts as well")
	})
	bubble(t, "Add refuses from the first Wait on", func(t *testing.T) {
		var tracker shutdown.Tracker
		done, _ := tracker.Add()
		waited := make(chan error)
		for range 2 {
			go func() { waited <- tracker.Wait(t.Context()) }()
		}
		synctest.Wait()
		late, ok := tracker.Add()
		assert.False(t, ok)
		late()
		assert.Equal(t, 1, tracker.Len())
		done()
		require.NoError(t, <-waited)
		require.NoError(t, <-waited, "of the second Wait")
		require.NoError(t, tracker.Wait(t.Context()))
		_, ok = tracker.Add()
		assert.False(t, ok)
	})
	bubble(t, "Wait ends with its context and tells how many are left", func(t *testing.T) {
		var tracker shutdown.Tracker
		done, _ := tracker.Add()
		impatient := errors.New("impatient")
		ctx, cancel := context.WithTimeoutCause(t.Context(), sec, impatient)
		defer cancel()
		err := tracker.Wait(ctx)
		assert.EqualError(t, err, "shutdown: 1 still running: impatient")
		assert.ErrorIs(t, err, impatient)
		done()
		assert.NoError(t, tracker.Wait(ctx), "nothing is left, so the context does not matter")
	})
	bubble(t, "as a callback it keeps the stop waiting", func(t *testing.T) {
		var tracker shutdown.Tracker
		gs := newService(t)
		gs.callback("websockets", shutdown.PhaseWork, tracker.Wait)
		for i := range 3 {
			done, ok := tracker.Add()
			require.True(t, ok)
			go func() {
				<-gs.Draining()
				time.Sleep(time.Duration(i) * sec)
				done()
			}()
		}
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Equal(t, 2*sec, took)
		assert.Zero(t, tracker.Len())
	})
	bubble(t, "as a callback it times out", func(t *testing.T) {
		var tracker shutdown.Tracker
		_, _ = tracker.Add()
		gs := newService(t, shutdown.Grace(sec))
		gs.callback("websockets", shutdown.PhaseWork, tracker.Wait)
		require.ErrorIs(t, gs.stop(), shutdown.ErrTimeout)
		assert.Equal(t, shutdown.StateTimeout, row(t, gs.Report(), "websockets").State)
	})
}

// No work is in progress once Wait has returned, whoever calls Add at the same time.
func TestTrackerConcurrently(t *testing.T) {
	for range 20 {
		var tracker shutdown.Tracker
		var working atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				for {
					done, ok := tracker.Add()
					if !ok {
						return
					}
					working.Add(1)
					runtime.Gosched()
					working.Add(-1)
					done()
					done()
				}
			})
		}
		for range 3 {
			all.Go(func() {
				assert.NoError(t, tracker.Wait(t.Context()))
				assert.Zero(t, working.Load(), "work in progress after Wait")
				assert.Zero(t, tracker.Len())
			})
		}
		all.Wait()
	}
}

// net/http does not wait for hijacked connections, whether they were hijacked before the trigger
// or after it.
func TestTrackerWaitsForHijackedConnections(t *testing.T) {
	gs := newService(t, shutdown.Linger(0))
	release := gs.holdStop()
	var tracker shutdown.Tracker
	gs.callback("websockets", shutdown.PhaseWork, tracker.Wait)
	hangUp := make(chan struct{})
	addr := gs.serveFunc(func(w http.ResponseWriter, _ *http.Request) {
		done, ok := tracker.Add()
		assert.True(t, ok)
		c, _, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		go func() {
			defer done()
			defer c.Close()
			_, _ = io.WriteString(c, "hello\n")
			<-hangUp
			_, _ = io.WriteString(c, "bye\n")
		}()
	})
	gs.start()
	connect := func() *conn {
		c := dial(t, addr)
		c.send("/")
		assert.Equal(t, "hello\n", c.receiveLine())
		return c
	}
	conns := []*conn{connect()}
	gs.Shutdown(nil)
	conns = append(conns, connect())
	release()
	<-gs.Context().Done() // PhaseWork begins
	require.Equal(t, 2, tracker.Len())
	close(hangUp)
	require.NoError(t, gs.Wait())
	for _, c := range conns {
		assert.Equal(t, "bye\n", c.receiveLine())
	}
}
