//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines gives each write of the program's progress.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	progress := make(lines, 1)
	var out bytes.Buffer
	cmd := program(t, "-packages", "health", "-run", "1.3s", "-count", "1000") // many minutes
	cmd.Stdout, cmd.Stderr = &out, progress
	require.NoError(t, cmd.Start())
	select {
	case <-progress: // it is measuring
	case <-time.After(time.Minute):
		t.Error("no progress")
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, out.String(), "UTC; medians of 1000 rounds", "what is complete is printed")
}
