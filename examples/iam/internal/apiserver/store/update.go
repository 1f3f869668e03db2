package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// Update writes these columns of the user with this name, and nothing else, and returns the user as it is then.
func (u Users) Update(ctx context.Context, user *model.User, columns ...string) (updated *model.User, err error) {
	condition, err := named(user.Name)
	if err != nil {
		return nil, err
	}
	_, err = u.s.write(ctx, userRevision, func(tx *gorm.DB) error {
		updated, err = update(ctx, tx.Where(condition), user, columns)
		return err
	})
	return updated, err
}

// Update writes these columns of the object, and nothing else, if it belongs to the owner, and returns it as it is then, with the
// revision that this made.
func (o Owned[T, K]) Update(ctx context.Context, owner model.UserID, id objectmeta.ID[K], object *T, columns ...string) (
	updated *T, revision uint64, err error,
) {
	revision, err = o.s.write(ctx, o.kind, func(tx *gorm.DB) error {
		updated, err = update(ctx, tx.Where(where("ownerID", owner)).Where(where("id", id)), object, columns)
		return err
	})
	return updated, revision, err
}

func update[T any](ctx context.Context, query *gorm.DB, object *T, columns []string) (*T, error) {
	query = query.Session(&gorm.Session{}) // so that it can be used twice
	if err := found(query.Model(new(T)).Select(columns).Updates(object)); err != nil {
		return nil, err
	}
	return first[T](ctx, query)
}
