package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestComponentThatFailsAsks(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		run  func(context.Context) error
		is   error
		text string
	}{
		{"error", func(context.Context) error { return broken }, broken, "component feed: broken"},
		{"deadline", func(context.Context) error { return context.DeadlineExceeded }, context.DeadlineExceeded, "component feed: context deadline exceeded"},
		{"panic", func(context.Context) error { panic(broken) }, broken, "component feed: panic: broken"},
		{"goexit", func(context.Context) error { runtime.Goexit(); return nil }, nil, "component feed: shutdown: runtime.Goexit was called"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var handled []error
				gs := shutdown.New(shutdown.ErrorHandler(func(err error) { handled = append(handled, err) }))
				otherEnded := false
				require.NoError(t, gs.Go("feed", func(ctx context.Context) error {
					time.Sleep(time.Minute)
					return tt.run(ctx)
				}))
				require.NoError(t, gs.Go("other", func(ctx context.Context) error {
					<-ctx.Done()
					otherEnded = true
					return context.Cause(ctx) // the other one's failure is not its own
				}))
				err := gs.Run(t.Context())
				require.Len(t, handled, 1)
				var ce *shutdown.ComponentError
				require.ErrorAs(t, err, &ce)
				assert.Equal(t, "feed", ce.Name)
				assert.Equal(t, tt.text, firstLine(err.Error()))
				if tt.is != nil {
					assert.ErrorIs(t, err, tt.is)
				}
				assert.Same(t, ce, gs.Report().Reason)
				assert.True(t, otherEnded)
				assert.Len(t, gs.Report().Callbacks, 2)
			})
		})
	}
}

func TestComponentThatIsDone(t *testing.T) {
	for name, end := range map[string]error{
		"nil":                  nil,
		"cancelled":            fmt.Errorf("wrapped: %w", context.Canceled),
		"http.ErrServerClosed": http.ErrServerClosed,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New()
				require.NoError(t, gs.Go("job", func(context.Context) error { return end }))
				require.NoError(t, gs.Start(t.Context()))
				synctest.Wait()
				require.Nil(t, gs.Report().Reason, "its end is no reason to stop")
				gs.Shutdown(nil)
				require.NoError(t, gs.Wait())
				assert.Empty(t, gs.Report().Callbacks, "one that ended before is not waited for")
			})
		})
	}
}

// A real error is not masked by "stopped" beside it.
func TestComponentErrorBesideCancelled(t *testing.T) {
	lost := errors.New("lost 3 messages")
	for name, err := range map[string]error{
		"joined":    errors.Join(context.Canceled, lost),
		"two verbs": fmt.Errorf("flush: %w (%w)", lost, http.ErrServerClosed),
		"wrapped":   fmt.Errorf("feed: %w", errors.Join(context.Canceled, lost)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New()
				require.NoError(t, gs.Go("feed", func(ctx context.Context) error { <-ctx.Done(); return err }))
				require.NoError(t, gs.Start(t.Context()))
				gs.Shutdown(nil)
				assert.ErrorIs(t, gs.Wait(), lost)
			})
		})
	}
}

func TestComponentIsWaitedForInPhaseWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		gs := shutdown.New()
		late := errors.New("late")
		require.NoError(t, gs.Start(t.Context()))
		require.NoError(t, gs.Go("consumer", func(ctx context.Context) error { // after Start: runs at once
			j.add("begins")
			<-ctx.Done()
			time.Sleep(3 * time.Second)
			j.add("consumer")
			return late
		}))
		synctest.Wait()
		require.NoError(t, gs.AddCallback(
			j.callback("ingress", shutdown.PhaseIngress, time.Second),
			j.callback("store", shutdown.PhaseStore, 0),
		))
		gs.Shutdown(nil)
		err := gs.Wait()
		assert.Equal(t, []string{"0s begins", "1s ingress", "4s consumer", "4s store"}, j.lines)
		assert.EqualError(t, err, "component consumer: late", "an error after the trigger is reported, once")
		assert.ErrorIs(t, err, late)
	})
}

func TestComponentThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := unhang(t)
		gs := shutdown.New(shutdown.Grace(5 * time.Second))
		require.NoError(t, gs.Go("deaf", hang))
		require.NoError(t, gs.Start(t.Context()))
		begin := time.Now()
		gs.Shutdown(nil)
		assert.EqualError(t, gs.Wait(), "deaf (work): shutdown: timed out after 5s")
		assert.Equal(t, 5*time.Second, time.Since(begin))
		assert.Contains(t, string(gs.Report().Stacks), "unhang")
	})
}

func TestComponentIsNotRunWithoutStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		require.NoError(t, gs.Go("never", func(context.Context) error { t.Error("run"); return nil }))
		synctest.Wait()
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
	})
}
