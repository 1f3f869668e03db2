//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test binary runs itself again to be the worker, so that it gets real signals.
const childVariable = "WORKER_TEST_CHILD"

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

// A process is a worker under test. What it logs is kept line by line.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	file   string // the journal
	health string // URL without a path
	stdout strings.Builder

	mu    sync.Mutex
	lines []string
	ended chan struct{} // closed when the log has ended, which is when the process has
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // never reached unless a test fails
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// start returns when the worker has said that it is started. Its jobs are idle for an hour unless args say otherwise.
func start(t *testing.T, file string, args ...string) *process {
	t.Helper()
	args = append([]string{"-journal", file, "-addr", "127.0.0.1:0",
		"-collect-every", "1h", "-collect-takes", "0s", "-report-every", "1h", "-report-takes", "0s"}, args...)
	p := &process{t: t, cmd: command(t, args...), file: file, ended: make(chan struct{})}
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // no effect on one that has ended
	go func() {
		defer close(p.ended)
		for in := bufio.NewReader(stderr); ; {
			line, err := in.ReadString('\n')
			p.mu.Lock()
			p.lines = append(p.lines, line)
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	p.health = p.waitFor(`msg=started .* health=(\S+)/livez`)[1]
	return p
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "")
}

// waitFor waits until the log matches the pattern, and returns the first match and its groups.
func (p *process) waitFor(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	require.Eventually(p.t, func() bool {
		found = re.FindStringSubmatch(p.log())
		return found != nil
	}, time.Minute, time.Millisecond, "no %q in the log", pattern)
	return found
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// wait returns the exit status, -1 for one killed.
func (p *process) wait() int {
	p.t.Helper()
	<-p.ended
	return exitStatus(p.t, p.cmd.Wait())
}

// stop asks with a SIGTERM, and expects that no tick began after it was received and that none was left unfinished.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	require.Equal(p.t, 0, p.wait(), "exit status; log:\n%s", p.log())
	begin := p.stopBegan()
	for _, r := range readTicks(p.t, p.file) {
		assert.False(p.t, r.began.After(begin), "%s began at %v, after the stop, at %v", r.key(), r.began, begin)
		assert.NotEqual(p.t, "begun", r.state, "%s was not finished", r.key())
	}
	assert.Regexp(p.t, `work +collect +\|.*\| .* ok`, p.stdout.String())
}

func (p *process) stopBegan() time.Time {
	p.t.Helper()
	at, err := time.Parse(time.RFC3339Nano, p.waitFor(`time=(\S+) level=INFO msg="shutdown begins"`)[1])
	require.NoError(p.t, err)
	return at
}

func (p *process) get(path string) (status int, body string) {
	p.t.Helper()
	resp, err := http.Get(p.health + path)
	require.NoError(p.t, err, "log:\n%s", p.log())
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, string(b)
}

// waitForBody asks again and again until what it gets matches the pattern.
func (p *process) waitForBody(path, pattern string) {
	p.t.Helper()
	require.EventuallyWithT(p.t, func(c *assert.CollectT) {
		_, body := p.get(path)
		assert.Regexp(c, pattern, body)
	}, time.Minute, 10*time.Millisecond)
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

// A row is a tick as the journal has it.
type row struct {
	tick
	state, error string
	ended        time.Time
	deliveries   int // how often the receiver has had its key
}

// readTicks returns all ticks in the order in which they were scheduled, job by job.
func readTicks(t *testing.T, file string) []row {
	t.Helper()
	db, err := openDatabase(file)
	require.NoError(t, err)
	defer db.Close()
	rows, err := db.Query(`
		SELECT job, scheduled, since, state, attempts, began, coalesce(ended, began), coalesce(error, ''), coalesce(repeated + 1, 0)
		FROM ticks LEFT JOIN deliveries ON key = job || '/' || scheduled WHERE state != 'new' ORDER BY job, scheduled`)
	require.NoError(t, err)
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		var scheduled, since, began, ended string
		require.NoError(t, rows.Scan(&r.job, &scheduled, &since, &r.state, &r.attempt, &began, &ended, &r.error, &r.deliveries))
		for to, text := range map[*time.Time]string{&r.scheduled: scheduled, &r.since: since, &r.began: began, &r.ended: ended} {
			*to, err = time.Parse(stamp, text)
			require.NoError(t, err)
		}
		all = append(all, r)
	}
	require.NoError(t, rows.Err())
	return all
}

func readJob(t *testing.T, file, job string) []row {
	t.Helper()
	var of []row
	for _, r := range readTicks(t, file) {
		if r.job == job {
			of = append(of, r)
		}
	}
	return of
}

// requireNothingLost checks the whole history of a journal: the work of the ticks that were done follows on without a gap and without
// an overlap, no two ticks of a job ran at the same time, each was delivered, and none more often than it was attempted.
func requireNothingLost(t *testing.T, file string) {
	t.Helper()
	for _, job := range []string{"collect", "report"} {
		var before, doneBefore row
		for _, r := range readJob(t, file, job) {
			require.NotEqual(t, "begun", r.state, "%s was not finished", r.key())
			require.False(t, r.began.Before(before.ended), "%s ran at the same time as %s", r.key(), before.key())
			before = r
			if r.state != "done" {
				continue
			}
			if !doneBefore.scheduled.IsZero() {
				require.Equal(t, doneBefore.scheduled, r.since, "work of %s", r.key())
			}
			require.True(t, r.since.Before(r.scheduled), "work of %s", r.key())
			require.GreaterOrEqual(t, r.deliveries, 1, "%s has no effect", r.key())
			require.LessOrEqual(t, r.deliveries, r.attempt, "deliveries of %s", r.key())
			doneBefore = r
		}
	}
}
