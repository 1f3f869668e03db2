package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// List returns a page of all users, in the order in which they were created.
func (u Users) List(ctx context.Context, offset, limit int) (objectmeta.List[model.User], error) {
	return list[model.User](ctx, u.s, offset, limit)
}

// List returns a page of what belongs to the owner, in the order of creation.
func (o Owned[T, K]) List(ctx context.Context, owner model.UserID, offset, limit int) (objectmeta.List[T], error) {
	return list[T](ctx, o.s, offset, limit, where("ownerID", owner))
}

// Count returns how many belong to the owner.
func (o Owned[T, K]) Count(ctx context.Context, owner model.UserID) (int64, error) {
	var n int64
	err := o.s.db.WithContext(ctx).Model(new(T)).Where(where("ownerID", owner)).Count(&n).Error
	return n, translate(ctx, err)
}

// list reads the page and the number of all from one state of the database, so that they fit together.
func list[T any](ctx context.Context, s *Store, offset, limit int, conditions ...any) (page objectmeta.List[T], err error) {
	page.Items = make([]T, 0) // [] in JSON, not null
	err = s.snapshot(ctx, func(tx *gorm.DB) error {
		query := tx.Model(new(T))
		for _, condition := range conditions {
			query = query.Where(condition)
		}
		query = query.Session(&gorm.Session{}) // so that it can be used twice
		if err := query.Count(&page.TotalCount).Error; err != nil {
			return err
		}
		return query.Order("id").Offset(offset).Limit(limit).Find(&page.Items).Error
	})
	return page, err
}
