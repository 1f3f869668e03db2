package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// A Revision is one state of all secrets and policies.
//
// The number grows by one with each change. The stamp is random: when the database is restored from
// a backup, numbers come again, but no revision does.
type Revision struct {
	Number uint64 `gorm:"column:revision"`
	Stamp  uint64 `gorm:"column:stamp"`
}

// Changes are what leads from one revision to another.
type Changes struct {
	Now  Revision
	Full bool // everything there is, not only what has changed

	Secrets         []model.Secret // new or changed
	Policies        []FeedPolicy
	DeletedSecrets  []model.SecretID
	DeletedPolicies []model.PolicyID
}

// A FeedPolicy has the document as it is stored, so that one that cannot be read does not hide the
// others.
type FeedPolicy struct {
	ID       model.PolicyID `gorm:"column:id"`
	OwnerID  model.UserID   `gorm:"column:ownerID"`
	Document []byte         `gorm:"column:document"`
}

// Revision returns the current one. It costs one row.
func (s *Store) Revision(ctx context.Context) (now Revision, err error) {
	err = s.db.WithContext(ctx).Table("revisions").Where(Is("kind", feedRevision)).Take(&now).Error
	return now, translate(ctx, err)
}

// Changes returns what has changed since a revision. It returns everything if the database has
// never been in that revision, has been restored since, or has forgotten it: see history.
func (s *Store) Changes(ctx context.Context, since Revision) (c Changes, err error) {
	err = s.snapshot(ctx, func(tx *gorm.DB) error {
		if err := tx.Table("revisions").Where(Is("kind", feedRevision)).Take(&c.Now).Error; err != nil {
			return err
		}
		var known int64
		if err := tx.Model(&change{}).Where(Is("revision", since.Number), Is("stamp", since.Stamp)).Count(&known).Error; err != nil {
			return err
		}
		if c.Full = known == 0; c.Full {
			return errors.Join(feedSecrets(tx).Find(&c.Secrets).Error, feedPolicies(tx).Find(&c.Policies).Error)
		}
		later := Condition(clause.Gt{Column: "revision", Value: since.Number})
		var changed []change
		if err := tx.Distinct("kind", "object").Where(later).Order("object").Find(&changed).Error; err != nil {
			return err
		}
		in := func(kind objectKind) Condition { // which has no limit, unlike a list of values
			return gorm.Expr("id IN (?)", tx.Session(&gorm.Session{NewDB: true}).Model(&change{}).Select("object").Where(Is("kind", kind), later))
		}
		of := func(kind objectKind) []change {
			return slices.DeleteFunc(slices.Clone(changed), func(c change) bool { return c.Kind != kind })
		}
		if ids := of(secretObject); len(ids) > 0 {
			if err := feedSecrets(tx).Where(in(secretObject)).Find(&c.Secrets).Error; err != nil {
				return err
			}
			c.DeletedSecrets = without(ids, c.Secrets, func(s model.Secret) model.SecretID { return s.ID })
		}
		if ids := of(policyObject); len(ids) > 0 {
			if err := feedPolicies(tx).Where(in(policyObject)).Find(&c.Policies).Error; err != nil {
				return err
			}
			c.DeletedPolicies = without(ids, c.Policies, func(p FeedPolicy) model.PolicyID { return p.ID })
		}
		return nil
	})
	return c, err
}

// feedSecrets are those that count: a secret of a user who is disabled is as good as deleted.
func feedSecrets(tx *gorm.DB) *gorm.DB {
	disabled := tx.Session(&gorm.Session{NewDB: true}).Model(&model.User{}).Select("id").Where(Is("disabled", true))
	enabled := gorm.Expr("? NOT IN (?)", clause.Column{Name: "ownerID"}, disabled)
	return tx.Model(&model.Secret{}).Select("id", "ownerID", "signingKey", "expires").Where(enabled).Order("id")
}

func feedPolicies(tx *gorm.DB) *gorm.DB { return tx.Model(&model.Policy{}).Order("id") }

// without returns the IDs of the changes whose object does not exist.
func without[K objectmeta.Kind, T any](changes []change, objects []T, id func(T) objectmeta.ID[K]) (gone []objectmeta.ID[K]) {
	there := make(map[objectmeta.ID[K]]bool, len(objects))
	for _, object := range objects {
		there[id(object)] = true
	}
	for _, c := range changes {
		if id := objectmeta.ID[K](c.Object); !there[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

// A change says which object is another one since which revision, and not what it is: that is read
// when it is asked for. An object that does not exist then has been deleted.
type change struct {
	Revision `gorm:"embedded"`
	Kind     objectKind `gorm:"column:kind"`
	Object   uint64     `gorm:"column:object"`
}

// An objectKind is the name of a table whose rows the authzservers hold.
type objectKind string

const (
	secretObject objectKind = "secrets"
	policyObject objectKind = "policies"
	userObject   objectKind = "users" // so that the end of one who had nothing is a change, too
)

// history is for how many revisions changes are kept. Who is further behind gets everything, which
// costs about as much.
const history = 32 << 10

const forgetEvery = 1024 // revisions, so that few transactions do it

// change runs a transaction that makes a new revision, and returns its number. The function records
// what it changes, one object at least.
func (s *Store) change(ctx context.Context, do func(tx *gorm.DB, now Revision) error) (number uint64, err error) {
	return s.write(ctx, feedRevision, func(tx *gorm.DB, now Revision) error {
		if now.Number%forgetEvery == 0 {
			long := clause.Lte{Column: "revision", Value: now.Number - s.history}
			if err := tx.Where(long).Delete(&change{}).Error; err != nil {
				return err
			}
		}
		return do(tx, now)
	})
}

// record notes that the objects that meet the conditions are others from now on: it goes before a
// deletion and after everything else.
func record(tx *gorm.DB, now Revision, kind objectKind, conditions ...Condition) error {
	objects := filter(tx.Session(&gorm.Session{NewDB: true}).Table(string(kind)).Select("id"), conditions)
	return tx.Exec(fmt.Sprintf("INSERT INTO changes (revision, stamp, kind, object) SELECT %d, %d, '%s', id FROM (?) AS changed",
		now.Number, now.Stamp, kind), objects).Error
}

// newStamp fits the signed integers of all databases.
func newStamp() uint64 { return rand.Uint64N(1<<63-1) + 1 }
