package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestBeforeUnwrapsToItsReason(t *testing.T) {
	err := shutdown.Before(time.Now().Add(time.Minute), errTest)
	assert.ErrorIs(t, err, errTest)
	assert.ErrorContains(t, err, errTest.Error())
	assert.ErrorContains(t, shutdown.Before(time.Now(), nil), "requested")
}

// Tail becomes at most a quarter of the rest, Grace what remains of it, and Delay at most half of
// that; nothing is longer than the options say.
func TestBeforeDividesTheRest(t *testing.T) {
	tests := []struct{ rest, delay, grace, tail time.Duration }{
		{time.Hour, 5 * sec, 25 * sec, 2 * sec},
		{27 * sec, 5 * sec, 25 * sec, 2 * sec},
		{26 * sec, 5 * sec, 24 * sec, 2 * sec},
		{12 * sec, 5 * sec, 10 * sec, 2 * sec},
		{8 * sec, 3 * sec, 6 * sec, 2 * sec},
		{4 * sec, 1500 * ms, 3 * sec, sec},
		{sec, 375 * ms, 750 * ms, 250 * ms},
		{100 * ms, 37500 * time.Microsecond, 75 * ms, 25 * ms},
	}
	for _, tt := range tests {
		bubble(t, tt.rest.String(), func(t *testing.T) {
			gs := newService(t, shutdown.Grace(25*sec), shutdown.Delay(5*sec), shutdown.Tail(2*sec))
			begin := time.Now()
			gs.callback("work", shutdown.PhaseWork, func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				assert.Equal(t, tt.grace, deadline.Sub(begin), "the end of Grace")
				assert.Equal(t, tt.grace+tt.tail, shutdown.StopDeadline(ctx).Sub(begin))
				return hanging(t)(ctx)
			})
			gs.callback("flush", shutdown.PhaseFlush, hanging(t))
			gs.start()
			gs.Shutdown(shutdown.Before(begin.Add(tt.rest), errTest))
			require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
			assert.Equal(t, tt.delay, delayed(gs.Report()))
			assertTook(t, tt.grace+tt.tail, time.Since(begin))
			assert.ErrorIs(t, gs.Report().Reason, errTest)
			assert.NotEqual(t, shutdown.StateSkipped, row(t, gs.Report(), "flush").State)
		})
	}
}

// A deadline may come from whoever may ask.
func TestBeforeMayComeFromAnybodyWhoAsks(t *testing.T) {
	reason := func() error { return shutdown.Before(time.Now().Add(8*sec), errTest) }
	for name, request := range map[string]func(gs service){
		"Shutdown": func(gs service) { gs.start(); gs.Shutdown(reason()) },
		"Shutdown, wrapped": func(gs service) {
			gs.start()
			gs.Shutdown(fmt.Errorf("spot: %w", reason()))
		},
		"Shutdown, joined": func(gs service) {
			gs.start()
			gs.Shutdown(errors.Join(errors.New("spot"), reason()))
		},
		"a manager": func(gs service) {
			m := &manager{name: "m"}
			gs.managers(m)
			gs.start()
			m.request(reason())
		},
		"a poll": func(gs service) {
			gs.managers(shutdown.Poll("spot", sec, func(context.Context) (bool, error) {
				return true, reason()
			}))
			_ = gs.Start(gs.t.Context()) // the poll may be the first
		},
		"ContextDone": func(gs service) {
			ctx, cancel := context.WithCancelCause(gs.t.Context())
			gs.managers(shutdown.ContextDone("lease", ctx))
			gs.start()
			cancel(reason())
		},
		"the end of Start's context": func(gs service) {
			ctx, cancel := context.WithCancelCause(gs.t.Context())
			require.NoError(gs.t, gs.Start(ctx))
			cancel(reason())
		},
		"a later request of Shutdown": func(gs service) {
			gs.start()
			gs.Shutdown(errTest)
			assert.False(gs.t, gs.Shutdown(reason()))
		},
		"a later request of a manager": func(gs service) {
			m := &manager{name: "m"}
			gs.managers(m)
			gs.start()
			gs.Shutdown(errTest)
			m.request(reason())
		},
	} {
		bubble(t, name, func(t *testing.T) {
			gs := newService(t)
			gs.callback("work", shutdown.PhaseWork, hanging(t))
			flushed := gs.flushing()
			begin := time.Now()
			request(gs)
			_ = gs.Wait()
			assertTook(t, 6*sec, time.Since(begin))
			assert.True(t, flushed.Load())
			assert.ErrorIs(t, gs.Report().Reason, errTest)
		})
	}
}

