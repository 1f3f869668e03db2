package store

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Create stores the user and gives it its ID and times.
func (u Users) Create(ctx context.Context, user *model.User) error {
	_, err := u.s.write(ctx, userRevision, func(tx *gorm.DB) error { return tx.Create(user).Error })
	return err
}

// Create stores the object, whose owner is in it, gives it its ID and times, and returns the revision that this made. The error is
// ErrNotFound if the owner is gone.
func (o Owned[T, K]) Create(ctx context.Context, object *T) (revision uint64, err error) {
	return o.s.write(ctx, o.kind, func(tx *gorm.DB) error {
		err := tx.Create(object).Error
		if errors.Is(err, gorm.ErrForeignKeyViolated) {
			return ErrNotFound
		}
		return err
	})
}
