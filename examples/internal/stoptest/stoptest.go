//go:build unix

// Package stoptest proves of an example how it stops: in a pipeline whose other end is gone, and
// with a port that is taken. Only tests import it.
package stoptest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

// A Service is a process that has something in flight when it is told to stop.
type Service struct {
	Process *testproc.Process // not started

	// Begin returns when something is in flight. It reads what the process writes from log.
	Begin func(log *testproc.Output)

	// Stopping, if there is one, is called after the signal, to let what is in flight finish.
	Stopping func()

	// Ended checks, after the process has ended, that what was in flight was finished, and that
	// the last step of the stop was done.
	Ended func()
}

// BrokenPipe stops a service that runs as `service 2>&1 | tee log`, in ways in which nobody reads
// what it writes about its stop. Go ends a process by SIGPIPE for such a write, unless it is taken.
func BrokenPipe(t *testing.T, newService func(t *testing.T) Service) {
	t.Helper()
	tests := []struct {
		name string
		stop func(t *testing.T, service, tee *testproc.Process)
	}{
		{"Ctrl-C ends tee as well", func(t *testing.T, service, tee *testproc.Process) {
			require.NoError(t, syscall.Kill(-service.Cmd.Process.Pid, syscall.SIGINT))
			assert.Equal(t, -int(syscall.SIGINT), tee.Wait(), "how tee ended")
		}},
		{"tee has gone before the signal", func(t *testing.T, service, tee *testproc.Process) {
			tee.Signal(syscall.SIGKILL)
			tee.Wait()
			service.Signal(syscall.SIGTERM)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t)
			tee := pipeToTee(t, s.Process)
			s.Begin(&tee.Stdout)
			tt.stop(t, s.Process, tee)
			if s.Stopping != nil {
				s.Stopping()
			}
			assert.Equal(t, 0, s.Process.Wait(), "exit status; log:\n%s", &tee.Stdout)
			s.Ended()
		})
	}
}

// pipeToTee starts a service and tee as a shell with job control does: one pipe, one process group.
func pipeToTee(t *testing.T, service *testproc.Process) (tee *testproc.Process) {
	t.Helper()
	path, err := exec.LookPath("tee")
	if err != nil {
		t.Skip(err)
	}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	defer write.Close()

	service.Cmd.Stdout, service.Cmd.Stderr = write, write
	service.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	service.Start()

	tee = testproc.New(t, "", filepath.Join(t.TempDir(), "log"))
	tee.Cmd.Path, tee.Cmd.Args[0], tee.Cmd.Stdin = path, path, read
	tee.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: service.Cmd.Process.Pid}
	return tee.Start()
}

// PortInUse runs a program whose port is taken and whose delay is long. It has to say so once, and
// without waiting for the delay: there is nothing that a balancer could have sent it.
func PortInUse(t *testing.T, p *testproc.Process, delay time.Duration) {
	t.Helper()
	begin := time.Now()
	stdout, stderr, status := p.Run()
	assert.Less(t, time.Since(begin), delay, "the delay was waited for")
	assert.Equal(t, 1, status, "exit status")
	assert.Empty(t, stdout)
	assert.Equal(t, 1, strings.Count(stderr, "address already in use"), "how often: %s", stderr)
	assert.Equal(t, 1, strings.Count(stderr, "\n"), "lines: %s", stderr)
}
