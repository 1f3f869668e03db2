package shutdown_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// A component's real error is not lost because "stopped" stands beside it: errors.Join(srv.Serve(l), flush()).
func TestAdversaryComponentErrorBesideCancelled(t *testing.T) {
	for name, err := range map[string]error{
		"joined":        errors.Join(context.Canceled, errAdv),
		"server closed": errors.Join(http.ErrServerClosed, errAdv),
		"two verbs":     fmt.Errorf("flush: %w (%w)", errAdv, http.ErrServerClosed),
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", after the trigger ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					gs := shutdown.New()
					require.NoError(t, gs.Go("worker", func(ctx context.Context) error {
						if after {
							<-ctx.Done()
						}
						return err
					}))
					require.NoError(t, gs.Start(t.Context()))
					synctest.Wait()
					assert.Equal(t, after, gs.Shutdown(nil))
					assert.ErrorIs(t, gs.Wait(), errAdv)
				})
			})
		}
	}
}

// "ErrAlreadyStarted at once if an earlier Start or Run has started the service."
func TestAdversaryRunAfterStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(time.Second))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		begin := time.Now()
		assert.ErrorIs(t, gs.Run(t.Context()), shutdown.ErrAlreadyStarted, "during the stop")
		assert.Zero(t, time.Since(begin), "at once")
		require.NoError(t, gs.Wait())
		assert.ErrorIs(t, gs.Run(t.Context()), shutdown.ErrAlreadyStarted, "after the stop")
		assert.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrAlreadyStarted, "after the stop")
	})
}

// "Delay and the phases begin when it has returned": what a hook deregisters has to be noticed by others, from then on.
func TestAdversaryDelayBeginsAfterTheStartHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(5 * time.Second))
		require.NoError(t, gs.AddManager(&advManager{name: "m", begin: func(context.Context, error) error { time.Sleep(time.Second); return nil }}))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		assert.Equal(t, 6*time.Second, gs.Report().Total, "%s", gs.Report())
	})
}

// The hooks are "on every manager", also on one that asks before its Start has returned, which Manager allows.
func TestAdversaryHooksOfAManagerThatAsksInItsStart(t *testing.T) {
	var begin, finish int32
	const tries = 100
	for range tries {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			require.NoError(t, gs.AddManager(&advManager{
				name:   "eager",
				start:  func(_ context.Context, request func(error)) error { request(errAdv); return nil },
				begin:  func(context.Context, error) error { atomic.AddInt32(&begin, 1); return nil },
				finish: func(context.Context, shutdown.Report) error { atomic.AddInt32(&finish, 1); return nil },
			}))
			require.NoError(t, gs.Run(t.Context()))
		})
	}
	assert.EqualValues(t, tries, begin, "calls of ShutdownStart")
	assert.EqualValues(t, tries, finish, "calls of ShutdownFinish")
}

// A check that ends by runtime.Goexit must not end the watching without a word.
func TestAdversaryPollGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, n := 0, 0
		gs := shutdown.New(shutdown.ErrorHandler(func(error) { told++ }))
		require.NoError(t, gs.AddManager(shutdown.Poll("notice", time.Second, func(context.Context) (bool, error) {
			if n++; n == 1 {
				runtime.Goexit()
			}
			return true, nil
		})))
		require.NoError(t, gs.Start(t.Context()))
		time.Sleep(time.Minute)
		assert.False(t, gs.Shutdown(nil), "the polling has ended without a request")
		_ = gs.Wait()
		assert.Equal(t, 1, told)
	})
}

// "All but those of polls are also in the error that Wait returns": nothing is told after that, when the log may be closed.
func TestAdversaryErrorHandlerIsSilentAfterWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var over atomic.Bool
		gs := shutdown.New(shutdown.Grace(time.Second), shutdown.ErrorHandler(func(err error) {
			if over.Load() {
				t.Errorf("told after Wait had returned: %.80v", err)
			}
		}))
		require.NoError(t, gs.Go("worker", func(context.Context) error { <-release; return errAdv }))
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "c", Phase: 1, Func: func(context.Context) error { <-release; return errAdv }}))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		require.Error(t, gs.Wait())
		over.Store(true)
		close(release)
		synctest.Wait()
	})
}

