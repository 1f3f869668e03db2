package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// advPiece is one callback of a random stop, and what was seen of it.
type advPiece struct {
	name    string
	phase   shutdown.Phase
	timeout time.Duration
	takes   time.Duration
	ends    string // how it ends after takes
	deaf    bool   // does not hear its context

	calls    int
	begin    time.Duration // after the trigger
	end      time.Duration // 0: never
	deadline time.Duration
}

func (p advPiece) String() string {
	return fmt.Sprintf("%s phase=%d timeout=%v takes=%v ends=%s deaf=%v: calls=%d begin=%v end=%v deadline=%v",
		p.name, int(p.phase), p.timeout, p.takes, p.ends, p.deaf, p.calls, p.begin, p.end, p.deadline)
}

// A stop made of random callbacks, hooks, components and servers keeps every promise about order, time and outcome. The
// input is nothing but the seed of all of that.
func FuzzAdversaryStop(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { advRandomStop(t, rand.New(rand.NewPCG(seed, seed))) })
	})
}

func advRandomStop(t *testing.T, rnd *rand.Rand) {
	duration := func(limit time.Duration) time.Duration { return time.Duration(rnd.Int64N(int64(limit))) + 1 }
	grace := duration(30 * time.Second)
	tail := duration(3 * time.Second)
	if rnd.IntN(5) == 0 {
		tail = 0
	}
	var delay time.Duration
	if rnd.IntN(2) == 0 && grace > 1 {
		delay = time.Duration(rnd.Int64N(int64(grace)))
	}
	var mu sync.Mutex
	var handled []error
	release := make(chan struct{})
	gs := shutdown.New(shutdown.Grace(grace), shutdown.Tail(tail), shutdown.Delay(delay), shutdown.Linger(duration(2*time.Second)),
		shutdown.Logger(slog.New(slog.DiscardHandler)), shutdown.ErrorHandler(func(err error) { mu.Lock(); handled = append(handled, err); mu.Unlock() }))

	var trigger time.Time
	var pieces []*advPiece
	run := func(p *advPiece) func(context.Context) error {
		return func(ctx context.Context) error {
			mu.Lock()
			p.calls++
			p.begin = time.Since(trigger)
			if deadline, ok := ctx.Deadline(); ok {
				p.deadline = deadline.Sub(trigger)
			}
			mu.Unlock()
			if ctx.Err() != nil {
				t.Errorf("%v: was called with an ended context", p)
			}
			defer func() { mu.Lock(); p.end = time.Since(trigger); mu.Unlock() }()
			ended := ctx.Done()
			if p.deaf {
				ended = nil
			}
			timer := time.NewTimer(p.takes)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ended:
				return ctx.Err()
			case <-release:
				return nil
			}
			switch p.ends {
			case "error":
				return errAdv
			case "panic":
				panic(p.name)
			case "Goexit":
				runtime.Goexit()
			case "cancelled":
				return context.Canceled
			case "hang":
				select {
				case <-release:
				case <-ended:
					return fmt.Errorf("my own words: %w", context.Cause(ctx))
				}
			}
			return nil
		}
	}
	phases := []shutdown.Phase{1, 100, 100, 100, 150, 200, 200, 250, 300, 300, 400, 400, 1000}
	endings := []string{"ok", "ok", "ok", "ok", "error", "panic", "Goexit", "cancelled", "hang"}
	if rnd.IntN(3) == 0 {
		endings = []string{"ok"}
	}
	for i := range rnd.IntN(12) {
		p := &advPiece{name: fmt.Sprint("piece ", i), phase: phases[rnd.IntN(len(phases))], ends: endings[rnd.IntN(len(endings))], deaf: rnd.IntN(2) == 0}
		switch rnd.IntN(4) {
		case 0:
			p.takes = duration(grace * 2)
		case 1:
			p.takes = duration(grace/8 + 1)
		}
		if rnd.IntN(2) == 0 {
			p.timeout = duration(grace)
		}
		pieces = append(pieces, p)
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: p.name, Phase: p.phase, Timeout: p.timeout, Func: run(p)}))
	}
	require.NoError(t, gs.Start(t.Context()))
	time.Sleep(duration(time.Minute))
	trigger = time.Now()
	require.True(t, gs.Shutdown(errAdv))
	err := gs.Wait()
	took := time.Since(trigger)
	report := gs.Report()
	close(release)
	synctest.Wait()

	fail := func(format string, args ...any) {
		t.Helper()
		var all strings.Builder
		for _, p := range pieces {
			fmt.Fprintln(&all, *p)
		}
		t.Errorf(format+"\ngrace %v tail %v delay %v\n%s%s\n%v", append(args, grace, tail, delay, &all, report, err)...)
	}
	if took > grace+tail {
		fail("took %v", took)
	}
	if report.Total != took {
		fail("report.Total is %v, it took %v", report.Total, took)
	}
	if len(report.Callbacks) != len(pieces) {
		fail("%d callbacks in the report, want %d", len(report.Callbacks), len(pieces))
		return
	}
	timeouts, failures := 0, 0
	lastEnd := delay
	lastPhase := shutdown.Phase(0)
	phaseEnds := map[shutdown.Phase]time.Duration{}
	for _, c := range report.Callbacks {
		if c.Phase < lastPhase {
			fail("the report is not in the order of phases")
		}
		if c.Phase > lastPhase {
			lastEnd = max(lastEnd, phaseEnds[lastPhase])
			lastPhase = c.Phase
		}
		var p *advPiece
		for _, candidate := range pieces {
			if candidate.name == c.Name {
				p = candidate
			}
		}
		if c.State == shutdown.StateSkipped {
			if p.calls != 0 {
				fail("%s: skipped, but was called", c.Name)
			}
			if tail > 0 || took < grace {
				fail("%s: skipped although there was time", c.Name)
			}
			failures++
			continue
		}
		if p.calls != 1 {
			fail("%s: called %d times", c.Name, p.calls)
		}
		if c.Start != p.begin {
			fail("%s: report says start %v, was %v", c.Name, c.Start, p.begin)
		}
		if p.begin < delay {
			fail("%s: began before Delay was over", c.Name)
		}
		if p.begin != lastEnd {
			fail("%s: began at %v, the phase before ended at %v", c.Name, p.begin, lastEnd)
		}
		if p.deadline > grace+tail {
			fail("%s: its deadline is after Grace+Tail", c.Name)
		}
		begun := map[shutdown.Phase]bool{} // this phase and those that have not begun
		for _, other := range pieces {
			if other.phase >= p.phase {
				begun[other.phase] = true
			}
		}
		shares := time.Duration(len(begun))
		want := grace
		if p.begin >= grace {
			want = p.begin + (grace+tail-p.begin)/shares
		}
		if p.timeout > 0 {
			want = min(want, p.begin+p.timeout)
		}
		if p.deadline != want || want > grace+tail || want <= p.begin {
			fail("%s: its deadline is %v, want %v", c.Name, p.deadline, want)
		}
		end := c.Start + c.Duration
		if end > p.deadline {
			fail("%s: waited for beyond its deadline", c.Name)
		}
		phaseEnds[c.Phase] = max(phaseEnds[c.Phase], end)
		natural := p.begin + p.takes // when it ends by itself
		var state shutdown.State
		switch {
		case natural == p.deadline:
			state = c.State // either
		case natural > p.deadline || p.ends == "hang":
			state = shutdown.StateTimeout
			if end != p.deadline {
				fail("%s: given up at %v, want at its deadline %v", c.Name, end, p.deadline)
			}
		case p.ends == "ok":
			state = shutdown.StateOK
		case p.ends == "panic":
			state = shutdown.StatePanic
		case p.ends == "Goexit":
			state = c.State
			if state == shutdown.StateOK || state == shutdown.StateTimeout {
				fail("%s: Goexit is %s", c.Name, state)
			}
		default:
			state = shutdown.StateError
		}
		if c.State != state {
			fail("%s: state %s, want %s", c.Name, c.State, state)
		}
		if state != shutdown.StateTimeout && natural != p.deadline && end != natural {
			fail("%s: the report says it ended at %v, want %v", c.Name, end, natural)
		}
		if c.State == shutdown.StateTimeout {
			timeouts++
			if !errors.Is(c.Err, shutdown.ErrTimeout) {
				fail("%s: a timeout that is not ErrTimeout: %v", c.Name, c.Err)
			}
		}
		if c.State == shutdown.StateOK {
			if c.Err != nil {
				fail("%s: ok with an error", c.Name)
			}
			continue
		}
		failures++
		var detail *shutdown.CallbackError
		if !errors.As(c.Err, &detail) || detail.Name != c.Name || detail.Phase != c.Phase {
			fail("%s: its error is %v", c.Name, c.Err)
		}
		if !errors.Is(err, c.Err) {
			fail("%s: its error is not in Wait's", c.Name)
		}
	}
	if (err != nil) != (failures > 0) || report.Failed() != (failures > 0) {
		fail("%d failures, but Wait says %v and Failed %v", failures, err, report.Failed())
	}
	if (report.Stacks != nil) != (timeouts > 0) {
		fail("%d timeouts, %d bytes of stacks", timeouts, len(report.Stacks))
	}
	if len(handled) < failures && took < grace+tail { // at the very end there may be no time left to tell
		fail("%d failures, %d calls of ErrorHandler", failures, len(handled))
	}
	if want := max(lastEnd, phaseEnds[lastPhase]); took != want {
		fail("took %v, want %v: the end of what it had to wait for", took, want)
	}
}

