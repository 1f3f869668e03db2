// Package store keeps users, secrets and policies in SQLite, MariaDB (or MySQL) or PostgreSQL.
//
// Each resource has a file of its own. Whatever changes something goes through [Store.write], which
// counts a revision up, and notes it in the table of changes if the authzservers hold it
// ([Store.change]); what reads several things that have to fit together goes through
// [Store.snapshot].
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

var (
	// ErrNotFound is returned when there is no such object, or it belongs to somebody else.
	ErrNotFound = errors.New("store: not found")
	// ErrExists is returned when the name is taken: of a user by any other, of a secret or policy
	// by one of the same owner.
	ErrExists = errors.New("store: the name is taken")
	// ErrQuota is returned when the owner has as much as a user may have.
	ErrQuota = errors.New("store: the quota is used up")
	// ErrBusy is returned when too many others wait to write already.
	ErrBusy = errors.New("store: too many writers")
	// ErrNotAdmin is returned when who writes is no admin any more; see Users.By.
	ErrNotAdmin = errors.New("store: not an admin any more")
)

// A Store is safe for concurrent use. Make it with Open.
type Store struct {
	Users    Users
	Secrets  Owned[model.Secret, model.SecretKind]
	Policies Owned[model.Policy, model.PolicyKind]

	db     *gorm.DB
	pool   *sql.DB // what db works with
	keeper *sql.DB // holds a database in memory; nil for the others

	history uint64        // the constant, but for tests
	waiting chan struct{} // holds one for each that writes or waits to
	writing chan struct{} // and one for each that has a connection for it
}

// PingContext makes it a thing to be asked for its health.
func (s *Store) PingContext(ctx context.Context) error { return s.pool.PingContext(ctx) }

// Close waits for the queries in progress.
func (s *Store) Close() error {
	err := s.pool.Close()
	if s.keeper != nil {
		err = errors.Join(err, s.keeper.Close())
	}
	return err
}

// A revisionKind is the key of a row in the table of revisions.
type revisionKind string

const (
	userRevision revisionKind = "users" // nobody reads it; it is for the lock
	feedRevision revisionKind = "feed"  // of all secrets and policies
)

// write runs change in a transaction that counts the revision up, and returns the new number. After
// an error nothing has happened.
//
// The count comes first, because its row is locked until the end: all writers of a kind take turns,
// in every process that uses the database, and revision N+1 is given out only when the change of
// revision N can be read. So a reader that sees N sees exactly the changes up to N. Nor do writers
// of a kind run into deadlocks, which MariaDB finds even in two statements of one row each.
func (s *Store) write(ctx context.Context, kind revisionKind, change func(tx *gorm.DB, now Revision) error) (number uint64, err error) {
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default: // who would wait too long is told so at once
		return 0, ErrBusy
	}
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		now, err := countUp(tx, kind)
		if err != nil {
			return err
		}
		number = now.Number
		return change(tx, now)
	})
	return number, translate(ctx, err)
}

// So many writers of a process have their turn within a second or so; and those that wait for the
// lock in the database leave most of its connections to readers.
const (
	maxWaiting = 128
	maxWriting = 4
)

func countUp(tx *gorm.DB, kind revisionKind) (Revision, error) {
	now := Revision{Stamp: newStamp()}
	row := tx.Table("revisions").Where(Is("kind", kind)).Session(&gorm.Session{})
	result := row.Updates(map[string]any{"revision": gorm.Expr("revision + 1"), "stamp": now.Stamp})
	if result.Error == nil && result.RowsAffected != 1 {
		result.Error = fmt.Errorf("the table of revisions has no row for %q", kind)
	}
	if result.Error != nil {
		return now, result.Error
	}
	return now, row.Select("revision").Take(&now).Error
}

// snapshot runs read on the database as it stands at one moment, whatever others write meanwhile.
func (s *Store) snapshot(ctx context.Context, read func(tx *gorm.DB) error) error {
	// MariaDB's default isolation and all there is in SQLite do this already; PostgreSQL has to be
	// told.
	options := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	return translate(ctx, s.db.WithContext(ctx).Transaction(read, options))
}

// translate lets callers know this package's errors and not GORM's, and the end of their context as
// such: SQLite says "interrupted".
func translate(ctx context.Context, err error) error {
	switch {
	case err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case errors.Is(err, gorm.ErrRecordNotFound):
		return ErrNotFound
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return ErrExists
	}
	return err
}

// found makes an error of a statement that was right and found no row.
func found(result *gorm.DB) error {
	if result.Error == nil && result.RowsAffected == 0 {
		return ErrNotFound
	}
	return result.Error
}
