package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestGoRefuses(t *testing.T) {
	gs := newService(t)
	assert.EqualError(t, gs.Go("", returns(nil)), "shutdown: component without a name")
	assert.EqualError(t, gs.Go("c", nil), `shutdown: component "c" has no function`)
	require.NoError(t, gs.stop())
	assert.Empty(t, rowsOf(gs.Report()))
}

// A component that fails before the trigger requests the stop. After the trigger its failure is
// only reported.
func TestComponentFails(t *testing.T) {
	tests := []struct {
		name string
		run  func(context.Context) error
		is   error
		text string // the first line of Wait's error
	}{
		{"error", returns(errTest), errTest, "component feed: test: some failure"},
		{"io.EOF", returns(io.EOF), io.EOF, "component feed: EOF"},
		{
			"deadline", returns(context.DeadlineExceeded), context.DeadlineExceeded,
			"component feed: context deadline exceeded",
		},
		{
			"panic", func(context.Context) error { panic(errTest) }, errTest,
			"component feed: panic: test: some failure",
		},
		{"goexit", goexit, nil, "component feed: shutdown: runtime.Goexit was called"},
		// A failure is not hidden by an error beside it that says "stopped".
		{
			"joined with context.Canceled", returns(errors.Join(context.Canceled, errTest)),
			errTest, "component feed: context canceled",
		},
		{
			"joined with http.ErrServerClosed", returns(errors.Join(http.ErrServerClosed, errTest)),
			errTest, "component feed: http: Server closed",
		},
		{
			"two verbs", returns(fmt.Errorf("flush: %w (%w)", errTest, http.ErrServerClosed)),
			errTest, "component feed: flush: test: some failure (http: Server closed)",
		},
		{
			"wrapped join", returns(fmt.Errorf("feed: %w", errors.Join(context.Canceled, errTest))),
			errTest, "component feed: feed: context canceled",
		},
	}
	for _, tt := range tests {
		for _, after := range []bool{false, true} {
			bubble(t, fmt.Sprintf("%s, after the trigger %v", tt.name, after), func(t *testing.T) {
				var handled []error
				gs := newService(t, shutdown.Delay(sec),
					shutdown.ErrorHandler(func(err error) { handled = append(handled, err) }))
				gs.component("feed", func(ctx context.Context) error {
					time.Sleep(time.Minute)
					if after {
						<-gs.Draining()
					}
					return tt.run(ctx)
				})
				otherEnded := false
				gs.component("other", func(ctx context.Context) error {
					<-ctx.Done()
					otherEnded = true
					return context.Cause(ctx) // the failure of feed is not one of other
				})
				gs.start()
				time.Sleep(time.Minute)
				synctest.Wait()
				took, err := gs.timedStop()
				assert.Equal(t, sec, took, "Delay was cut short")
				var failed *shutdown.ComponentError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, "feed", failed.Name)
				text, _, _ := strings.Cut(err.Error(), "\n")
				assert.Equal(t, tt.text, text)
				assert.Equal(t, 1, strings.Count(err.Error(), "component feed"), "%v", err)
				if tt.is != nil {
					assert.ErrorIs(t, err, tt.is)
				}
				if after {
					assert.EqualError(t, gs.Report().Reason, "shutdown: requested")
				} else {
					assert.Same(t, failed, gs.Report().Reason)
				}
				assert.Equal(t, []error{failed}, handled)
				assert.True(t, otherEnded)
				assert.Len(t, rowsOf(gs.Report()), 2)
				assert.NotEqual(t, shutdown.StateOK, row(t, gs.Report(), "feed").State)
			})
		}
	}
	bubble(t, "two at once", func(t *testing.T) {
		gs := newService(t)
		gs.component("a", returns(errTest))
		gs.component("b", returns(io.EOF))
		err := gs.Run(t.Context())
		assert.ErrorIs(t, err, errTest)
		assert.ErrorIs(t, err, io.EOF)
	})
}

