package k8ssignals

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/signals"
)

var _ = before // it takes the signals for good, so that only one of the two can run in a process

func TestAfter(t *testing.T) {
	err := after(func(ctx context.Context) error {
		assert.Zero(t, afterExitCode(ctx), "before any signal")
		assert.True(t, signals.RequestShutdown())
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Error("the context did not end")
		}
		return nil
	})
	assert.NoError(t, err)
}
