//go:build unix

package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestFailedTick(t *testing.T) {
	tests := []struct {
		name, fault   string
		logged, noted string
	}{
		{"error", "error", `error="the source does not answer"`, `^the source does not answer$`},
		{"panic", "panic", `error="panic: tick collect/\S+ has met a bug\\n\\ngoroutine .*job\.go`, `^panic: tick collect/\S+ has met a bug$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, newFile(t), "-collect-every", "10ms", "-fault", tt.fault)
			p.Stderr.Await(`level=ERROR msg="tick failed" job=collect requestID=[0-9a-f]{32} tick=\S+ took=\S+ failed=2 ` + tt.logged)
			status, _ := p.get("/livez")
			assert.Equal(t, 200, status, "a new process would not do better")
			p.stop()
			requireNothingLost(t, p.file)

			failed := 0
			for n, r := range readJob(t, p.file, "collect") {
				if n%3 != 2 {
					assert.Equal(t, "done", r.state, r.key())
					continue
				}
				failed++
				assert.Equal(t, "failed", r.state, r.key())
				assert.Regexp(t, tt.noted, r.error)
				assert.Zero(t, r.deliveries)
			}
			assert.Contains(t, p.Stderr.String(), "failed="+strconv.Itoa(failed)+"\n", "the count at the end")
		})
	}
}

func TestTickThatTakesTooLong(t *testing.T) {
	t.Parallel()
	p := start(t, newFile(t), "-collect-every", "10ms", "-collect-takes", "10m", "-timeout", "50ms")
	p.Stderr.Await(`msg="tick failed" job=collect .* failed=2 error="context deadline exceeded"`)
	p.stop()
	for _, r := range readTicks(t, p.file) {
		assert.Equal(t, "failed", r.state)
	}
}

// A tick that is longer than its interval never runs beside itself: what has become due meanwhile
// is one tick.
func TestTickLongerThanItsInterval(t *testing.T) {
	t.Parallel()
	p := start(t, newFile(t), "-collect-every", "10ms", "-collect-takes", "60ms")
	p.Stderr.Await(`(?s)(msg="tick done".*){3}`)
	p.stop()
	requireNothingLost(t, p.file)
	for _, r := range readTicks(t, p.file)[1:] {
		assert.GreaterOrEqual(t, r.scheduled.Sub(r.since), 50*time.Millisecond, "covered by %s", r.key())
	}
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	j, err := openJournal(file)
	require.NoError(t, err)
	scheduled := time.Now().Add(time.Hour).Truncate(time.Second)
	future := tick{job: "collect", scheduled: scheduled, since: scheduled.Add(-time.Second), attempt: 1, began: time.Now()}
	require.NoError(t, j.begin(t.Context(), future))
	require.NoError(t, (&receiver{db: j.db}).deliver(t.Context(), future.key()))
	require.NoError(t, j.end(t.Context(), future, nil))
	require.NoError(t, j.Close())

	p := start(t, file, "-collect-every", "1s", "-report-every", "10ms")
	p.Stderr.Await(`level=WARN msg="the clock was set back: waiting until it has caught up with the last tick" job=collect`)
	p.Stderr.Await(`msg="tick done" job=report`)
	status, _ := p.get("/livez")
	assert.Equal(t, 200, status, "a new process would not do better")
	p.stop()
	assert.Len(t, readJob(t, file, "collect"), 1)
	requireNothingLost(t, file)
}

// Each attempt has an ID of its own, which is in all of its records, and in the journal.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	p := start(t, newFile(t), "-collect-every", "10ms")
	found := p.Stderr.Await(`(?s)msg="tick begins" job=collect requestID=(\S+) tick=(\S+).*?msg="tick done" job=collect requestID=(\S+) tick=(\S+)`)
	assert.Equal(t, found[1], found[3])
	assert.Equal(t, found[2], found[4])
	p.stop()
	db, err := openDatabase(p.file)
	require.NoError(t, err)
	defer db.Close()
	var ids, distinct, known int
	require.NoError(t, db.QueryRow(`SELECT count(*), count(DISTINCT request_id), count(*) FILTER (WHERE request_id = ?) FROM ticks WHERE state != 'new'`, found[1]).
		Scan(&ids, &distinct, &known))
	assert.Equal(t, ids, distinct)
	assert.Equal(t, 1, known)
}

// A worker that cannot write down what it does must not do it.
func TestJournalThatFails(t *testing.T) {
	t.Parallel()
	p := start(t, newFile(t), "-collect-every", "10ms")
	p.Stderr.Await(`msg="tick done"`)
	db, err := openDatabase(p.file)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec(`DROP TABLE ticks`)
	require.NoError(t, err)
	assert.Equal(t, 1, p.Wait(), "exit status")
	assert.Regexp(t, `\nworker: component collect: journal: .*no such table`, p.Stderr.String())
}

func TestHistory(t *testing.T) {
	t.Parallel()
	p := start(t, newFile(t), "-collect-every", "10ms", "-fault", "error")
	p.Stderr.Await(`msg="tick failed"`)
	history := func() string {
		stdout, stderr, status := testproc.New(t, "main", "-history", "-journal", p.file).Run()
		assert.Equal(t, 0, status, "exit status; %s", stderr)
		return stdout
	}
	assert.Regexp(t, `collect: \d+ done, \d+ failed, [01] begun and not finished\n`, history(), "while the worker runs")
	p.stop()
	out := history()
	assert.Regexp(t, `^job +scheduled +work since +began +ended +attempts +state *\n`, out)
	assert.Regexp(t, `\ncollect  (\S{24}  ){2}(\S{13}  ){2}1 +done *\n`, out)
	assert.Regexp(t, `\ncollect  (\S{24}  ){2}(\S{13}  ){2}1 +failed +the source does not answer *\n`, out)
	assert.LessOrEqual(t, strings.Count(out, "\n"), 1+historyLines+2)
}

func TestBadStart(t *testing.T) {
	p := start(t, newFile(t))
	defer func() {
		p.Signal(syscall.SIGTERM)
		p.Wait()
	}()
	free := []string{"-journal", newFile(t)}
	text := newFile(t)
	require.NoError(t, os.WriteFile(text, []byte("collect 10:00:00 done\n"), 0o600))
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"a second worker", []string{"-journal", p.file}, "journal: " + p.file + " is in use by another worker"},
		{"port in use", append(free, "-addr", strings.TrimPrefix(p.health, "http://")),
			"listen tcp " + strings.TrimPrefix(p.health, "http://") + ": bind: address already in use"},
		{"no such directory", []string{"-journal", "/nowhere/worker.db"}, "journal: open /nowhere/worker.db.lock: no such file or directory"},
		{"history of nothing", []string{"-journal", "/nowhere/worker.db", "-history"}, "journal: stat /nowhere/worker.db: no such file or directory"},
		{"no database", []string{"-journal", text}, "journal: " + text + ": file is not a database (26)"},
		{"history of no database", []string{"-journal", text, "-history"}, "journal: " + text + ": file is not a database (26)"},
		{"unknown flag", []string{"-nonsense"}, "flag provided but not defined: -nonsense (-help lists the flags)"},
		{"not a duration", []string{"-grace", "soon"}, `invalid value "soon" for flag -grace: parse error (-help lists the flags)`},
		{"an argument", []string{"start"}, `unexpected argument "start" (-help lists the flags)`},
		{"no file", []string{"-journal", ""}, `-journal is "", want the name of a file, without a question mark`},
		{"options in the file", []string{"-journal", "a?b"}, `-journal is "a?b", want the name of a file, without a question mark`},
		{"no grace", []string{"-grace", "0s"}, "-grace is 0s, must be positive"},
		{"no timeout", []string{"-timeout", "-1s"}, "-timeout is -1s, must be positive"},
		{"timeout too long", []string{"-timeout", "25s"}, "-timeout is 25s, must be less than -grace 25s, or a tick could not be waited for"},
		{"negative work", []string{"-collect-takes", "-1s"}, "-collect-takes is -1s, must not be negative"},
		{"negative report", []string{"-report-takes", "-1s"}, "-report-takes is -1s, must not be negative"},
		{"interval too short", []string{"-collect-every", "1ms"}, "-collect-every is 1ms, want 10ms or more, in whole milliseconds"},
		{"interval too fine", []string{"-report-every", "1.0005s"}, "-report-every is 1.0005s, want 10ms or more, in whole milliseconds"},
		{"unknown fault", []string{"-fault", "fire"}, `-fault is "fire", want one of none, error, panic, hang`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := testproc.New(t, "main", tt.args...).Run()
			assert.Equal(t, 1, status, "exit status")
			assert.Equal(t, "worker: "+tt.want+"\n", stderr)
			assert.Empty(t, stdout)
		})
	}
}

func TestHelp(t *testing.T) {
	stdout, stderr, status := testproc.New(t, "main", "-help").Run()
	assert.Equal(t, 0, status, "exit status")
	assert.Contains(t, stdout+stderr, "usage: worker [flags]\n")
	assert.Contains(t, stdout+stderr, "-journal file\n")
}
