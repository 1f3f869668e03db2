package shutdown_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestContextDone(t *testing.T) {
	bubble(t, "the end of the context requests the stop, with its cause", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		gs := newService(t)
		gs.managers(shutdown.ContextDone("leader", ctx))
		gs.start()
		synctest.Wait()
		require.Nil(t, gs.Report().Reason)
		lost := errors.New("no longer the leader")
		cancel(lost)
		require.NoError(t, gs.Wait())
		assert.Equal(t, lost, gs.Report().Reason)
		assert.Equal(t, "leader", gs.Report().Manager)
	})
	bubble(t, "a context that has ended already", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errTest)
		gs := newService(t)
		gs.managers(shutdown.ContextDone("lease", ctx))
		require.NoError(t, gs.Run(t.Context()))
		assert.Equal(t, errTest, gs.Report().Reason)
	})
	bubble(t, "a context that never ends leaks nothing", func(t *testing.T) {
		gs := newService(t)
		gs.managers(shutdown.ContextDone("never", context.Background()),
			shutdown.ContextDone("never", context.WithoutCancel(t.Context())))
		gs.start()
		require.NoError(t, gs.stop())
	})
	bubble(t, "does not request anything once another manager has failed", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		gs := newService(t)
		gs.managers(shutdown.ContextDone("lease", ctx), &manager{
			name:  "broken",
			start: func(context.Context, func(error)) error { return errTest },
		})
		require.ErrorIs(t, gs.Start(t.Context()), errTest)
		synctest.Wait()
		cancel()
		synctest.Wait()
		assert.False(t, gs.isDraining())
	})
	t.Run("nil panics", func(t *testing.T) {
		assert.PanicsWithValue(t, "shutdown: ContextDone: ctx must not be nil",
			func() { shutdown.ContextDone("c", nil) })
	})
}

// Whatever the methods of a user's context do, nothing ends the process, and the stop goes on.
func TestContextDoneOfAContextThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		ctx := newUserContext()
		ctx.done = func() <-chan struct{} { return done }
		ctx.err = func() error {
			select {
			case <-done:
				panic("Err")
			default:
				return nil
			}
		}
		gs := newService(t)
		gs.managers(shutdown.ContextDone("lease", ctx))
		flushed := gs.flushing()
		gs.start()
		close(done)
		require.NoError(t, gs.Wait())
		assert.True(t, flushed.Load())
		var panicked *shutdown.PanicError
		assert.ErrorAs(t, gs.Report().Reason, &panicked)
	})
}
