//go:build unix

package main

import (
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/internal/stoptest"
	"github.com/gracekit/gracekit/internal/testproc"
)

// Busy jobs: collect takes as long as its interval, so that there is nearly always a tick in
// progress.
var busy = []string{"-collect-every", "20ms", "-collect-takes", "20ms", "-report-every", "100ms", "-report-takes", "40ms"}

func TestSIGTERMAtAnyMoment(t *testing.T) {
	for n := range 3 {
		t.Run("worker "+strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			file := newFile(t)
			for range 10 {
				p := start(t, file, busy...)
				<-time.After(rand.N(200 * time.Millisecond)) // any moment
				p.stop()
			}
			requireNothingLost(t, file)
			for _, r := range readTicks(t, file) {
				assert.Equal(t, 1, r.attempt, "attempts at %s", r.key())
				assert.Equal(t, 1, r.deliveries, "deliveries of %s", r.key())
			}
			assert.NotEmpty(t, readJob(t, file, "collect"))
		})
	}
}

func TestSIGTERMInATick(t *testing.T) {
	t.Parallel()
	p := start(t, newFile(t), "-collect-every", "50ms", "-collect-takes", "6s")
	key := p.Stderr.Await(`msg="tick begins" .* tick=(\S+)`)[1]
	p.Signal(syscall.SIGTERM)
	begin := p.stopBegan()
	status, _ := p.get("/livez")
	assert.Equal(t, http.StatusOK, status, "a failing liveness probe would end the tick")
	status, _ = p.get("/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, 0, p.Wait(), "exit status; log:\n%s", p.Stderr.String())

	rows := readTicks(t, p.file)
	require.Len(t, rows, 1, "the next tick was due at once, and must not begin")
	assert.Equal(t, key, rows[0].key())
	assert.Equal(t, "done", rows[0].state)
	assert.False(t, rows[0].ended.Before(begin), "the tick ended at %v, before the stop began", rows[0].ended)
	assert.Equal(t, 1, rows[0].deliveries)
	assert.Regexp(t, `(?s)work +collect .* ok\n.*store +journal .* ok\n.*flush +health .* ok\n`, p.Stdout.String())
}

func TestStopBetweenTicks(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := start(t, newFile(t))
		for _, path := range []string{"/livez", "/readyz"} {
			status, body := p.get(path)
			assert.Equal(t, http.StatusOK, status, "%s from the first moment on: %s", path, body)
		}
		p.Signal(sig)
		assert.Equal(t, 0, p.Wait(), "exit status; log:\n%s", p.Stderr.String())
		assert.Empty(t, readTicks(t, p.file))
	}
}

func TestSecondSignalForces(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	p := start(t, file, "-collect-every", "100ms", "-collect-takes", "10m", "-timeout", "20m", "-grace", "1h")
	p.Stderr.Await(`msg="tick begins"`)
	p.Signal(syscall.SIGTERM)
	p.stopBegan()
	p.Signal(os.Interrupt)
	assert.Equal(t, 1, p.Wait(), "exit status")
	assert.Contains(t, p.Stderr.String(), "received interrupt while shutting down: exiting at once")
	requireRunAgain(t, file)
}

func TestSIGKILLInATick(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	p := start(t, file, "-collect-every", "100ms", "-collect-takes", "10m", "-timeout", "20m", "-grace", "1h")
	p.Stderr.Await(`msg="tick begins"`)
	p.Signal(syscall.SIGKILL)
	assert.Equal(t, -int(syscall.SIGKILL), p.Wait(), "exit status")
	requireRunAgain(t, file)
}

// requireRunAgain expects a journal whose only tick was begun and not finished, and that the next
// worker finishes it.
func requireRunAgain(t *testing.T, file string) {
	t.Helper()
	rows := readTicks(t, file)
	require.Len(t, rows, 1)
	assert.Equal(t, "begun", rows[0].state)
	assert.Equal(t, 0, rows[0].deliveries)

	p := start(t, file)
	p.Stderr.Await(`level=WARN msg="tick was begun and not finished: running it again" job=collect tick=` + rows[0].key() + ` attempt=2\n`)
	p.Stderr.Await(`msg="tick done" job=collect requestID=[0-9a-f]{32} tick=` + rows[0].key())
	p.stop()
	again := readTicks(t, file)
	require.Len(t, again, 1)
	assert.Equal(t, rows[0].key(), again[0].key())
	assert.Equal(t, 2, again[0].attempt)
	assert.Equal(t, "done", again[0].state)
	assert.Equal(t, 1, again[0].deliveries)
}

