package posixsignal_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

// A synctest bubble ends only when every goroutine started in it has ended, so each test here is a leak check too.

// service is a GracefulShutdown that takes a minute to stop and gets its signals from a channel.
func service(t *testing.T, opts ...posixsignal.Option) (gs *shutdown.GracefulShutdown, source chan os.Signal, forced *[]os.Signal) {
	t.Helper()
	source, forced = make(chan os.Signal), new([]os.Signal)
	opts = append(opts, posixsignal.Source(source), posixsignal.OnForce(func(sig os.Signal) { *forced = append(*forced, sig) }), nil)
	gs = shutdown.New(shutdown.Grace(2 * time.Minute))
	require.NoError(t, gs.AddManager(posixsignal.New(opts...)))
	require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "slow", Func: func(context.Context) error { time.Sleep(time.Minute); return nil }}))
	require.NoError(t, gs.Start(t.Context()))
	return gs, source, forced
}

func TestFirstAsksSecondForces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, source, forced := service(t)
		source <- syscall.SIGTERM
		<-gs.Draining()
		source <- os.Interrupt
		source <- syscall.SIGTERM
		synctest.Wait()
		assert.Equal(t, []os.Signal{os.Interrupt, syscall.SIGTERM}, *forced)
		require.NoError(t, gs.Wait())

		r := gs.Report()
		assert.Equal(t, "posixsignal", r.Manager)
		assert.EqualError(t, r.Reason, "posixsignal: received terminated")
		var e *posixsignal.Error
		require.ErrorAs(t, r.Reason, &e)
		assert.Equal(t, syscall.SIGTERM, e.Signal)
		assert.ErrorIs(t, r.Reason, context.Canceled)
		assert.NotErrorIs(t, r.Reason, context.DeadlineExceeded)
	})
}

func TestFirstSignalDoesNotForceAStopThatSomethingElseBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, source, forced := service(t)
		why := errors.New("lease lost")
		gs.Shutdown(why)
		source <- syscall.SIGTERM
		synctest.Wait()
		assert.Empty(t, *forced)
		source <- syscall.SIGTERM
		synctest.Wait()
		assert.Len(t, *forced, 1)
		require.NoError(t, gs.Wait())
		assert.Equal(t, why, gs.Report().Reason)
	})
}

func TestForceWindow(t *testing.T) {
	for after, want := range map[time.Duration]int{0: 0, time.Second - 1: 0, time.Second: 1} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs, source, forced := service(t, posixsignal.ForceWindow(time.Second))
				source <- os.Interrupt
				<-gs.Draining()
				time.Sleep(after)
				source <- os.Interrupt
				synctest.Wait()
				assert.Len(t, *forced, want)
				require.NoError(t, gs.Wait())
			})
		})
	}
}

func TestClosedSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, source, _ := service(t)
		close(source)
		synctest.Wait()
		assert.Nil(t, gs.Report().Reason)
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
	})
}

func TestNothingIsReadAfterTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, source, _ := service(t)
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		synctest.Wait()
		select {
		case source <- os.Interrupt:
			t.Error("read after the stop")
		default:
		}
	})
}

func TestZeroError(t *testing.T) {
	assert.EqualError(t, &posixsignal.Error{}, "posixsignal: received a signal")
}

func TestNonsensePanicsWithItsName(t *testing.T) {
	assert.NotPanics(t, func() { posixsignal.ForceWindow(0) }, "the default")
	tests := []struct {
		want string
		call func()
	}{
		{"posixsignal: Signals: at least one signal is needed", func() { posixsignal.Signals() }},
		{"posixsignal: Signals: nil signal", func() { posixsignal.Signals(nil) }},
		{"posixsignal: Signals(killed): no process can catch this signal", func() { posixsignal.Signals(os.Kill) }},
		{"posixsignal: OnForce(nil): a function is needed", func() { posixsignal.OnForce(nil) }},
		{"posixsignal: ForceWindow(-1s): must not be negative", func() { posixsignal.ForceWindow(-time.Second) }},
		{"posixsignal: Source(nil): a channel is needed", func() { posixsignal.Source(nil) }},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) { assert.PanicsWithValue(t, tt.want, tt.call) })
	}
}
