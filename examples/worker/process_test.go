//go:build unix

package main

import (
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"main": main})
	os.Exit(m.Run())
}

// A process is a worker under test. Its log is its standard error.
type process struct {
	*testproc.Process
	t      *testing.T
	file   string // the journal
	health string // URL without a path
}

// start returns when the worker has said that it is started. Its jobs are idle for years unless
// args say otherwise.
func start(t *testing.T, file string, args ...string) *process {
	t.Helper()
	p := newProcess(t, file, args...).Start()
	health := p.Stderr.Await(`msg=started .* health=(\S+)/livez`)[1]
	return &process{Process: p, t: t, file: file, health: health}
}

func newProcess(t *testing.T, file string, args ...string) *testproc.Process {
	t.Helper()
	args = append([]string{"-journal", file, "-addr", "127.0.0.1:0",
		"-collect-every", "87600h", "-collect-takes", "0s", "-report-every", "87600h", "-report-takes", "0s"}, args...)
	return testproc.New(t, "main", args...)
}

// stop asks with a SIGTERM, and expects that no tick began after it was received and that none was
// left unfinished.
func (p *process) stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	require.Equal(p.t, 0, p.Wait(), "exit status; log:\n%s", p.Stderr.String())
	begin := p.stopBegan()
	for _, r := range readTicks(p.t, p.file) {
		assert.False(p.t, r.began.After(begin), "%s began at %v, after the stop, at %v", r.key(), r.began, begin)
		assert.NotEqual(p.t, "begun", r.state, "%s was not finished", r.key())
	}
	assert.Regexp(p.t, `work +collect +\|.*\| .* ok`, p.Stdout.String())
}

func (p *process) stopBegan() time.Time {
	p.t.Helper()
	at, err := time.Parse(time.RFC3339Nano, p.Stderr.Await(`time=(\S+) level=INFO msg="shutdown begins"`)[1])
	require.NoError(p.t, err)
	return at
}

func (p *process) get(path string) (status int, body string) {
	p.t.Helper()
	resp, err := http.Get(p.health + path)
	require.NoError(p.t, err, "log:\n%s", p.Stderr.String())
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

// requireNothingLost checks the whole history of a journal: the work of the ticks that were done
// follows on without a gap and without an overlap, no two ticks of a job ran at the same time, each
// was delivered, and none more often than it was attempted.
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
