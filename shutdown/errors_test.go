package shutdown_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/shutdown"
)

func TestErrorsUnwrapToTheirCause(t *testing.T) {
	panicked := &shutdown.PanicError{Value: errTest, Stack: []byte("the stack")}
	component := &shutdown.ComponentError{Name: "m", Err: panicked}
	for _, err := range []error{
		&shutdown.CallbackError{Name: "n", Phase: 250, Err: errTest},
		&shutdown.ComponentError{Name: "n", Err: errTest},
		panicked,
		&shutdown.CallbackError{Name: "n", Phase: 250, Err: component},
	} {
		assert.ErrorIs(t, err, errTest)
		assert.Contains(t, err.Error(), errTest.Error())
	}
}

func TestPanicError(t *testing.T) {
	err := &shutdown.PanicError{Value: 7, Stack: []byte("the stack")}
	assert.EqualError(t, err, "panic: 7\n\nthe stack")
	assert.NoError(t, errors.Unwrap(err), "the value is not an error")
}

func TestSentinels(t *testing.T) {
	assert.ErrorIs(t, shutdown.ErrTimeout, context.DeadlineExceeded)
	assert.NotErrorIs(t, shutdown.ErrTimeout, context.Canceled)
	assert.NotErrorIs(t, context.DeadlineExceeded, shutdown.ErrTimeout)
	for _, err := range []error{
		shutdown.ErrTimeout, shutdown.ErrAlreadyStarted, shutdown.ErrShuttingDown,
	} {
		assert.True(t, strings.HasPrefix(err.Error(), "shutdown: "), err)
	}
}
