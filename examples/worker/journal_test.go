package main

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestJournalRemembers(t *testing.T) {
	file := newFile(t)
	j := reopen(t, nil, file)
	// requireNewest compares what a new process is told.
	requireNewest := func(want tick, wantState string) {
		t.Helper()
		j = reopen(t, j, file)
		got, state, err := j.newest(t.Context(), "collect")
		require.NoError(t, err)
		require.Equal(t, wantState, state)
		require.Equal(t, want, got)
	}
	requireNewest(tick{}, "")

	begin := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	require.NoError(t, j.enrol(t.Context(), "collect", begin))
	requireNewest(tick{job: "collect", scheduled: begin, since: begin}, "new")

	first := tick{job: "collect", scheduled: begin.Add(time.Second), since: begin, attempt: 1}
	require.NoError(t, j.begin(t.Context(), first))
	require.NoError(t, j.begin(t.Context(), tick{job: "report", scheduled: begin.Add(time.Hour), since: begin, attempt: 1}))
	requireNewest(first, "begun")
	first.attempt = 2
	require.NoError(t, j.begin(t.Context(), first))
	requireNewest(first, "begun")
	require.NoError(t, j.end(t.Context(), first, nil))
	requireNewest(first, "done")

	second := tick{job: "collect", scheduled: begin.Add(2 * time.Second), since: first.scheduled, attempt: 1}
	require.NoError(t, j.begin(t.Context(), second))
	require.NoError(t, j.end(t.Context(), second, errors.New("no luck\nand more of that")))
	requireNewest(second, "failed")
}

func TestJournalRefuses(t *testing.T) {
	j := reopen(t, nil, newFile(t))
	one := tick{job: "collect", scheduled: time.Unix(1, 0), attempt: 1}
	require.NoError(t, j.begin(t.Context(), one))
	assert.ErrorContains(t, j.begin(t.Context(), one), "journal: beginning collect/1970-01-01T00:00:01.000Z: ", "the same tick again")
	assert.NoError(t, j.begin(t.Context(), tick{job: "report", scheduled: time.Unix(1, 0), attempt: 1}), "another job")

	require.NoError(t, j.end(t.Context(), one, nil))
	one.attempt = 2
	const unknown = "the journal knows nothing of this attempt"
	assert.ErrorContains(t, j.begin(t.Context(), one), unknown, "again after its end")
	assert.ErrorContains(t, j.end(t.Context(), one, nil), "journal: ending collect/1970-01-01T00:00:01.000Z: "+unknown, "a second end")
}

func TestJournalIsOfOneWorker(t *testing.T) {
	file := newFile(t)
	j := reopen(t, nil, file)
	_, err := openJournal(file)
	assert.EqualError(t, err, "journal: "+file+" is in use by another worker")
	reopen(t, j, file)
}

func TestJournalForgets(t *testing.T) {
	j := reopen(t, nil, newFile(t))
	run := func(job string, scheduled time.Time, outcome error) {
		one := tick{job: job, scheduled: scheduled, attempt: 1}
		require.NoError(t, j.begin(t.Context(), one))
		require.NoError(t, (&receiver{db: j.db}).deliver(t.Context(), one.key()))
		require.NoError(t, j.end(t.Context(), one, outcome))
	}
	count := func(table string) (n int) {
		require.NoError(t, j.db.QueryRow("SELECT count(*) FROM "+table).Scan(&n))
		return n
	}
	old, now := time.Now().Add(-keep-time.Minute), time.Now()
	run("collect", old, nil)
	run("collect", old.Add(time.Second), errors.New("no luck"))
	assert.Equal(t, 1, count("ticks"), "the newest one stays, however old it is")
	newest, state, err := j.newest(t.Context(), "collect")
	require.NoError(t, err)
	assert.Equal(t, "failed", state)
	assert.Equal(t, "collect/"+old.Add(time.Second).UTC().Format(stamp), newest.key())

	run("report", old, nil)
	run("collect", now, nil)
	run("collect", now.Add(time.Second), nil)
	assert.Equal(t, 3, count("ticks"), "the two new ones, and that of the other job")
	assert.Equal(t, 2, count("deliveries"))
}

// A process that ends between the delivery and the journal's record of it delivers again.
func TestReceiverRemembersKeys(t *testing.T) {
	j := reopen(t, nil, newFile(t))
	r := &receiver{db: j.db}
	require.NoError(t, r.deliver(t.Context(), "collect/1"))
	require.NoError(t, r.deliver(t.Context(), "collect/1"))
	var effects, repeated int
	require.NoError(t, j.db.QueryRow(`SELECT count(*), sum(repeated) FROM deliveries`).Scan(&effects, &repeated))
	assert.Equal(t, 1, effects)
	assert.Equal(t, 1, repeated)
}

func TestKeyIsTheSameForEachAttempt(t *testing.T) {
	one := tick{job: "collect", scheduled: time.Date(2026, 11, 21, 11, 0, 0, 0, time.FixedZone("", 3600)), attempt: 1, requestID: "a"}
	assert.Equal(t, "collect/2026-11-21T10:00:00.000Z", one.key())
	one.attempt, one.requestID = 2, "b"
	assert.Equal(t, "collect/2026-11-21T10:00:00.000Z", one.key())
}

// reopen closes j, if there is one, and opens the file again, as a new process does.
func reopen(t *testing.T, j *journal, file string) *journal {
	t.Helper()
	if j != nil {
		require.NoError(t, j.Close())
	}
	j, err := openJournal(file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func newFile(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "worker.db")
}
