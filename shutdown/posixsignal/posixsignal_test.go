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

	"github.com/gracekit/gracekit/internal/control"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/signals"
)

// A synctest bubble ends only when every goroutine started in it has ended, so each test here is a
// leak check too.

// A service takes a minute to stop and gets its signals from a channel.
type service struct {
	*shutdown.GracefulShutdown
	source chan os.Signal
	forced *[]os.Signal
}

// stop runs a test in a bubble with a service that has been started.
func stop(t *testing.T, test func(t *testing.T, s service), opts ...posixsignal.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := service{shutdown.New(shutdown.Grace(2 * time.Minute)), make(chan os.Signal), nil}
		s.forced = new([]os.Signal)
		opts := append(opts, nil, signals.Source(s.source),
			signals.OnForce(func(sig os.Signal) { *s.forced = append(*s.forced, sig) }))
		require.NoError(t, s.AddManager(posixsignal.New(opts...)))
		require.NoError(t, s.AddCallback(shutdown.Callback{
			Name: "slow",
			Func: func(context.Context) error { time.Sleep(time.Minute); return nil },
		}))
		require.NoError(t, s.Start(t.Context()))
		test(t, s)
		require.NoError(t, s.Wait())
	})
}

func TestFirstAsksSecondForces(t *testing.T) {
	stop(t, func(t *testing.T, s service) {
		s.source <- syscall.SIGTERM
		<-s.Draining()
		s.source <- os.Interrupt
		time.Sleep(time.Second)
		s.source <- os.Interrupt
		synctest.Wait()
		assert.Equal(t, []os.Signal{os.Interrupt, os.Interrupt}, *s.forced)
		require.NoError(t, s.Wait())
		assert.Equal(t, "posixsignal", s.Report().Manager)
	})
}

func TestReason(t *testing.T) {
	stop(t, func(t *testing.T, s service) {
		s.source <- syscall.SIGTERM
		require.NoError(t, s.Wait())
		reason := s.Report().Reason
		var e *posixsignal.Error
		require.ErrorAs(t, reason, &e)
		assert.Equal(t, syscall.SIGTERM, e.Signal)
		assert.Equal(t, 143, e.ExitCode())
		assert.ErrorIs(t, reason, context.Canceled)
		assert.NotErrorIs(t, reason, context.DeadlineExceeded)
		assert.Contains(t, s.Report().String(), "received terminated")

		assert.ErrorIs(t, context.Cause(s.Context()), reason)
		sig, ok := signals.FromContext(s.Context())
		assert.True(t, ok, "package signals finds it in the service's context")
		assert.Equal(t, syscall.SIGTERM, sig)
	})
}

func TestFirstSignalDoesNotForceAStopThatSomethingElseBegan(t *testing.T) {
	stop(t, func(t *testing.T, s service) {
		why := errors.New("lease lost")
		s.Shutdown(why)
		synctest.Wait()
		s.source <- syscall.SIGTERM
		synctest.Wait()
		assert.Empty(t, *s.forced)
		s.source <- os.Interrupt
		synctest.Wait()
		assert.Equal(t, []os.Signal{os.Interrupt}, *s.forced)
		require.NoError(t, s.Wait())
		assert.Equal(t, why, s.Report().Reason)
		assert.Empty(t, s.Report().Manager)
	})
}

func TestForceWindow(t *testing.T) {
	window := []posixsignal.Option{signals.ForceWindow(time.Second)}
	tests := []struct {
		name  string
		opts  []posixsignal.Option
		after time.Duration
		sig   os.Signal
		want  int
	}{
		{"default: a repeat at once", nil, 0, os.Interrupt, 0},
		{"default: a repeat just inside", nil, 5*time.Millisecond - 1, os.Interrupt, 0},
		{"default: a repeat at its end", nil, 5 * time.Millisecond, os.Interrupt, 1},
		{"default: another signal", nil, 0, syscall.SIGTERM, 1},
		{"a repeat just inside", window, time.Second - 1, os.Interrupt, 0},
		{"a repeat at its end", window, time.Second, os.Interrupt, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stop(t, func(t *testing.T, s service) {
				s.source <- os.Interrupt
				<-s.Draining()
				time.Sleep(tt.after)
				s.source <- tt.sig
				synctest.Wait()
				assert.Len(t, *s.forced, tt.want)
			}, tt.opts...)
		})
	}
}

func TestClosedSource(t *testing.T) {
	stop(t, func(t *testing.T, s service) {
		close(s.source)
		time.Sleep(time.Minute)
		assert.Nil(t, s.Report().Reason)
		assert.True(t, s.Shutdown(nil))
	})
}

func TestNothingIsReadAfterTheStop(t *testing.T) {
	stop(t, func(t *testing.T, s service) {
		s.source <- os.Interrupt
		require.NoError(t, s.Wait())
		synctest.Wait()
		assertNotRead(t, s.source)
		assert.Empty(t, *s.forced)
	})
}

