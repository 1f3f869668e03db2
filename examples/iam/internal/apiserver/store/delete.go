package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// Delete deletes the user of this name and all that belongs to it, and returns the revisions that this made.
func (u Users) Delete(ctx context.Context, name string) (Revisions, error) {
	condition, err := named(name)
	if err != nil {
		return Revisions{}, err
	}
	return u.delete(ctx, condition)
}

// Delete deletes the object if it belongs to the owner, and returns the revision that this made.
func (o Owned[T, K]) Delete(ctx context.Context, owner model.UserID, id objectmeta.ID[K]) (revision uint64, err error) {
	return o.s.write(ctx, o.kind, func(tx *gorm.DB) error {
		return found(tx.Where(where("ownerID", owner)).Where(where("id", id)).Delete(new(T)))
	})
}

// Revisions are those that the end of users made. One that is 0 has not changed.
type Revisions struct{ Secrets, Policies uint64 }

// delete takes the locks of all kinds, always in this order; see Store.write. So nothing is created for these users meanwhile.
func (u Users) delete(ctx context.Context, condition clause.Expression) (Revisions, error) {
	var now Revisions
	err := u.s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		if _, err = countUp(tx, userRevision); err != nil {
			return err
		}
		if now.Secrets, err = countUp(tx, secretRevision); err != nil {
			return err
		}
		if now.Policies, err = countUp(tx, policyRevision); err != nil {
			return err
		}
		theirs := func(tx *gorm.DB) *gorm.DB {
			users := tx.Session(&gorm.Session{NewDB: true}).Model(&model.User{}).Select("id").Where(condition)
			return tx.Where("? IN (?)", clause.Column{Name: "ownerID"}, users)
		}
		if err := errors.Join(theirs(tx).Delete(&model.Secret{}).Error, theirs(tx).Delete(&model.Policy{}).Error); err != nil {
			return err
		}
		return found(tx.Where(condition).Delete(&model.User{}))
	})
	if err != nil {
		return Revisions{}, translate(ctx, err)
	}
	return now, nil
}
