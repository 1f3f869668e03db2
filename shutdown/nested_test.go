package shutdown_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// A family is a service whose component is another service, whose component is another one. In
// the innermost one something hangs.
type family struct {
	outer, middle, inner service
	flushed              map[string]time.Time
}

func newFamily(t *testing.T, outerOptions ...shutdown.Option) *family {
	t.Helper()
	f := &family{
		outer:   newService(t, append([]shutdown.Option{shutdown.Grace(10 * sec)}, outerOptions...)...),
		middle:  newService(t, shutdown.Grace(30*sec)),
		inner:   newService(t, shutdown.Grace(time.Minute), shutdown.Tail(10*sec)),
		flushed: make(map[string]time.Time),
	}
	f.outer.component("middle", f.middle.Run)
	f.middle.component("inner", f.inner.Run)
	f.inner.callback("hangs", shutdown.PhaseWork, hanging(t))
	f.inner.callback("hangs too", shutdown.PhaseStore, hanging(t))
	for name, gs := range map[string]service{"outer": f.outer, "middle": f.middle, "inner": f.inner} {
		gs.callback("flush", shutdown.PhaseFlush, func(context.Context) error {
			f.flushed[name] = time.Now()
			return nil
		})
	}
	f.outer.start()
	synctest.Wait()
	return f
}

// assertFlushedInOrder says that each has flushed before the one around it was done with it.
func (f *family) assertFlushedInOrder(t *testing.T) {
	t.Helper()
	require.Len(t, f.flushed, 3, "outer: %s\nmiddle: %s\ninner: %s",
		f.outer.Report(), f.middle.Report(), f.inner.Report())
	assert.False(t, f.flushed["inner"].After(f.flushed["middle"]), "the inner one is late")
	assert.False(t, f.flushed["middle"].After(f.flushed["outer"]), "the middle one is late")
	for name, gs := range map[string]service{"middle": f.outer, "inner": f.middle} {
		assert.NotEqual(t, shutdown.StateTimeout, row(t, gs.Report(), name).State,
			"%s was abandoned by the one around it", name)
	}
}

func TestNestedServicesEndWithinTheOneAround(t *testing.T) {
	bubble(t, "with something that hangs", func(t *testing.T) {
		f := newFamily(t)
		took, err := f.outer.timedStop()
		require.ErrorIs(t, err, shutdown.ErrTimeout, "what the inner one returns comes out")
		assert.ErrorContains(t, err, "hangs")
		assert.LessOrEqual(t, took, 10*sec)
		f.assertFlushedInOrder(t)
	})
	bubble(t, "the reason is that of the one around", func(t *testing.T) {
		f := newFamily(t)
		f.outer.Shutdown(errTest)
		_ = f.outer.Wait()
		for _, gs := range []service{f.outer, f.middle, f.inner} {
			assert.ErrorIs(t, gs.Report().Reason, errTest)
		}
	})
	bubble(t, "after Delay of the one around", func(t *testing.T) {
		f := newFamily(t, shutdown.Delay(6*sec))
		took, _ := f.outer.timedStop()
		assert.LessOrEqual(t, took, 10*sec)
		f.assertFlushedInOrder(t)
	})
	bubble(t, "when the outermost has a deadline", func(t *testing.T) {
		f := newFamily(t)
		begin := time.Now()
		f.outer.Shutdown(shutdown.Before(begin.Add(4*sec), errTest))
		_ = f.outer.Wait()
		assert.LessOrEqual(t, time.Since(begin), 4*sec)
		f.assertFlushedInOrder(t)
	})
	bubble(t, "when the outermost is hurried during Delay", func(t *testing.T) {
		f := newFamily(t, shutdown.Delay(6*sec), shutdown.Tail(4*sec))
		f.outer.Shutdown(nil)
		time.Sleep(2 * sec)
		begin := time.Now()
		require.True(t, f.outer.Hurry())
		_ = f.outer.Wait()
		assert.LessOrEqual(t, time.Since(begin), 4*sec+notice)
		f.assertFlushedInOrder(t)
	})
	bubble(t, "one that stops by itself keeps its own time", func(t *testing.T) {
		outer, inner := newService(t, shutdown.Grace(5*sec)), newService(t, shutdown.Grace(30*sec))
		outer.component("inner", inner.Run)
		inner.callback("long", shutdown.PhaseWork, sleep(20*sec))
		outer.start()
		synctest.Wait()
		took, err := inner.timedStop()
		require.NoError(t, err)
		assert.Equal(t, 20*sec, took)
		assert.False(t, outer.isDraining(), "a component that returns nil is finished")
		require.NoError(t, outer.stop())
	})
	bubble(t, "one in the midst of its own stop is tightened", func(t *testing.T) {
		outer, inner := newService(t, shutdown.Grace(5*sec)), newService(t, shutdown.Grace(time.Hour))
		outer.component("inner", inner.Run)
		inner.callback("hangs", shutdown.PhaseWork, hanging(t))
		flushed := inner.flushing()
		outer.start()
		synctest.Wait()
		inner.Shutdown(nil)
		time.Sleep(time.Minute)
		took, _ := outer.timedStop()
		assert.LessOrEqual(t, took, 5*sec)
		assert.True(t, flushed.Load(), "the inner one has not flushed when the outer one ends")
	})
	bubble(t, "with a context derived from the outer one's", func(t *testing.T) {
		type key struct{}
		outer, inner := newService(t, shutdown.Grace(5*sec)), newService(t, shutdown.Grace(time.Hour))
		outer.component("inner", func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, 1))
			defer cancel()
			return inner.Run(ctx)
		})
		inner.callback("hangs", shutdown.PhaseWork, hanging(t))
		flushed := inner.flushing()
		outer.start()
		synctest.Wait()
		_, _ = outer.timedStop()
		assert.True(t, flushed.Load())
		assert.NotEqual(t, shutdown.StateTimeout, row(t, outer.Report(), "inner").State)
	})
}

