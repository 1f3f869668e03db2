package store

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// DeleteCollection deletes all users who are not admins, and all that belongs to them.
func (u Users) DeleteCollection(ctx context.Context) (Revisions, error) {
	now, err := u.delete(ctx, where("admin", false))
	if errors.Is(err, ErrNotFound) { // nobody was there
		return Revisions{}, nil
	}
	return now, err
}

// DeleteCollection deletes all that belongs to the owner. It returns the revision that this made, or 0 if there was nothing.
func (o Owned[T, K]) DeleteCollection(ctx context.Context, owner model.UserID) (revision uint64, err error) {
	revision, err = o.s.write(ctx, o.kind, func(tx *gorm.DB) error {
		return found(tx.Where(where("ownerID", owner)).Delete(new(T)))
	})
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return revision, err
}
