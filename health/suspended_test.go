//go:build unix

package health_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

// A container that is paused, or out of processor time, has no probe that hangs.
func TestSuspendedProcessHasNoProbeThatHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes six seconds")
	}
	p := testproc.Start(t, "checks")
	for line, ok := "", true; line != "up <nil>"; { // the first run may be late itself
		line, ok = p.Stdout.Line()
		require.True(t, ok)
	}
	for range 3 {
		p.Signal(syscall.SIGSTOP)
		time.Sleep(1500 * time.Millisecond)
		p.Signal(syscall.SIGCONT)
		time.Sleep(100 * time.Millisecond)
	}
	assert.Equal(t, 0, p.Wait())
	assert.NotContains(t, p.Stdout.String(), "ignores its context")
}