func TestLaterDeadlineTightens(t *testing.T) {
	type request struct{ at, rest time.Duration } // rest from its time on
	tests := []struct {
		name     string
		requests []request
		work     time.Duration // when the callback in PhaseWork is given up
	}{
		{"an earlier one", []request{{0, time.Hour}, {5 * sec, 4 * sec}}, 8 * sec},
		{"a later one changes nothing", []request{{0, 8 * sec}, {sec, time.Hour}}, 6 * sec},
		{"an equal one changes nothing", []request{{0, 8 * sec}, {sec, 7 * sec}}, 6 * sec},
		{
			"each that is earlier", []request{{0, 20 * sec}, {sec, 12 * sec}, {2 * sec, 4 * sec}},
			5 * sec,
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t)
			begin := time.Now()
			var ended time.Duration
			gs.callback("work", shutdown.PhaseWork, func(ctx context.Context) error {
				<-ctx.Done()
				ended = time.Since(begin)
				return nil
			})
			flushed := gs.flushing()
			gs.start()
			for i, r := range tt.requests {
				time.Sleep(r.at - time.Since(begin))
				gs.Shutdown(shutdown.Before(time.Now().Add(r.rest), fmt.Errorf("reason %d", i)))
			}
			_ = gs.Wait()
			assert.Equal(t, tt.work, ended)
			assert.ErrorContains(t, gs.Report().Reason, "reason 0")
			assert.True(t, flushed.Load())
		})
	}
	bubble(t, "Delay in progress", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(20*sec))
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(2 * sec)
		gs.Shutdown(shutdown.Before(time.Now().Add(4*sec), nil))
		require.NoError(t, gs.Wait())
		assert.LessOrEqual(t, gs.Report().Total, 5*sec, "2s and Grace of the rest")
		assert.Less(t, delayed(gs.Report()), 5*sec)
	})
	bubble(t, "a start hook in progress", func(t *testing.T) {
		gs := newService(t)
		gs.managers(&manager{name: "m", begin: func(ctx context.Context, _ error) error {
			<-ctx.Done()
			return nil
		}})
		work := gs.flushing()
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(sec)
		gs.Shutdown(shutdown.Before(time.Now().Add(4*sec), nil))
		_ = gs.Wait()
		assert.LessOrEqual(t, gs.Report().Total, 5*sec)
		assert.True(t, work.Load())
	})
	bubble(t, "Tail in progress", func(t *testing.T) {
		gs := newService(t, shutdown.Grace(5*sec), shutdown.Tail(10*sec))
		gs.callback("work", shutdown.PhaseWork, hanging(t))
		gs.callback("flush", shutdown.PhaseFlush, hanging(t))
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(7 * sec)
		gs.Shutdown(shutdown.Before(time.Now().Add(2*sec), nil))
		_ = gs.Wait()
		assert.LessOrEqual(t, gs.Report().Total, 9*sec+notice)
	})
}

// A machine that should have been gone already may still have a moment.
func TestDeadlineInThePastStillFlushes(t *testing.T) {
	for name, when := range map[string]func() time.Time{
		"an hour ago": func() time.Time { return time.Now().Add(-time.Hour) },
		"now":         time.Now,
		"in a moment": func() time.Time { return time.Now().Add(1) },
	} {
		bubble(t, name, func(t *testing.T) {
			gs := newService(t, shutdown.Delay(5*sec))
			gs.callback("work", shutdown.PhaseWork, hanging(t))
			flushed := gs.flushing()
			gs.start()
			begin := time.Now()
			gs.Shutdown(shutdown.Before(when(), errTest))
			_ = gs.Wait()
			assert.LessOrEqual(t, time.Since(begin), sec)
			assert.True(t, flushed.Load(), "PhaseFlush has not run: %s", gs.Report())
		})
	}
}

func TestBeforeWithoutTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Tail(0))
		gs.callback("work", shutdown.PhaseWork, hanging(t))
		gs.start()
		begin := time.Now()
		gs.Shutdown(shutdown.Before(begin.Add(8*sec), nil))
		_ = gs.Wait()
		assertTook(t, 8*sec, time.Since(begin))
	})
}

func TestStopDeadlineFollowsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		begin := time.Now()
		gs.callback("work", shutdown.PhaseWork, func(ctx context.Context) error {
			assert.Equal(t, 27*sec, shutdown.StopDeadline(ctx).Sub(begin))
			time.Sleep(sec)
			gs.Shutdown(shutdown.Before(begin.Add(9*sec), nil))
			synctest.Wait()
			assert.Equal(t, 9*sec, shutdown.StopDeadline(ctx).Sub(begin))
			assert.EqualError(t, shutdown.Reason(ctx), "test: some failure")
			return nil
		})
		gs.start()
		gs.Shutdown(errTest)
		require.NoError(t, gs.Wait())
	})
}

// Both may come; the earlier end counts.
func TestBeforeAndHurry(t *testing.T) {
	bubble(t, "Hurry, then a deadline", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(10*sec), shutdown.Tail(8*sec))
		gs.callback("flush", shutdown.PhaseFlush, hanging(t))
		gs.start()
		gs.Shutdown(nil)
		begin := time.Now()
		require.True(t, gs.Hurry())
		time.Sleep(sec)
		gs.Shutdown(shutdown.Before(begin.Add(3*sec), nil))
		_ = gs.Wait()
		assert.LessOrEqual(t, time.Since(begin), 3*sec+notice)
	})
	bubble(t, "a deadline, then Hurry", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(10*sec))
		gs.callback("flush", shutdown.PhaseFlush, hanging(t))
		gs.start()
		begin := time.Now()
		gs.Shutdown(shutdown.Before(begin.Add(8*sec), nil))
		time.Sleep(sec)
		require.True(t, gs.Hurry())
		_ = gs.Wait()
		assertTook(t, 3*sec, time.Since(begin))
	})
}

func TestBeforeSaysWhatItsReasonSays(t *testing.T) {
	err := shutdown.Before(time.Now().Add(time.Minute), errTest)
	assert.EqualError(t, err, errTest.Error())
}

// A stop in progress that is told that its time is over still has a moment to flush.
func TestLaterDeadlineInThePastStillFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(5*sec))
		gs.callback("work", shutdown.PhaseWork, hanging(t))
		flushed := gs.flushing()
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(sec)
		begin := time.Now()
		gs.Shutdown(shutdown.Before(begin.Add(-time.Hour), errTest))
		_ = gs.Wait()
		assert.LessOrEqual(t, time.Since(begin), sec)
		assert.True(t, flushed.Load(), "PhaseFlush has not run: %s", gs.Report())
	})
}

// For the race detector.
func TestStopThatBeginsAndAnEarlierEndRace(t *testing.T) {
	for range 200 {
		gs := newService(t)
		gs.callback("c", 100, returns(nil))
		gs.start()
		var all sync.WaitGroup
		all.Go(func() { gs.Shutdown(shutdown.Before(time.Now().Add(10*sec), nil)) })
		all.Go(func() { gs.Shutdown(shutdown.Before(time.Now().Add(5*sec), nil)) })
		all.Go(func() { gs.Hurry() })
		all.Wait()
		_ = gs.Wait()
	}
}

// The platform is told, even if its deadline is over.
func TestDeadlineInThePastLeavesTheStartHooksAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := false
		gs := newService(t)
		gs.managers(&manager{name: "m", begin: func(context.Context, error) error {
			told = true
			return nil
		}})
		gs.start()
		gs.Shutdown(shutdown.Before(gs.Report().Start, nil))
		_ = gs.Wait()
		assert.True(t, told, "the platform was not told")
	})
}

// A platform repeats its notice. Each repeat names the same time, and changes nothing.
func TestBeforeThatIsRepeatedChangesNothing(t *testing.T) {
	for _, repeats := range []int{0, 10} {
		bubble(t, fmt.Sprintf("%d times", repeats), func(t *testing.T) {
			gs := newService(t, shutdown.Delay(5*sec))
			gs.component("serves", untilStopped)
			gs.start()
			notice := shutdown.Before(time.Now().Add(4*sec), nil)
			gs.Shutdown(notice)
			for range repeats {
				time.Sleep(100 * ms)
				gs.Shutdown(notice)
			}
			require.NoError(t, gs.Wait())
			assert.Equal(t, 1500*ms, delayed(gs.Report()))
		})
	}
}