// Hooks and components are held to the total, too.
func TestAdversaryNothingTakesLongerThanGraceAndTail(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			grace := time.Duration(rnd.Int64N(int64(10*time.Second))) + 1
			tail := time.Duration(rnd.Int64N(int64(2 * time.Second)))
			delay := time.Duration(rnd.Int64N(int64(grace)))
			release := make(chan struct{})
			var hangs []string
			do := func(what string) error {
				if rnd.IntN(3) == 0 {
					hangs = append(hangs, what)
					return errAdv
				}
				return nil
			}
			maybe := func(hang bool) error {
				if hang {
					<-release
				}
				return nil
			}
			var opts []shutdown.Option
			if hang := do("logger") != nil; rnd.IntN(2) == 0 {
				opts = append(opts, shutdown.Logger(slog.New(advLog(func() error { return maybe(hang) }))))
			}
			if hang := do("handler") != nil; rnd.IntN(2) == 0 {
				opts = append(opts, shutdown.ErrorHandler(func(error) { _ = maybe(hang) }))
			}
			gs := shutdown.New(append(opts, shutdown.Grace(grace), shutdown.Tail(tail), shutdown.Delay(delay))...)
			for i := range rnd.IntN(4) {
				begin, finish := do("begin") != nil, do("finish") != nil
				require.NoError(t, gs.AddManager(&advManager{name: fmt.Sprint("manager ", i),
					begin:  func(context.Context, error) error { return maybe(begin) },
					finish: func(context.Context, shutdown.Report) error { return maybe(finish) }}))
			}
			for i := range rnd.IntN(4) {
				hang := do("component") != nil
				require.NoError(t, gs.Go(fmt.Sprint("component ", i), func(ctx context.Context) error {
					<-ctx.Done()
					return maybe(hang)
				}))
			}
			for i := range rnd.IntN(4) {
				graceful, stop := do("GracefulStop") != nil, do("Stop") != nil
				require.NoError(t, gs.AddGRPCServer(fmt.Sprint("rpc ", i), advGRPC{graceful: func() { _ = maybe(graceful) }, stop: func() { _ = maybe(stop) }}))
			}
			for i := range rnd.IntN(6) {
				hang := do("callback") != nil
				require.NoError(t, gs.AddCallback(shutdown.Callback{Name: fmt.Sprint("callback ", i), Phase: shutdown.Phase(1 + rnd.IntN(500)),
					Func: func(context.Context) error { return maybe(hang) }}))
			}
			require.NoError(t, gs.Start(t.Context()))
			begin := time.Now()
			gs.Shutdown(nil)
			err := gs.Wait()
			took := time.Since(begin)
			assert.LessOrEqual(t, took, grace+tail, "seed %d: grace %v tail %v delay %v hung: %v\n%s", seed, grace, tail, delay, hangs, gs.Report())
			assert.GreaterOrEqual(t, took, delay, "seed %d", seed)
			_ = err
			close(release)
			synctest.Wait()
		})
	}
}

