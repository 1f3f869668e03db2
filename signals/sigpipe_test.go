//go:build unix

package signals_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/internal/testproc"
)

// `service 2>&1 | tee log`: Ctrl-C ends tee, and the service finishes what it has begun.
func TestLogWithoutAReader(t *testing.T) {
	for _, log := range []string{"output", "error"} {
		for _, gone := range []string{"before the start", "before the signal"} {
			t.Run("standard "+log+", reader gone "+gone, func(t *testing.T) {
				reader, writer := pipe(t)
				p := testproc.New(t, "drain, log on standard "+log)
				said := &p.Stderr
				if log == "output" {
					p.Cmd.Stdout = writer
				} else {
					p.Cmd.Stderr, said = writer, &p.Stdout
				}
				if gone == "before the start" {
					_ = reader.Close()
				}
				p.Start()
				_ = writer.Close()
				said.Expect("ready")
				_ = reader.Close()
				p.Signal(syscall.SIGTERM)
				said.Expect("broken: true", "finished")
				assert.Equal(t, 0, p.Wait(), "exit status")
			})
		}
	}
}

func TestSIGPIPE(t *testing.T) {
	tests := []struct {
		child, said string
		status      int
	}{
		{"broken pipe, released", "true\n", -int(syscall.SIGPIPE)},
		{"broken pipe, one of two released", "true\n", 0},
		{"broken pipe, Handle alone", "", -int(syscall.SIGPIPE)},
		{"broken pipe, Source", "", -int(syscall.SIGPIPE)},
		{"broken pipe, ignored", "ignored: true\nignored: true\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.child, func(t *testing.T) {
			reader, writer := pipe(t)
			_ = reader.Close()
			p := testproc.New(t, tt.child)
			p.Cmd.Stdout = writer
			_, stderr, status := p.Run()
			assert.Equal(t, tt.said, stderr)
			assert.Equal(t, tt.status, status, "exit status, or the signal that ended it")
		})
	}
	t.Run("children do not inherit anything", func(t *testing.T) {
		stdout, _, _ := testproc.New(t, "broken pipe, children").Run()
		assert.Equal(t, "signal: broken pipe\n", stdout)
	})
}