// One hung hook does not take from the servers all the time in which they could have answered what is in flight.
func TestAdversaryHungStartHookLeavesGraceToTheServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		gs := shutdown.New(shutdown.Grace(25*time.Second), shutdown.Delay(5*time.Second))
		require.NoError(t, gs.AddManager(&advManager{name: "deregister at a registry that is down", begin: func(context.Context, error) error { <-release; return nil }}))
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "request in flight", Phase: shutdown.PhaseIngress, Func: func(ctx context.Context) error {
			select {
			case <-time.After(3 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		_ = gs.Wait()
		close(release)
		assert.Equal(t, shutdown.StateOK, advFind(t, gs.Report(), "request in flight").State, "%s", gs.Report())
	})
}

// The timeline is for people, who read it in a terminal: it passes nothing on that a terminal obeys, and a line is a line.
func TestAdversaryReportIsSafeForTerminals(t *testing.T) {
	for _, text := range []string{"\x1b[2Jclear", "carriage\rreturn", "\x00", "\a", "\b\b\b", "\u2028", "\u202e", "\u0085", "\v\f", "\u009b2J"} {
		r := shutdown.Report{Reason: errors.New("why " + text), Start: time.Now(), Total: time.Second, Manager: "m" + text, Callbacks: []shutdown.CallbackReport{
			{Name: "x" + text, Phase: 1, State: shutdown.StateError, Duration: time.Second, Err: errors.New("failed " + text)},
		}}
		for _, c := range r.String() {
			if c != '\n' && (unicode.IsControl(c) || c == '\u2028' || c == '\u202e') {
				t.Errorf("%q comes out as %U", text, c)
				break
			}
		}
	}
}

// "Name need not be unique", "LogValue returns … each callback's outcome": in JSON, too, where a key is there once.
func TestAdversaryLogValueOfCallbacksWithOneName(t *testing.T) {
	r := shutdown.Report{Reason: errAdv, Start: time.Now(), Total: time.Second, Callbacks: []shutdown.CallbackReport{
		{Name: "cache", Phase: 1, State: shutdown.StateError, Err: errors.New("the first failed")},
		{Name: "cache", Phase: 2, State: shutdown.StateOK},
	}}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("stopped", "report", r)
	var decoded any
	require.NoError(t, json.Unmarshal(out.Bytes(), &decoded))
	again, err := json.Marshal(decoded)
	require.NoError(t, err)
	assert.True(t, strings.Contains(string(again), "the first failed"), "lost by every JSON reader: %s", &out)
}

// One bar a callback, on one line, whatever it is called.
func TestAdversaryReportWithANameOfTwoLines(t *testing.T) {
	r := shutdown.Report{Reason: errAdv, Start: time.Now(), Total: time.Second, Callbacks: []shutdown.CallbackReport{
		{Name: "two\nlines", Phase: 1, State: shutdown.StateOK, Duration: time.Second},
	}}
	assert.Len(t, strings.Split(strings.TrimSpace(r.String()), "\n"), 2, "%s", r)
}

// A phase that begins at the trigger has what is left of Grace, which is all of it; Tail is for those not yet begun then.
func TestAdversaryGraceHoldsForAPhaseBegunAtTheTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		gs := shutdown.New(shutdown.Grace(time.Second)) // Tail is 2s
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "hung", Phase: shutdown.PhaseIngress, Func: func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			assert.Equal(t, time.Second, time.Until(deadline), "the callback's deadline")
			<-release
			return nil
		}}))
		gs.Shutdown(nil)
		require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
		close(release)
		assert.Equal(t, time.Second, gs.Report().Total)
	})
}
