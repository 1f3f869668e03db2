package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// Owned has the verbs for what belongs to a user: secrets and policies. Nothing is ever found
// without its owner, so no caller can forget to ask whose it is.
type Owned[T interface{ Owner() model.UserID }, K objectmeta.Kind] struct {
	s    *Store
	kind objectKind

	// Quota bounds what one user may have. It is set before the store is used; the zero value
	// bounds nothing.
	Quota Quota
}

// A Quota that is exceeded is ErrQuota. The number is not looked at again when something is only
// changed.
type Quota struct {
	Objects int64
	Column  string // if not empty, the characters in this column of all of them are bounded, too
	Length  int64
}

func (q Quota) check(tx *gorm.DB, owner model.UserID, table any, created bool) error {
	if q.Objects == 0 {
		return nil
	}
	is := struct{ Objects, Length int64 }{}
	query, args := "COUNT(*) AS objects", []any(nil)
	if q.Column != "" {
		query, args = query+", SUM(LENGTH(?)) AS length", []any{clause.Column{Name: q.Column}}
	}
	if err := tx.Model(table).Select(query, args...).Where(Is("ownerID", owner)).Scan(&is).Error; err != nil {
		return err
	}
	if created && is.Objects > q.Objects || is.Length > q.Length {
		return ErrQuota
	}
	return nil
}

// Get returns the object if it belongs to the owner.
func (o Owned[T, K]) Get(ctx context.Context, owner model.UserID, id objectmeta.ID[K]) (*T, error) {
	return first[T](ctx, o.s.db.WithContext(ctx).Where(Is("ownerID", owner)).Where(Is("id", id)))
}

// OwnerOf is for those who may look at everybody's.
func (o Owned[T, K]) OwnerOf(ctx context.Context, id objectmeta.ID[K]) (model.UserID, error) {
	object, err := first[T](ctx, o.s.db.WithContext(ctx).Where(Is("id", id)))
	if err != nil {
		return 0, err
	}
	return (*object).Owner(), nil
}

// List returns a page of what belongs to the owner and meets the conditions, in the order of
// creation.
func (o Owned[T, K]) List(ctx context.Context, owner model.UserID, offset, limit int, conditions ...Condition) (objectmeta.List[T], error) {
	return list[T](ctx, o.s, offset, limit, append(conditions, Is("ownerID", owner)))
}

// After returns the page that follows an ID. Unlike that of List it costs the same wherever it is,
// and nothing is left out or comes twice when objects come and go between two pages.
func (o Owned[T, K]) After(ctx context.Context, owner model.UserID, after objectmeta.ID[K], limit int, conditions ...Condition) ([]T, error) {
	items := make([]T, 0) // [] in JSON, not null
	query := filter(o.s.db.WithContext(ctx).Where(Is("ownerID", owner)), conditions)
	err := query.Where(clause.Gt{Column: "id", Value: after}).Order("id").Limit(limit).Find(&items).Error
	return items, translate(ctx, err)
}

// Count returns how many belong to the owner.
func (o Owned[T, K]) Count(ctx context.Context, owner model.UserID) (int64, error) {
	var n int64
	err := o.s.db.WithContext(ctx).Model(new(T)).Where(Is("ownerID", owner)).Count(&n).Error
	return n, translate(ctx, err)
}

// Counts returns how many belong to each of the owners, in one query; who has none is not in it.
func (o Owned[T, K]) Counts(ctx context.Context, owners []model.UserID) (map[model.UserID]int64, error) {
	var rows []struct {
		OwnerID model.UserID `gorm:"column:ownerID"`
		N       int64
	}
	err := o.s.db.WithContext(ctx).Model(new(T)).Select("? , COUNT(*) AS n", clause.Column{Name: "ownerID"}).
		Where("? IN ?", clause.Column{Name: "ownerID"}, owners).Group("ownerID").Scan(&rows).Error
	counts := make(map[model.UserID]int64, len(rows))
	for _, row := range rows {
		counts[row.OwnerID] = row.N
	}
	return counts, translate(ctx, err)
}

// Create stores the object, whose owner is in it, gives it its ID and times, and returns the
// revision that this made. The error is ErrNotFound if the owner is gone.
func (o Owned[T, K]) Create(ctx context.Context, object *T) (revision uint64, err error) {
	return o.s.change(ctx, func(tx *gorm.DB, now Revision) error {
		created := tx.Create(object)
		if errors.Is(created.Error, gorm.ErrForeignKeyViolated) {
			return ErrNotFound
		}
		if created.Error != nil {
			return created.Error
		}
		id, _ := created.Statement.Schema.PrioritizedPrimaryField.ValueOf(ctx, created.Statement.ReflectValue)
		return errors.Join(record(tx, now, o.kind, Is("id", id)), o.Quota.check(tx, (*object).Owner(), new(T), true))
	})
}

// Update writes these columns of the object, and nothing else, if it belongs to the owner, and
// returns it as it is then, with the revision that this made.
func (o Owned[T, K]) Update(ctx context.Context, owner model.UserID, id objectmeta.ID[K], object *T, columns ...string) (
	updated *T, revision uint64, err error,
) {
	revision, err = o.s.change(ctx, func(tx *gorm.DB, now Revision) error {
		updated, err = update(ctx, tx.Where(Is("ownerID", owner)).Where(Is("id", id)), object, columns)
		if err != nil {
			return err
		}
		return errors.Join(record(tx, now, o.kind, Is("id", id)), o.Quota.check(tx, owner, new(T), false))
	})
	return updated, revision, err
}

// Delete deletes the object if it belongs to the owner, and returns the revision that this made.
func (o Owned[T, K]) Delete(ctx context.Context, owner model.UserID, id objectmeta.ID[K]) (revision uint64, err error) {
	return o.delete(ctx, Is("ownerID", owner), Is("id", id))
}

// DeleteCollection deletes what belongs to the owner and meets the conditions. It returns the
// revision that this made, or 0 if there was nothing.
func (o Owned[T, K]) DeleteCollection(ctx context.Context, owner model.UserID, conditions ...Condition) (revision uint64, err error) {
	revision, err = o.delete(ctx, append(conditions, Is("ownerID", owner))...)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return revision, err
}

func (o Owned[T, K]) delete(ctx context.Context, conditions ...Condition) (revision uint64, err error) {
	return o.s.change(ctx, func(tx *gorm.DB, now Revision) error {
		if err := record(tx, now, o.kind, conditions...); err != nil {
			return err
		}
		return found(filter(tx, conditions).Delete(new(T)))
	})
}