// These ends of a component are no failure.
func TestComponentIsFinished(t *testing.T) {
	tests := []struct {
		name string
		end  error
	}{
		{"nil", nil},
		{"http.ErrServerClosed", http.ErrServerClosed},
		{"wrapped http.ErrServerClosed", fmt.Errorf("wrapped: %w", http.ErrServerClosed)},
		{"context.Canceled", context.Canceled},
		{"wrapped context.Canceled", fmt.Errorf("wrapped: %w", context.Canceled)},
	}
	for _, tt := range tests {
		if errors.Is(tt.end, context.Canceled) {
			bubble(t, tt.name+" before the trigger is a failure", func(t *testing.T) {
				gs := newService(t)
				gs.component("job", returns(tt.end))
				gs.start()
				require.ErrorIs(t, gs.Wait(), tt.end)
				assert.Equal(t, "error", states(gs.Report()))
			})
		} else {
			bubble(t, tt.name+" before the trigger", func(t *testing.T) {
				gs := newService(t)
				gs.component("job", returns(tt.end))
				gs.start()
				synctest.Wait()
				assert.False(t, gs.isDraining(), "it requests the stop")
				require.NoError(t, gs.stop())
				assert.Empty(t, rowsOf(gs.Report()), "what ended before is not waited for")
			})
		}
		bubble(t, tt.name+" after the trigger", func(t *testing.T) {
			gs := newService(t)
			gs.component("job", func(ctx context.Context) error { <-ctx.Done(); return tt.end })
			gs.start()
			require.NoError(t, gs.stop())
			assert.Equal(t, "ok", states(gs.Report()))
		})
	}
}

func TestComponentIsWaitedForInPhaseWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		gs := newService(t)
		gs.component("consumer", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(3 * sec)
			j.add("consumer")
			return nil
		})
		gs.callbacks(
			j.callback("ingress", shutdown.PhaseIngress, sec),
			j.callback("store", shutdown.PhaseStore, 0),
		)
		gs.start()
		j.add("trigger")
		require.NoError(t, gs.stop())
		assert.Equal(t, []string{"0s trigger", "1s ingress", "4s consumer", "4s store"}, j.lines)
		assert.Equal(t, shutdown.PhaseWork, row(t, gs.Report(), "consumer").Phase)
	})
}

func TestComponentThatHangsIsGivenUp(t *testing.T) {
	bubble(t, "deaf to its context", func(t *testing.T) {
		gs := newService(t, shutdown.Grace(5*sec))
		gs.component("deaf", hanging(t))
		gs.start()
		took, err := gs.timedStop()
		assert.EqualError(t, err, "deaf (work): shutdown: timed out after 5s")
		assertTook(t, 5*sec, took)
		assert.Contains(t, string(gs.Report().Stacks), "hanging")
	})
	bubble(t, "because it waits for itself", func(t *testing.T) {
		var ran []string
		gs := newService(t)
		gs.component("worker", func(context.Context) error {
			gs.component("inner", func(ctx context.Context) error {
				ran = append(ran, "component")
				return untilStopped(ctx)
			})
			gs.callback("inner", 0, func(context.Context) error {
				ran = append(ran, "callback")
				return nil
			})
			time.Sleep(sec)
			gs.Shutdown(errTest)
			return gs.Wait()
		})
		begin := time.Now()
		require.ErrorIs(t, gs.Run(t.Context()), shutdown.ErrTimeout)
		assert.LessOrEqual(t, time.Since(begin), 28*sec)
		assert.Equal(t, []string{"component", "callback"}, ran)
	})
}

func TestComponentRunsFromStartOn(t *testing.T) {
	bubble(t, "not before Start, at once after it, never after the trigger", func(t *testing.T) {
		var ran []string
		run := func(name string) func(context.Context) error {
			return func(ctx context.Context) error {
				ran = append(ran, name)
				return untilStopped(ctx)
			}
		}
		gs := newService(t)
		gs.component("before", run("before"))
		synctest.Wait()
		assert.Empty(t, ran)
		gs.start()
		synctest.Wait()
		assert.Equal(t, []string{"before"}, ran)
		gs.component("after", run("after"))
		synctest.Wait()
		assert.Equal(t, []string{"before", "after"}, ran)
		gs.Shutdown(nil)
		assert.ErrorIs(t, gs.Go("late", run("late")), shutdown.ErrShuttingDown)
		require.NoError(t, gs.Wait())
		assert.ErrorIs(t, gs.Go("late", run("late")), shutdown.ErrShuttingDown)
		assert.Len(t, ran, 2)
	})
	bubble(t, "never if the stop comes before Start", func(t *testing.T) {
		gs := newService(t)
		gs.component("never", func(context.Context) error { t.Error("run"); return nil })
		gs.Shutdown(nil)
		require.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrShuttingDown)
		require.NoError(t, gs.Wait())
		assert.Empty(t, rowsOf(gs.Report()))
	})
}
