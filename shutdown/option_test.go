package shutdown_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/shutdown"
)

func TestNonsensicalOptionsPanic(t *testing.T) {
	tests := []struct {
		want string
		call func()
	}{
		{"shutdown: Grace(0s): must be positive", func() { shutdown.Grace(0) }},
		{"shutdown: Grace(-1s): must be positive", func() { shutdown.Grace(-sec) }},
		{"shutdown: Delay(-1s): must not be negative", func() { shutdown.Delay(-sec) }},
		{"shutdown: Linger(-1s): must not be negative", func() { shutdown.Linger(-sec) }},
		{"shutdown: Tail(-1s): must not be negative", func() { shutdown.Tail(-sec) }},
		{"shutdown: Logger(nil): a logger is needed", func() { shutdown.Logger(nil) }},
		{
			"shutdown: ErrorHandler(nil): a function is needed",
			func() { shutdown.ErrorHandler(nil) },
		},
		{
			"shutdown: Delay(1s) leaves nothing of Grace(1s) to stop in",
			func() { shutdown.New(shutdown.Grace(sec), shutdown.Delay(sec)) },
		},
		{
			"shutdown: Delay(25s) leaves nothing of Grace(25s) to stop in",
			func() { shutdown.New(shutdown.Delay(25 * sec)) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) { assert.PanicsWithValue(t, tt.want, tt.call) })
	}
}

func TestNilOptionsAreSkipped(t *testing.T) {
	assert.NotPanics(t, func() { shutdown.New(nil, shutdown.Grace(1), nil) })
}
