package signals_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/signals"
)

// unnumbered is a signal that is no syscall.Signal.
type unnumbered struct{}

func (unnumbered) String() string { return "note: interrupt" }
func (unnumbered) Signal()        {}

func TestError(t *testing.T) {
	tests := []struct {
		name string
		err  *signals.Error
		text string
		code int
	}{
		{"SIGHUP", &signals.Error{Signal: syscall.SIGHUP}, "signals: received hangup", 129},
		{"SIGINT", &signals.Error{Signal: os.Interrupt}, "signals: received interrupt", 130},
		{"SIGTERM", &signals.Error{Signal: syscall.SIGTERM}, "signals: received terminated", 143},
		{"number 0", &signals.Error{Signal: syscall.Signal(0)}, "signals: received signal 0", 1},
		{"no number", &signals.Error{Signal: unnumbered{}}, "signals: received note: interrupt", 1},
		{"zero value", &signals.Error{}, "signals: received a signal", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.text, tt.err.Error())
			assert.Equal(t, tt.code, tt.err.ExitCode())
			assert.ErrorIs(t, tt.err, context.Canceled)
			assert.NotErrorIs(t, tt.err, context.DeadlineExceeded)

			wrapped := fmt.Errorf("serving: %w", tt.err)
			assert.ErrorIs(t, wrapped, context.Canceled)
			var target *signals.Error
			require.ErrorAs(t, wrapped, &target)
			assert.Same(t, tt.err, target, "As sets the target")
		})
	}
}

func TestFromContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(chan os.Signal)
		ctx, cancel := signals.NotifyContext(t.Context(), signals.Source(source))
		defer cancel()
		type key struct{}
		child, cancelChild := context.WithTimeout(context.WithValue(ctx, key{}, 1), time.Hour)
		defer cancelChild()
		other, cancelOther := context.WithCancel(ctx)
		cancelOther() // ends before the signal, for another reason

		none := func(ctx context.Context, message string) {
			t.Helper()
			sig, ok := signals.FromContext(ctx)
			assert.False(t, ok, message)
			assert.Nil(t, sig, message)
		}
		none(ctx, "it has not ended")
		none(child, "it has not ended")
		none(other, "something else ended it")
		none(context.Background(), "it never ends")

		source <- syscall.SIGTERM
		<-child.Done()
		for _, c := range []context.Context{ctx, child, context.WithValue(child, key{}, 2)} {
			sig, ok := signals.FromContext(c)
			assert.True(t, ok)
			assert.Equal(t, syscall.SIGTERM, sig)
			assert.Equal(t, context.Canceled, c.Err())
		}
		none(other, "something else ended it")
		none(context.WithoutCancel(ctx), "it has not ended")
	})
}
