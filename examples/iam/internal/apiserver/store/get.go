package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// Get returns the user of this name.
func (u Users) Get(ctx context.Context, name string) (*model.User, error) {
	return first[model.User](ctx, u.s.db.WithContext(ctx).Where(where("name", name)))
}

// GetByID returns the user with this ID.
func (u Users) GetByID(ctx context.Context, id model.UserID) (*model.User, error) {
	return first[model.User](ctx, u.s.db.WithContext(ctx).Where(where("id", id)))
}

// Get returns the object if it belongs to the owner.
func (o Owned[T, K]) Get(ctx context.Context, owner model.UserID, id objectmeta.ID[K]) (*T, error) {
	return first[T](ctx, o.s.db.WithContext(ctx).Where(where("ownerID", owner)).Where(where("id", id)))
}

// first loads into an empty object, since NULL leaves a field as it was.
func first[T any](ctx context.Context, query *gorm.DB) (*T, error) {
	object := new(T)
	if err := query.Take(object).Error; err != nil {
		return nil, translate(ctx, err)
	}
	return object, nil
}
