package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	_ "github.com/glebarez/go-sqlite" // the driver "sqlite", in pure Go
	"github.com/gofrs/flock"
)

// A journal remembers on disk which ticks were begun and which were finished. What begin and end
// have returned for survives the end of the process, and that of the machine.
type journal struct {
	db   *sql.DB
	lock *flock.Flock
}

// keep is how long finished ticks are remembered.
const keep = 7 * 24 * time.Hour

// The times are texts of one length, so that they sort, and can be read by people.
const stamp = "2006-01-02T15:04:05.000Z"

const schema = `
CREATE TABLE IF NOT EXISTS ticks (
	job        TEXT NOT NULL,
	scheduled  TEXT NOT NULL,
	since      TEXT NOT NULL,
	state      TEXT NOT NULL CHECK (state IN ('new', 'begun', 'done', 'failed')),
	attempts   INTEGER NOT NULL,
	began      TEXT NOT NULL, -- this and what follows: of the last attempt
	ended      TEXT,
	error      TEXT,
	request_id TEXT NOT NULL,
	PRIMARY KEY (job, scheduled) -- no tick is begun twice, whatever the program does
) STRICT;
CREATE TABLE IF NOT EXISTS deliveries ( -- in place of another service, see receiver
	key      TEXT NOT NULL PRIMARY KEY,
	repeated INTEGER NOT NULL DEFAULT 0
) STRICT;`

// openJournal opens the journal for the one worker that may use it: two would run each other's
// ticks again. The operating system releases the lock with the end of the process, however that
// comes.
func openJournal(file string) (*journal, error) {
	lock := flock.New(file + ".lock")
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("journal: %s is in use by another worker", file)
	}
	db, err := openDatabase(file)
	if err == nil {
		_, err = db.Exec(schema)
		if err == nil {
			return &journal{db: db, lock: lock}, nil
		}
		err = errors.Join(fmt.Errorf("journal: %s: %w", file, err), db.Close())
	}
	return nil, errors.Join(err, lock.Unlock())
}

// openDatabase has each commit synced to the disk. Readers, such as -history, do not hold up the
// worker.
func openDatabase(file string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", file+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, fmt.Errorf("journal: %s: %w", file, err)
	}
	db.SetMaxOpenConns(1) // SQLite has one writer at a time anyway: here they queue instead of failing
	return db, nil
}

// Close is for after the last tick.
func (j *journal) Close() error { return errors.Join(j.db.Close(), j.lock.Unlock()) }

// enrol records the origin of a job, in place of a tick before its first one. Without it, that one
// would be lost if the worker was down when it was due.
func (j *journal) enrol(ctx context.Context, job string, origin time.Time) error {
	t := tick{job: job, scheduled: origin, since: origin}
	at := origin.UTC().Format(stamp)
	return j.change(ctx, "enrolling", t,
		`INSERT INTO ticks (job, scheduled, since, state, attempts, began, request_id) VALUES (?, ?, ?, 'new', 0, ?, '')`, job, at, at, at)
}

// begin records an attempt at t before it is made. It fails if the tick was begun before and this
// is not a further attempt.
func (j *journal) begin(ctx context.Context, t tick) error {
	began := t.began.UTC().Format(stamp)
	if t.attempt == 1 {
		return j.change(ctx, "beginning", t,
			`INSERT INTO ticks (job, scheduled, since, state, attempts, began, request_id) VALUES (?, ?, ?, 'begun', 1, ?, ?)`,
			t.job, t.scheduled.UTC().Format(stamp), t.since.UTC().Format(stamp), began, t.requestID)
	}
	return j.change(ctx, "beginning", t,
		`UPDATE ticks SET attempts = ?, began = ?, request_id = ? WHERE job = ? AND scheduled = ? AND state = 'begun' AND attempts = ?`,
		t.attempt, began, t.requestID, t.job, t.scheduled.UTC().Format(stamp), t.attempt-1)
}

// end records the outcome of t, and forgets what is old.
func (j *journal) end(ctx context.Context, t tick, outcome error) error {
	state, text := "done", sql.NullString{}
	if outcome != nil {
		line, _, _ := strings.Cut(outcome.Error(), "\n")
		state, text = "failed", sql.NullString{String: line, Valid: true}
	}
	err := j.change(ctx, "ending", t,
		`UPDATE ticks SET state = ?, ended = ?, error = ? WHERE job = ? AND scheduled = ? AND state = 'begun' AND attempts = ?`,
		state, time.Now().UTC().Format(stamp), text, t.job, t.scheduled.UTC().Format(stamp), t.attempt)
	if err != nil {
		return err
	}
	return j.prune(ctx, t.job)
}

// change makes a change of exactly one row.
func (j *journal) change(ctx context.Context, what string, t tick, query string, args ...any) error {
	result, err := j.db.ExecContext(ctx, query, args...)
	if err == nil {
		var n int64
		if n, err = result.RowsAffected(); err == nil && n != 1 {
			err = errors.New("the journal knows nothing of this attempt")
		}
	}
	if err != nil {
		return fmt.Errorf("journal: %s %s: %w", what, t.key(), err)
	}
	return nil
}

// prune deletes what is older than keep, but never the newest tick of the job: the next one begins
// where it ended. The receiver's keys go at the same age: a tick that has ended is never delivered
// again.
func (j *journal) prune(ctx context.Context, job string) error {
	before := time.Now().Add(-keep).UTC().Format(stamp)
	_, err := j.db.ExecContext(ctx, `
		DELETE FROM deliveries WHERE key >= ?1 || '/' AND key < ?1 || '/' || ?2;
		DELETE FROM ticks WHERE job = ?1 AND scheduled < ?2 AND scheduled < (SELECT max(scheduled) FROM ticks WHERE job = ?1)`, job, before)
	if err != nil {
		return fmt.Errorf("journal: forgetting old ticks of %s: %w", job, err)
	}
	return nil
}

// newest returns the newest tick of a job, and its state, which is "" if the job was never seen
// before. It tells all that matters of the past: no tick is begun before the last one has ended,
// and one that failed hands its work on to the next.
func (j *journal) newest(ctx context.Context, job string) (t tick, state string, err error) {
	var scheduled, since string
	err = j.db.QueryRowContext(ctx,
		`SELECT scheduled, since, state, attempts FROM ticks WHERE job = ? ORDER BY scheduled DESC LIMIT 1`, job).
		Scan(&scheduled, &since, &state, &t.attempt)
	if errors.Is(err, sql.ErrNoRows) {
		return tick{}, "", nil
	}
	t.job = job
	if err == nil {
		t.scheduled, err = time.Parse(stamp, scheduled)
	}
	if err == nil {
		t.since, err = time.Parse(stamp, since)
	}
	if err != nil {
		return tick{}, "", fmt.Errorf("journal: newest tick of %s: %w", job, err)
	}
	return t, state, nil
}
