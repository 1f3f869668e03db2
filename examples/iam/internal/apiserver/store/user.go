package store

import (
	"context"
	"errors"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// Users has the verbs for users, which belong to nobody and are found by name.
type Users struct {
	s  *Store
	by model.UserID // see By
}

// By returns the same verbs for an admin: a write fails with ErrNotAdmin if they are none any more
// when its turn comes. So of two admins who delete each other at the same moment one is left.
func (u Users) By(admin model.UserID) Users { return Users{u.s, admin} }

func (u Users) write(ctx context.Context, change func(tx *gorm.DB) error) error {
	_, err := u.s.write(ctx, userRevision, func(tx *gorm.DB, _ Revision) error {
		if err := u.allowed(tx); err != nil {
			return err
		}
		return change(tx)
	})
	return err
}

// allowed is called when the lock of the users is held.
func (u Users) allowed(tx *gorm.DB) error {
	if u.by == 0 {
		return nil
	}
	var n int64
	err := tx.Model(&model.User{}).Where(Is("id", u.by)).Where(Is("admin", true)).Where(Is("disabled", false)).Count(&n).Error
	if err == nil && n == 0 {
		return ErrNotAdmin
	}
	return err
}

// Get returns the user of this name.
func (u Users) Get(ctx context.Context, name string) (*model.User, error) {
	condition, err := named(name)
	if err != nil {
		return nil, err
	}
	return first[model.User](ctx, u.s.db.WithContext(ctx).Where(condition))
}

// named is the condition for the user of this name. What is no name at all does not reach the
// database: MariaDB would find "ann" for "ann ", and PostgreSQL take one that is not UTF-8 or has a
// character 0 for a failure.
func named(name string) (Condition, error) {
	if objectmeta.ValidateName(name) != nil {
		return nil, ErrNotFound
	}
	return Is("name", name), nil
}

// GetByID returns the user with this ID.
func (u Users) GetByID(ctx context.Context, id model.UserID) (*model.User, error) {
	return first[model.User](ctx, u.s.db.WithContext(ctx).Where(Is("id", id)))
}

// SomeAdmin reports whether there is a user who is an admin.
func (u Users) SomeAdmin(ctx context.Context) (bool, error) {
	var n int64
	err := u.s.db.WithContext(ctx).Model(&model.User{}).Where(Is("admin", true)).Count(&n).Error
	return n > 0, translate(ctx, err)
}

// List returns a page of those for whom the conditions hold, in the order in which they were
// created.
func (u Users) List(ctx context.Context, offset, limit int, conditions ...Condition) (objectmeta.List[model.User], error) {
	return list[model.User](ctx, u.s, offset, limit, conditions)
}

// Create stores the user and gives it its ID and times.
func (u Users) Create(ctx context.Context, user *model.User) error {
	return u.write(ctx, func(tx *gorm.DB) error { return tx.Create(user).Error })
}

// Update writes these columns of the user with this name, and nothing else, and returns the user as
// it is then. With the column disabled the secrets change, too; the revision that this makes is 0
// without it.
func (u Users) Update(ctx context.Context, user *model.User, columns ...string) (updated *model.User, revision uint64, err error) {
	condition, err := named(user.Name)
	if err != nil {
		return nil, 0, err
	}
	err = u.write(ctx, func(tx *gorm.DB) error {
		updated, err = update(ctx, tx.Where(condition), user, columns)
		if err != nil || !slices.Contains(columns, "disabled") {
			return err
		}
		now, err := countUp(tx, feedRevision)
		if err != nil {
			return err
		}
		revision = now.Number
		return errors.Join(record(tx, now, userObject, condition), record(tx, now, secretObject, Is("ownerID", updated.ID)))
	})
	return updated, revision, err
}

// Delete deletes the user of this name and all that belongs to it, and returns the revision that
// this made.
func (u Users) Delete(ctx context.Context, name string) (revision uint64, err error) {
	condition, err := named(name)
	if err != nil {
		return 0, err
	}
	return u.delete(ctx, condition)
}

// DeleteCollection deletes those for whom the conditions hold, except admins, and all that belongs
// to them.
func (u Users) DeleteCollection(ctx context.Context, conditions ...Condition) (revision uint64, err error) {
	revision, err = u.delete(ctx, append(conditions, Is("admin", false))...)
	if errors.Is(err, ErrNotFound) { // nobody was there
		return 0, nil
	}
	return revision, err
}

// delete takes both locks, always in this order; see Store.write. So nothing is created for these
// users meanwhile.
func (u Users) delete(ctx context.Context, conditions ...Condition) (revision uint64, err error) {
	err = u.write(ctx, func(tx *gorm.DB) error {
		now, err := countUp(tx, feedRevision)
		if err != nil {
			return err
		}
		revision = now.Number
		users := filter(tx.Session(&gorm.Session{NewDB: true}).Model(&model.User{}).Select("id"), conditions)
		theirs := gorm.Expr("? IN (?)", clause.Column{Name: "ownerID"}, users)
		err = errors.Join(
			record(tx, now, userObject, conditions...), record(tx, now, secretObject, theirs), record(tx, now, policyObject, theirs),
			tx.Where(theirs).Delete(&model.Secret{}).Error, tx.Where(theirs).Delete(&model.Policy{}).Error)
		if err != nil {
			return err
		}
		return found(filter(tx, conditions).Delete(&model.User{}))
	})
	return revision, err
}
