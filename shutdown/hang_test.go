package shutdown_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// hangs are services that are too big for a dump of all stacks for each callback that hangs.
var hangs = []struct {
	name                  string
	goroutines, callbacks int
}{
	{"50,000 goroutines, 32 callbacks", 50_000, 32},
	{"10,000 callbacks", 0, 10_000},
}

// hangingService returns a service in which all but PhaseFlush hangs until release is called.
func hangingService(tb testing.TB, goroutines, callbacks int, opts ...shutdown.Option) (
	gs *shutdown.GracefulShutdown, flushed *atomic.Bool, release func(),
) {
	tb.Helper()
	released := make(chan struct{})
	for range goroutines {
		go func() { <-released }()
	}
	gs, flushed = shutdown.New(opts...), new(atomic.Bool)
	for i := range callbacks {
		require.NoError(tb, gs.AddCallback(shutdown.Callback{
			Name: fmt.Sprintf("c%d", i), Phase: shutdown.PhaseWork,
			Func: func(context.Context) error { return theCulprit(released) },
		}))
	}
	require.NoError(tb, gs.AddCallback(shutdown.Callback{
		Name: "flush", Phase: shutdown.PhaseFlush,
		Func: func(context.Context) error { flushed.Store(true); return nil },
	}))
	return gs, flushed, func() { close(released) }
}

func TestStacksOfManyThatHangAreBoundedAndNameThem(t *testing.T) {
	if testing.Short() {
		t.Skip("50,000 goroutines")
	}
	for _, tt := range hangs {
		bubble(t, tt.name, func(t *testing.T) {
			gs, flushed, release := hangingService(t, tt.goroutines, tt.callbacks,
				shutdown.Grace(2*sec), shutdown.Tail(20*sec))
			defer release()
			gs.Shutdown(nil)
			err := gs.Wait()
			assert.ErrorIs(t, err, shutdown.ErrTimeout)
			assert.True(t, flushed.Load(), "PhaseFlush has not run")
			r := gs.Report()
			stacks := string(r.Stacks)
			assert.NotEmpty(t, stacks)
			assert.LessOrEqual(t, len(stacks), 16<<20)
			assert.Contains(t, stacks, "shutdown_test.theCulprit")
			assert.Contains(t, stacks, `"gracekit":"shutdown/c0"`)
			assert.Contains(t, stacks, fmt.Sprintf(`"gracekit":"shutdown/c%d"`, tt.callbacks-1))
			assert.Len(t, r.Steps, tt.callbacks+1)
			assert.Less(t, strings.Count(stacks, "\n"), 30*(tt.callbacks+100), "goroutines are not merged")
		})
	}
}

// Who hangs in a later phase is in the profile that was taken for an earlier one, or has a row.
func TestProfileIsTakenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, _, release := hangingService(t, 100, 3, shutdown.Grace(sec), shutdown.Tail(sec))
		defer release()
		require.NoError(t, gs.AddCallback(shutdown.Callback{
			Name: "store", Phase: shutdown.PhaseStore, Func: hanging(t),
		}))
		gs.Shutdown(nil)
		require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
		assert.Equal(t, 1, strings.Count(string(gs.Report().Stacks), "goroutine profile: total"))
		assert.Equal(t, shutdown.StateTimeout, row(t, gs.Report(), "store").State)
	})
}

// BenchmarkStopThatHangs measures by how much a stop exceeds Grace+Tail, and what it keeps.
func BenchmarkStopThatHangs(b *testing.B) {
	const grace, tail = sec, 500 * ms
	for _, tt := range hangs {
		b.Run(tt.name, func(b *testing.B) {
			var over, stacks int64
			for b.Loop() {
				gs, flushed, release := hangingService(b, tt.goroutines, tt.callbacks,
					shutdown.Grace(grace), shutdown.Tail(tail))
				begin := time.Now()
				gs.Shutdown(nil)
				_ = gs.Wait()
				over = max(over, int64(time.Since(begin)-grace-tail))
				stacks = max(stacks, int64(len(gs.Report().Stacks)))
				require.True(b, flushed.Load(), "PhaseFlush has not run")
				release()
				debug.FreeOSMemory()
			}
			b.ReportMetric(float64(over), "ns-over-Grace+Tail")
			b.ReportMetric(float64(stacks), "stack-bytes")
		})
	}
}

// Whatever is abandoned has its stack in the report, a Watch, a Logger and an ErrorHandler, too.
func TestStacksHoldAnObserverThatHangs(t *testing.T) {
	for who, option := range map[string]func(hang func()) shutdown.Option{
		"Watch": func(hang func()) shutdown.Option {
			return shutdown.Watch(func(shutdown.Step) { hang() })
		},
		"ErrorHandler": func(hang func()) shutdown.Option {
			return shutdown.ErrorHandler(func(error) { hang() })
		},
		"Logger": func(hang func()) shutdown.Option {
			return shutdown.Logger(slog.New(logHandler(func() error { hang(); return nil })))
		},
	} {
		bubble(t, who, func(t *testing.T) {
			release := makeRelease(t)
			gs := newService(t, shutdown.Grace(10*sec),
				option(func() { _ = theCulprit(release) }))
			gs.callback("fails", 100, returns(errTest))
			gs.start()
			require.ErrorIs(t, gs.stop(), shutdown.ErrTimeout)
			r := gs.Report()
			assert.Equal(t, shutdown.StateTimeout, stageRow(r, "observers").State)
			assert.Contains(t, string(r.Stacks), "shutdown_test.theCulprit")
		})
	}
}