func TestAdversaryTail(t *testing.T) {
	hungIn := func(phase shutdown.Phase, release <-chan struct{}) shutdown.Callback {
		return shutdown.Callback{Name: fmt.Sprint("hung ", int(phase)), Phase: phase, Func: func(context.Context) error { <-release; return nil }}
	}
	t.Run("every phase after a hang gets its equal share", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Tail(4*time.Second))
			for _, phase := range []shutdown.Phase{100, 200, 300, 400} {
				require.NoError(t, gs.AddCallback(hungIn(phase, release)))
			}
			gs.Shutdown(nil)
			require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
			close(release)
			report := gs.Report()
			assert.LessOrEqual(t, report.Total, 14*time.Second)
			for i, c := range report.Callbacks {
				assert.Equal(t, shutdown.StateTimeout, c.State)
				if i > 0 {
					assert.GreaterOrEqual(t, c.Duration, time.Second, "%s\n%s", c.Name, report)
				}
			}
		})
	})
	t.Run("what an early phase leaves the later ones get", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Tail(2*time.Second))
			require.NoError(t, gs.AddCallback(hungIn(100, release), hungIn(400, release),
				shutdown.Callback{Name: "quick", Phase: 300, Func: func(context.Context) error { return nil }}))
			gs.Shutdown(nil)
			require.Error(t, gs.Wait())
			close(release)
			assert.Equal(t, 12*time.Second, gs.Report().Total, "%s", gs.Report())
		})
	})
	t.Run("none: skipped, and told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Tail(0))
			require.NoError(t, gs.AddCallback(hungIn(100, release), shutdown.Callback{Name: "flush", Phase: 400, Func: func(context.Context) error {
				t.Error("called")
				return nil
			}}))
			gs.Shutdown(nil)
			err := gs.Wait()
			close(release)
			assert.Equal(t, 10*time.Second, gs.Report().Total)
			c := advFind(t, gs.Report(), "flush")
			assert.Equal(t, shutdown.StateSkipped, c.State)
			require.Error(t, c.Err)
			assert.ErrorIs(t, c.Err, shutdown.ErrTimeout)
			assert.ErrorIs(t, err, c.Err)
			assert.Contains(t, err.Error(), "flush")
		})
	})
	t.Run("a hung hook leaves time for the phases", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Tail(2*time.Second))
			ran := 0
			require.NoError(t, gs.AddManager(&advManager{name: "hung", begin: func(context.Context, error) error { <-release; return nil },
				finish: func(context.Context, shutdown.Report) error { <-release; return nil }}))
			for _, phase := range []shutdown.Phase{100, 200, 300, 400} {
				require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "c", Phase: phase, Func: func(context.Context) error { ran++; return nil }}))
			}
			require.NoError(t, gs.Start(t.Context()))
			gs.Shutdown(nil)
			require.Error(t, gs.Wait())
			close(release)
			assert.Equal(t, 4, ran)
			assert.LessOrEqual(t, gs.Report().Total, 12*time.Second)
		})
	})
}
