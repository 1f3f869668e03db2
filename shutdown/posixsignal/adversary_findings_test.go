//go:build unix

package posixsignal_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Standard error may be a pipe that is full and that nobody reads, just when a stop hangs: the second signal forces all
// the same.
func TestAdversaryProcessForcesWithFullStandardError(t *testing.T) {
	_, writer := fullPipe(t)
	p := prepare(t, "hangs")
	p.cmd.Stderr = writer
	p.run()
	_ = writer.Close()
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("hangs")
	p.signal(syscall.SIGTERM)
	_, status := p.wait()
	assert.Equal(t, 1, status, "exit status; otherwise it was held by standard error")
}
