//go:build unix

package posixsignal_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSignalStraightAfterStart(t *testing.T) {
	for range 100 {
		output, status := start(t, "immediately").wait()
		require.Zero(t, status, "exit status")
		require.Contains(t, output, "shutdown: posixsignal: received terminated (posixsignal), ")
	}
}

func TestHungCallback(t *testing.T) {
	p := start(t, "hung")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	output, status := p.wait()
	assert.Equal(t, 3, status, "exit status")
	assert.Contains(t, output, "later ran\n")
	assert.Regexp(t, `work +culprit +\|#+ *\| \S+ +timeout: culprit \(work\): shutdown: timed out after [\d.]+m?s`, output)
	assert.Contains(t, output, "the culprit's stack is kept")
}

func TestPanickingCallback(t *testing.T) {
	p := start(t, "panics")
	p.expect("ready")
	p.signal(syscall.SIGINT)
	output, status := p.wait()
	assert.Equal(t, 3, status, "exit status")
	assert.Contains(t, output, "beside ran\n")
	assert.Contains(t, output, "later ran\n")
	assert.Contains(t, output, "panic: broken (work): panic: boom\n")
}

func TestSecondSignalEndsTheProcess(t *testing.T) {
	p := start(t, "slow")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	p.expect("asked")
	p.signal(syscall.SIGTERM)
	_, status := p.wait()
	assert.Equal(t, 1, status, "exit status")
	assert.Equal(t, "received terminated while shutting down: exiting at once\n", p.stderr.String())
}

// Twenty times, because a release that comes late would come late only sometimes.
func TestDefaultDispositionIsBack(t *testing.T) {
	for child, ready := range map[string]string{
		"released":     "ready",
		"failed start": "shutdown: starting manager broken: no",
	} {
		t.Run(child, func(t *testing.T) {
			for range 20 {
				p := start(t, child)
				p.expect(ready)
				p.signal(syscall.SIGTERM)
				_, status := p.wait()
				require.Equal(t, -int(syscall.SIGTERM), status, "ended by")
			}
		})
	}
}

func TestOtherSignals(t *testing.T) {
	p := start(t, "other signals")
	p.expect("ready")
	p.signal(syscall.SIGUSR1)
	output, status := p.wait()
	assert.Zero(t, status, "exit status")
	assert.Contains(t, output, "posixsignal: received user defined signal 1")

	p = start(t, "other signals")
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	_, status = p.wait()
	assert.Equal(t, -int(syscall.SIGTERM), status, "SIGTERM was not asked for")
}

func TestInheritedIgnoreStays(t *testing.T) {
	p := start(t, "nohup")
	p.expect("ready")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	output, status := p.wait()
	assert.Zero(t, status, "exit status")
	assert.Contains(t, output, "posixsignal: received terminated")
}
