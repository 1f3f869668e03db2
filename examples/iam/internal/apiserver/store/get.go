package store

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// Get returns the user of this name.
func (u Users) Get(ctx context.Context, name string) (*model.User, error) {
	condition, err := named(name)
	if err != nil {
		return nil, err
	}
	return first[model.User](ctx, u.s.db.WithContext(ctx).Where(condition))
}

// named is the condition for the user of this name. What is no name at all does not reach the database: MariaDB would find "ann" for
// "ann ", and PostgreSQL take one that is not UTF-8 or has a character 0 for a failure.
func named(name string) (clause.Expression, error) {
	if objectmeta.ValidateName(name) != nil {
		return nil, ErrNotFound
	}
	return where("name", name), nil
}

// GetByID returns the user with this ID.
func (u Users) GetByID(ctx context.Context, id model.UserID) (*model.User, error) {
	return first[model.User](ctx, u.s.db.WithContext(ctx).Where(where("id", id)))
}

// SomeAdmin reports whether there is a user who is an admin.
func (u Users) SomeAdmin(ctx context.Context) (bool, error) {
	var n int64
	err := u.s.db.WithContext(ctx).Model(&model.User{}).Where(where("admin", true)).Count(&n).Error
	return n > 0, translate(ctx, err)
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
