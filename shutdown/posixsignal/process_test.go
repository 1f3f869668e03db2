//go:build unix

package posixsignal_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestSignalStraightAfterStart(t *testing.T) {
	for range 50 {
		stdout, _, status := testproc.New(t, "immediately").Run()
		require.Zero(t, status, "exit status")
		require.Regexp(t, `^drained\nshutdown: .*received terminated`, stdout)
	}
}

func TestHungCallback(t *testing.T) {
	p := testproc.Start(t, "hung, bounded")
	p.Stdout.Expect("ready")
	p.Signal(syscall.SIGTERM)
	p.Stdout.Expect("later ran")
	assert.Equal(t, 3, p.Wait(), "exit status")
	assert.Regexp(t, `work +culprit +\| *#+ *\| \S+ +timeout: .*timed out after`, &p.Stdout)
	assert.Contains(t, p.Stdout.String(), "the culprit's stack is kept")
}

func TestPanickingCallback(t *testing.T) {
	p := testproc.Start(t, "panics")
	p.Stdout.Expect("ready")
	p.Signal(syscall.SIGINT)
	p.Stdout.Expect("beside ran", "later ran")
	assert.Equal(t, 3, p.Wait(), "exit status")
	assert.Contains(t, p.Stdout.String(), "panic: boom\n")
}

func TestSecondSignalEndsTheProcess(t *testing.T) {
	for _, child := range []string{"hung", "hung logger", "hung start hook"} {
		t.Run(child, func(t *testing.T) {
			p := testproc.Start(t, child)
			p.Stdout.Expect("ready")
			p.Signal(syscall.SIGTERM)
			p.Stdout.Expect("hangs")
			p.Signal(syscall.SIGINT)
			assert.Equal(t, 1, p.Wait(), "exit status")
			one := `^received interrupt while shutting down: exiting at once(; .*)?\n$`
			assert.Regexp(t, one, p.Stderr.String(), "one line")
		})
	}
	t.Run("with a full standard error", func(t *testing.T) {
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		defer reader.Close()
		raw, err := writer.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Write(func(fd uintptr) bool {
			for {
				if _, err := syscall.Write(int(fd), make([]byte, 4096)); err != nil {
					return true
				}
			}
		}))
		p := testproc.New(t, "hung")
		p.Cmd.Stderr = writer
		p.Start()
		_ = writer.Close()
		p.Stdout.Expect("ready")
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("hangs")
		p.Signal(syscall.SIGINT)
		assert.Equal(t, 1, p.Wait(), "exit status")
	})
	t.Run("but not the first after something else has asked", func(t *testing.T) {
		p := testproc.Start(t, "something else asked")
		p.Stdout.Expect("draining")
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("alive")
		p.Signal(syscall.SIGINT)
		assert.Equal(t, 1, p.Wait(), "exit status")
	})
	t.Run("but not a repeat within the window", func(t *testing.T) {
		_, stderr, status := testproc.New(t, "repeats").Run()
		assert.Zero(t, status, "exit status; standard error: %s", stderr)
	})
}

func TestTwoManagersAskOnce(t *testing.T) {
	p := testproc.Start(t, "two managers")
	p.Stdout.Expect("ready")
	p.Signal(syscall.SIGTERM)
	p.Stdout.Expect("once")
	assert.Zero(t, p.Wait(), "exit status")
	assert.NotContains(t, p.Stdout.Rest(), "once\n")
}

// Twenty times, because a release that comes late would come late only sometimes.
func TestDefaultDispositionIsBack(t *testing.T) {
	for child, before := range map[string][]string{
		"released":                nil,
		"released after a signal": nil,
		"failed start":            {"failed: true"},
	} {
		t.Run(child, func(t *testing.T) {
			for range 20 {
				p := testproc.Start(t, child)
				p.Stdout.Expect(append(before, "over")...)
				p.Signal(syscall.SIGTERM)
				require.Equal(t, -int(syscall.SIGTERM), p.Wait(), "ended by")
			}
		})
	}
}

func TestOtherSignals(t *testing.T) {
	p := testproc.Start(t, "other signals")
	p.Stdout.Expect("ready")
	p.Signal(syscall.SIGUSR1)
	assert.Zero(t, p.Wait(), "exit status")
	assert.Contains(t, p.Stdout.String(), "received user defined signal 1")

	p = testproc.Start(t, "other signals")
	p.Stdout.Expect("ready")
	p.Signal(syscall.SIGTERM)
	assert.Equal(t, -int(syscall.SIGTERM), p.Wait(), "SIGTERM was not asked for")
}

func TestInheritedIgnoreStays(t *testing.T) {
	p := testproc.New(t, "stops").After(`trap "" INT;`).Start()
	p.Stdout.Expect("ready")
	p.Signal(syscall.SIGINT)
	p.Signal(syscall.SIGINT)
	p.Signal(syscall.SIGTERM)
	assert.Zero(t, p.Wait(), "exit status")
	assert.Contains(t, p.Stdout.String(), "received terminated")
}

// `service 2>&1 | tee log`: Ctrl-C ends tee, and the service finishes what it has begun.
func TestLogWithoutAReader(t *testing.T) {
	for _, early := range []bool{true, false} {
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		defer reader.Close()
		p := testproc.New(t, "log on standard error")
		p.Cmd.Stderr = writer
		p.Start()
		_ = writer.Close()
		if early {
			_ = reader.Close()
		}
		p.Stdout.Expect("ready")
		_ = reader.Close()
		p.Signal(syscall.SIGTERM)
		p.Stdout.Expect("broken: true")
		assert.Zero(t, p.Wait(), "exit status; reader gone before the start: %v", early)
	}
}

// The same pipe is there when the stop is complete and the signals are released.
func TestReportWithoutAReader(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	_ = reader.Close()
	p := testproc.New(t, "report on standard output")
	p.Cmd.Stdout = writer
	p.Start()
	_ = writer.Close()
	p.Stderr.Expect("ready")
	p.Signal(syscall.SIGTERM)
	p.Stderr.Expect("broken: true")
	assert.Zero(t, p.Wait(), "exit status")
}
