//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary runs itself again to be the server or the client, so that it gets real signals.
const childVariable = "GRPCSERVER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	// Whoever runs the tests in the background may have these ignored, which children inherit unless somebody takes them.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	os.Exit(m.Run())
}

// A process is the program under test. What it logs is kept line by line.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout strings.Builder // to be read after wait
	addr   string

	mu    sync.Mutex
	log   []string
	ended chan struct{} // closed when the log has ended, which is when the process has
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// start starts a server on a free port and returns when it is up. It is killed at the end of the test, if it is still there.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(t, append([]string{"-addr", "127.0.0.1:0"}, args...)...), ended: make(chan struct{})}
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	listening := make(chan string, 1)
	go func() {
		defer close(p.ended)
		pattern := regexp.MustCompile(`msg=listening addr=(\S+) `)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.log = append(p.log, lines.Text())
			p.mu.Unlock()
			if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
				listening <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			p.wait()
		}
	})
	select {
	case p.addr = <-listening:
	case <-p.ended:
		require.Fail(t, "the server has ended", "%s", p.logged())
	}
	return p
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// wait returns the exit status, -1 if a signal has ended the process.
func (p *process) wait() int {
	p.t.Helper()
	<-p.ended // Wait closes the pipe
	return exitStatus(p.t, p.cmd.Wait())
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n") + "\n"
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	require.NoError(t, err)
	return 0
}

// output runs the program to its end.
func output(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs strings.Builder
	cmd := command(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	status = exitStatus(t, cmd.Run())
	return out.String(), errs.String(), status
}