func assertNotRead(t *testing.T, source chan<- os.Signal) {
	t.Helper()
	select {
	case source <- os.Interrupt:
		t.Error("a signal is read")
	default:
	}
}

// An OnForce that hangs, or a Release while it does, holds up nothing.
func TestOnForceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, goOn := make(chan os.Signal, 10), make(chan struct{})
		gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Tail(time.Second))
		onForce := signals.OnForce(func(os.Signal) { <-goOn })
		require.NoError(t, gs.AddManager(posixsignal.New(signals.Source(source), onForce)))
		require.NoError(t, gs.AddCallback(shutdown.Callback{
			Name: "hung",
			Func: func(context.Context) error { <-goOn; return nil },
		}))
		require.NoError(t, gs.Start(t.Context()))
		begin := time.Now()
		source <- os.Interrupt
		source <- syscall.SIGTERM
		require.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
		assert.LessOrEqual(t, time.Since(begin), 11*time.Second)
		close(goOn)
	})
}

type broken struct{ err error }

func (broken) Name() string                               { return "broken" }
func (b broken) Start(context.Context, func(error)) error { return b.err }

func TestFailedStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		other := &broken{errors.New("no")}
		gs := shutdown.New()
		require.NoError(t, gs.AddManager(posixsignal.New(signals.Source(source)), other))
		require.ErrorIs(t, gs.Start(t.Context()), other.err)
		synctest.Wait()
		assertNotRead(t, source)

		other.err = nil
		require.NoError(t, gs.Start(t.Context()), "a second Start")
		source <- os.Interrupt
		require.NoError(t, gs.Wait())
	})
}

// The tests below play the part of the GracefulShutdown.

func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		m := posixsignal.New(signals.Source(source))
		release := m.(shutdown.Releaser).Release
		release()
		release()

		var reasons []error
		request := func(reason error) { reasons = append(reasons, reason) }
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			require.NoError(t, m.Start(ctx, request))
			cancel()
			synctest.Wait()
			source <- syscall.SIGTERM
			synctest.Wait()
			release()
			release()
			synctest.Wait()
			assertNotRead(t, source)
		}
		want := &posixsignal.Error{Signal: syscall.SIGTERM}
		assert.Equal(t, []error{want, want}, reasons, "the end of ctx releases nothing")
	})
}

func TestSecondStartReleasesTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which ends only when both goroutines have
		m := posixsignal.New(signals.Source(make(chan os.Signal)))
		request := func(error) { t.Error("requested") }
		require.NoError(t, m.Start(t.Context(), request))
		require.NoError(t, m.Start(t.Context(), request))
		m.(shutdown.Releaser).Release()
	})
}

func TestSecondHurries(t *testing.T) {
	// run starts a manager that gets these signals, and returns what it did.
	run := func(t *testing.T, opts []posixsignal.Option, sigs ...os.Signal) (did []string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			hurried := false
			ctx := control.NewContext(t.Context(), control.Control{Hurry: func() bool {
				first := !hurried && did != nil // nothing can be hurried before it was requested
				hurried = true
				did = append(did, "hurry")
				return first
			}})
			source := make(chan os.Signal)
			opts := append(opts, signals.Source(source), signals.OnForce(func(sig os.Signal) {
				did = append(did, "force: "+sig.String())
			}))
			m := posixsignal.New(opts...)
			defer m.(shutdown.Releaser).Release()
			require.NoError(t, m.Start(ctx, func(reason error) {
				did = append(did, "request: "+reason.Error())
			}))
			for _, sig := range sigs {
				source <- sig
			}
			synctest.Wait()
		})
		return did
	}
	hurries := []posixsignal.Option{posixsignal.SecondHurries()}
	const asked = "request: signals: received interrupt"

	assert.Equal(t, []string{asked, "force: terminated"},
		run(t, nil, os.Interrupt, syscall.SIGTERM), "without the option")
	assert.Equal(t, []string{asked},
		run(t, hurries, os.Interrupt, os.Interrupt), "a repeat is no second signal")
	assert.Equal(t, []string{asked, "hurry", "force: quit"},
		run(t, hurries, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT))

	t.Run("package signals takes it, and forces", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := make(chan os.Signal)
			var forced []os.Signal
			ctx, cancel := signals.NotifyContext(t.Context(), posixsignal.SecondHurries(),
				signals.Source(source),
				signals.OnForce(func(sig os.Signal) { forced = append(forced, sig) }))
			defer cancel()
			source <- os.Interrupt
			<-ctx.Done()
			source <- syscall.SIGTERM
			synctest.Wait()
			assert.Equal(t, []os.Signal{syscall.SIGTERM}, forced)
		})
	})
}
