//go:build unix

package k8ssignals

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/migration/internal/process"
	"github.com/gracekit/gracekit/signals"
)

// Both take the signals of their process for good, so each test has a process.
func TestMain(m *testing.M) {
	process.Main(m, map[string]func(){
		"before":       func() { exit(before(drain), 0) },
		"before twice": func() { _, _ = before(drain), before(drain) },
		"after": func() {
			var ctx context.Context
			err := after(func(c context.Context) error { ctx = c; return drain(c) })
			exit(err, afterExitCode(ctx))
		},
		"after twice": func() { _, _ = after(drain), after(drain) },
		"after request": func() {
			var ctx context.Context
			err := after(func(c context.Context) error {
				ctx = c
				fmt.Println(afterExitCode(c), signals.RequestShutdown(), signals.RequestShutdown())
				return drain(c)
			})
			exit(err, afterExitCode(ctx))
		},
	})
}

func drain(ctx context.Context) error {
	fmt.Println("ready")
	<-ctx.Done()
	fmt.Println("draining")
	process.AwaitGoOn()
	fmt.Println("drained")
	return nil
}

func exit(err error, code int) {
	if err != nil {
		code = 99
	}
	os.Exit(code)
}

func TestFirstSignal(t *testing.T) {
	for child, want := range map[string]int{"before": 0, "after": 128 + int(syscall.SIGTERM)} {
		t.Run(child, func(t *testing.T) {
			p := startDraining(t, child)
			p.GoOn()
			stdout, stderr, status := p.Wait()
			assert.Equal(t, "drained\n", stdout)
			assert.Empty(t, stderr)
			assert.Equal(t, want, status)
		})
	}
}

// startDraining starts a child and asks it to stop.
func startDraining(t *testing.T, child string) *process.Process {
	t.Helper()
	p := process.Start(t, child, "")
	require.Equal(t, "ready", p.Line())
	p.Signal(syscall.SIGTERM)
	require.Equal(t, "draining", p.Line())
	return p
}

func TestSecondSignal(t *testing.T) {
	for child, want := range map[string]string{"before": "", "after": "received interrupt while shutting down: exiting at once\n"} {
		t.Run(child, func(t *testing.T) {
			p := startDraining(t, child)
			p.Signal(syscall.SIGINT) // a second SIGTERM within 5ms would count as the same
			stdout, stderr, status := p.Wait()
			assert.Empty(t, stdout)
			assert.Equal(t, want, stderr)
			assert.Equal(t, 1, status)
		})
	}
}

// The SIGINT that the parent has the process ignore is the first signal before, and none after.
func TestIgnoredSignal(t *testing.T) {
	for child, want := range map[string]int{"before": 1, "after": 128 + int(syscall.SIGTERM)} {
		t.Run(child, func(t *testing.T) {
			p := process.Start(t, child, `trap "" INT;`)
			require.Equal(t, "ready", p.Line())
			p.Signal(syscall.SIGINT)
			if child == "before" {
				require.Equal(t, "draining", p.Line())
			}
			p.Signal(syscall.SIGTERM)
			if child == "after" {
				require.Equal(t, "draining", p.Line())
				p.GoOn()
			}
			_, _, status := p.Wait()
			assert.Equal(t, want, status)
		})
	}
}

func TestCalledTwice(t *testing.T) {
	for child, want := range map[string]string{"before twice": "close of closed channel", "after twice": "after.go:"} {
		t.Run(child, func(t *testing.T) {
			p := startDraining(t, child)
			p.GoOn()
			_, stderr, status := p.Wait()
			message, _, _ := strings.Cut(stderr, "\n")
			assert.Contains(t, message, want)
			assert.Equal(t, 2, status)
		})
	}
}

func TestRequestShutdown(t *testing.T) {
	p := process.Start(t, "after request", "")
	assert.Equal(t, "0 true false", p.Line(), "no exit code before, then the first request, then one that does nothing")
	require.Equal(t, "ready", p.Line())
	require.Equal(t, "draining", p.Line())
	p.GoOn()
	_, _, status := p.Wait()
	assert.Zero(t, status, "nobody sent a signal")
}