func TestSIGKILLAtAnyMoment(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	for range 10 {
		p := start(t, file, busy...)
		<-time.After(rand.N(150 * time.Millisecond)) // any moment
		p.Signal(syscall.SIGKILL)
		assert.Equal(t, -int(syscall.SIGKILL), p.Wait(), "exit status")
	}
	p := start(t, file, busy...)
	p.Stderr.Await(`msg="tick done" job=collect`)
	p.Stderr.Await(`msg="tick done" job=report`)
	p.stop()
	requireNothingLost(t, file)
	for _, r := range readTicks(t, file) {
		assert.LessOrEqual(t, r.attempt, maxAttempts, r.key())
	}
}

func TestTickThatEndsItsProcessIsGivenUp(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	var key string
	for attempt := 1; attempt <= maxAttempts; attempt++ {
		p := start(t, file, "-collect-every", "100ms", "-collect-takes", "10m", "-timeout", "20m", "-grace", "1h")
		key = p.Stderr.Await(`msg="tick begins" .* tick=(\S+)`)[1]
		p.Signal(syscall.SIGKILL)
		p.Wait()
	}
	p := start(t, file)
	p.Stderr.Await(`msg="tick given up" job=collect tick=` + key + ` attempts=3\n`)
	p.stop()
	rows := readTicks(t, file)
	assert.Equal(t, key, rows[0].key())
	assert.Equal(t, "failed", rows[0].state)
	assert.Equal(t, "given up: its process ended in it 3 times", rows[0].error)
}

func TestHungTickIsGivenUpAtGrace(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	p := start(t, file, "-collect-every", "10ms", "-report-every", "10ms", "-fault", "hang", "-timeout", "2s", "-grace", "3s")
	p.waitForBody("/livez", `collect down: running collect/\S+: late by`)
	p.waitForBody("/livez", `report up`) // on a slow machine it may be late, too, but not for ever: jobs do not wait for each other

	p.Signal(syscall.SIGTERM)
	assert.Equal(t, 1, p.Wait(), "exit status")
	assert.Regexp(t, `work +collect +\|.*\| .* timeout`, p.Stdout.String())
	assert.Regexp(t, `work +report +\|.*\| .* ok`, p.Stdout.String())
	assert.Regexp(t, `store +journal +\|.*\| .* ok`, p.Stdout.String())
	assert.Regexp(t, `\nworker: collect \(work\): .*timed out`, p.Stderr.String())
	assert.Contains(t, p.Stderr.String(), "job.go", "the stack tells where")

	rows := readJob(t, file, "collect")
	hung := rows[len(rows)-1]
	assert.Equal(t, "begun", hung.state)
	next := start(t, file)
	next.Stderr.Await(`msg="tick done" job=collect requestID=\S+ tick=` + hung.key())
	next.stop()
	requireNothingLost(t, file)
}

// The tick in flight is finished, and the journal says so, although nobody reads the log.
func TestStopWithoutAReaderOfTheLog(t *testing.T) {
	stoptest.BrokenPipe(t, func(t *testing.T) stoptest.Service {
		file := newFile(t)
		return stoptest.Service{
			Process: newProcess(t, file, "-collect-every", "50ms", "-collect-takes", "500ms"),
			Begin:   func(log *testproc.Output) { log.Await(`msg="tick begins"`) },
			Ended: func() {
				rows := readTicks(t, file)
				assert.NotEmpty(t, rows)
				for _, r := range rows {
					assert.Equal(t, "done", r.state, r.key())
				}
				assert.NoFileExists(t, file+"-wal", "the journal was not closed")
			},
		}
	})
}
