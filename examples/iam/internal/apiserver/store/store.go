// Package store keeps users, secrets and policies in SQLite, MariaDB (or MySQL) or PostgreSQL.
//
// Each verb has a file of its own. Whatever changes something goes through [Store.write], which counts the revision of its kind up;
// what reads several things that have to fit together goes through [Store.snapshot].
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

var (
	// ErrNotFound is returned when there is no such object, or it belongs to somebody else.
	ErrNotFound = errors.New("store: not found")
	// ErrExists is returned when the name is taken: of a user by any other, of a secret or policy by one of the same owner.
	ErrExists = errors.New("store: the name is taken")
)

// A Store is safe for concurrent use. Make it with Open.
type Store struct {
	Users    Users
	Secrets  Owned[model.Secret, model.SecretKind]
	Policies Owned[model.Policy, model.PolicyKind]

	db     *gorm.DB
	pool   *sql.DB // what db works with
	keeper *sql.DB // holds a database in memory; nil for the others
}

// Users has the verbs for users, which belong to nobody and are found by name.
type Users struct{ s *Store }

// Owned has the verbs for what belongs to a user. Nothing is ever found without its owner, so no caller can forget to ask whose it is.
type Owned[T any, K objectmeta.Kind] struct {
	s    *Store
	kind revisionKind
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
	userRevision   revisionKind = "users" // nobody reads it; it is for the lock
	secretRevision revisionKind = "secrets"
	policyRevision revisionKind = "policies"
)

type revision struct {
	Kind     revisionKind `gorm:"column:kind;primaryKey"`
	Revision uint64       `gorm:"column:revision"`
}

// write runs change in a transaction that counts the revision up, and returns the new one. After an error nothing has happened.
//
// The count comes first, because its row is locked until the end: all writers of a kind take turns, in every process that uses the
// database, and revision N+1 is given out only when the change of revision N can be read. So a reader that sees N sees exactly the
// changes up to N. Nor do writers of a kind run into deadlocks, which MariaDB finds even in two statements of one row each.
func (s *Store) write(ctx context.Context, kind revisionKind, change func(tx *gorm.DB) error) (uint64, error) {
	var now uint64
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var err error
		if now, err = countUp(tx, kind); err != nil {
			return err
		}
		return change(tx)
	})
	return now, translate(ctx, err)
}

func countUp(tx *gorm.DB, kind revisionKind) (uint64, error) {
	row := revision{Kind: kind}
	result := tx.Model(&row).Update("revision", gorm.Expr("revision + 1"))
	if result.Error == nil && result.RowsAffected != 1 {
		result.Error = fmt.Errorf("the table of revisions has no row for %q", kind)
	}
	if result.Error != nil {
		return 0, result.Error
	}
	err := tx.First(&row).Error
	return row.Revision, err
}

// snapshot runs read on the database as it stands at one moment, whatever others write meanwhile.
func (s *Store) snapshot(ctx context.Context, read func(tx *gorm.DB) error) error {
	// MariaDB's default isolation and all there is in SQLite do this already; PostgreSQL has to be told.
	options := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	return translate(ctx, s.db.WithContext(ctx).Transaction(read, options))
}

// translate lets callers know this package's errors and not GORM's, and the end of their context as such: SQLite says "interrupted".
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

// Conditions in this form, unlike SQL as text, get the quotes that PostgreSQL needs for names with upper-case letters.
func where(column string, value any) clause.Expression {
	return clause.Eq{Column: column, Value: value}
}
