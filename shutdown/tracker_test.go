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

// All streams are told to leave, evenly over the window.
func TestStreamsLeaveOneByOne(t *testing.T) {
	tests := []struct {
		name    string
		streams int
		over    time.Duration
		timeout time.Duration // of Wait's context; 0: none
		goAt    time.Duration // when every second one goes by itself; 0: never
		last    time.Duration // when the last one is told
	}{
		{name: "none", over: 10 * sec},
		{name: "one", streams: 1, over: 10 * sec},
		{name: "without a window", streams: 1000},
		{name: "a negative window", streams: 10, over: -sec},
		{name: "many", streams: 1001, over: 10 * sec, last: 10 * sec},
		{name: "with time to spare", streams: 1001, over: 10 * sec, timeout: 20 * sec, last: 10 * sec},
		{name: "with little time", streams: 1001, over: 10 * sec, timeout: 5 * sec, last: 4 * sec},
		{name: "half go by themselves", streams: 1001, over: 10 * sec, goAt: 100 * ms, last: 10 * sec},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			tracker := shutdown.Tracker{Over: tt.over}
			ctx, begun := t.Context(), time.Now()
			if tt.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.timeout)
				defer cancel()
			}
			var mu sync.Mutex
			var told []time.Duration
			for i := range tt.streams {
				leave, done, ok := tracker.Stream()
				require.True(t, ok)
				var goes <-chan time.Time
				if tt.goAt > 0 && i%2 == 0 {
					goes = time.After(tt.goAt)
				}
				go func() {
					defer done()
					select {
					case <-leave:
						mu.Lock()
						defer mu.Unlock()
						told = append(told, time.Since(begun))
					case <-goes:
					}
				}()
			}
			require.NoError(t, tracker.Wait(ctx))
			assert.InDelta(t, tt.last, time.Since(begun), float64(10*ms))
			shares := make([]int, 10)
			for _, at := range told {
				shares[min(9, int(10*at/(tt.last+1)))]++
			}
			if tt.last == 0 {
				assert.Len(t, told, tt.streams)
			} else {
				for _, n := range shares {
					assert.InDelta(t, len(told)/10, n, float64(len(told)/10)/5, "%v", shares)
				}
			}
		})
	}
}

// Streams and other work are one count, and those that are left are told when Wait gives up.
func TestStreamsAreToldWhenTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := shutdown.Tracker{Over: 10 * sec}
		_, ok := tracker.Add()
		require.True(t, ok)
		var leaves []<-chan struct{}
		for range 4 {
			leave, _, ok := tracker.Stream()
			require.True(t, ok)
			leaves = append(leaves, leave)
		}
		assert.Equal(t, 5, tracker.Len())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(sec, cancel)
		require.EqualError(t, tracker.Wait(ctx), "shutdown: 5 still running: context canceled")
		for _, leave := range leaves {
			<-leave
		}
		leave, done, ok := tracker.Stream()
		assert.False(t, ok, "after Wait")
		<-leave
		done()
		assert.Equal(t, 5, tracker.Len())
	})
}

// A stream may go before it is told, and nothing happens then when its turn would come.
func TestStreamMayGoBeforeItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := shutdown.Tracker{Over: 10 * sec}
		leave, done, _ := tracker.Stream()
		done()
		done()
		assert.Zero(t, tracker.Len())
		require.NoError(t, tracker.Wait(t.Context()))
		select {
		case <-leave:
			assert.Fail(t, "it was told")
		default:
		}
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