// A quick nested service does not take longer because it is nested.
func TestNestedServiceThatIsQuickTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := newService(t), newService(t)
		outer.component("inner", inner.Run)
		outer.start()
		synctest.Wait()
		took, err := outer.timedStop()
		require.NoError(t, err)
		assert.Zero(t, took)
	})
}

// A nested service is told of an end that comes nearer while both of them stop.
func TestNestedServicesFollowTheEndOfTheOneAround(t *testing.T) {
	bubble(t, "when a deadline comes, and another one had ended by itself", func(t *testing.T) {
		outer, inner, other := newService(t, shutdown.Grace(10*sec)), newService(t), newService(t)
		outer.component("inner", inner.Run)
		outer.component("other", other.Run)
		inner.callback("hangs", shutdown.PhaseWork, hanging(t))
		flushed := inner.flushing()
		outer.start()
		synctest.Wait()
		require.NoError(t, other.stop())
		synctest.Wait()
		outer.Shutdown(nil)
		time.Sleep(sec)
		outer.Shutdown(shutdown.Before(time.Now().Add(2*sec), errTest))
		_ = outer.Wait()
		assert.True(t, flushed.Load())
		assert.NotEqual(t, shutdown.StateTimeout, row(t, outer.Report(), "inner").State)
	})
	bubble(t, "when a deadline comes during the stop", func(t *testing.T) {
		f := newFamily(t)
		f.outer.Shutdown(nil)
		time.Sleep(2 * sec)
		begin := time.Now()
		f.outer.Shutdown(shutdown.Before(begin.Add(4*sec), errTest))
		_ = f.outer.Wait()
		assert.LessOrEqual(t, time.Since(begin), 4*sec+notice)
		f.assertFlushedInOrder(t)
	})
	bubble(t, "when the outermost is hurried during the stop", func(t *testing.T) {
		outer := newService(t, shutdown.Grace(10*sec), shutdown.Tail(4*sec))
		inner := newService(t, shutdown.Grace(30*sec))
		outer.component("inner", inner.Run)
		outer.callback("flush", shutdown.PhaseFlush, func(context.Context) error {
			time.Sleep(2 * sec)
			return nil
		})
		inner.callback("hangs", shutdown.PhaseWork, hanging(t))
		flushed := inner.flushing()
		outer.start()
		outer.Shutdown(nil)
		time.Sleep(sec)
		require.True(t, outer.Hurry())
		_ = outer.Wait()
		assert.True(t, flushed.Load(), "the inner one: %s", inner.Report())
	})
}
