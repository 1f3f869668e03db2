package store

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gracekit/gracekit/objectmeta"
)

// A Condition is made by Is.
type Condition = clause.Expression

// Is holds for rows with this value in the column, or with one of these if it is a slice of
// strings. In this form, unlike SQL as text, names with upper-case letters get the quotes that
// PostgreSQL needs.
func Is(column string, value any) Condition { return clause.Eq{Column: column, Value: value} }

func filter(query *gorm.DB, conditions []Condition) *gorm.DB {
	for _, condition := range conditions {
		query = query.Where(condition)
	}
	return query
}

// first loads into an empty object, since NULL leaves a field as it was.
func first[T any](ctx context.Context, query *gorm.DB) (*T, error) {
	object := new(T)
	if err := query.Take(object).Error; err != nil {
		return nil, translate(ctx, err)
	}
	return object, nil
}

// list reads the page and the number of all from one state of the database, so that they fit
// together.
func list[T any](ctx context.Context, s *Store, offset, limit int, conditions []Condition) (page objectmeta.List[T], err error) {
	page.Items = make([]T, 0) // [] in JSON, not null
	err = s.snapshot(ctx, func(tx *gorm.DB) error {
		query := filter(tx.Model(new(T)), conditions).Session(&gorm.Session{}) // so that it can be used twice
		if err := query.Count(&page.TotalCount).Error; err != nil {
			return err
		}
		return query.Order("id").Offset(offset).Limit(limit).Find(&page.Items).Error
	})
	return page, err
}

func update[T any](ctx context.Context, query *gorm.DB, object *T, columns []string) (*T, error) {
	query = query.Session(&gorm.Session{}) // so that it can be used twice
	if err := found(query.Model(new(T)).Select(columns).Updates(object)); err != nil {
		return nil, err
	}
	return first[T](ctx, query)
}
