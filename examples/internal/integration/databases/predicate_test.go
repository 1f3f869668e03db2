package databases_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gracekit/gracekit/objectmeta"
)

// predicates compare a column with the zero ID, and have the rows 1 to 3 to choose from.
var predicates = map[string]struct {
	where string
	want  []secretID
}{
	"greater":         {"id > ?", []secretID{1, 2, 3}},
	"not less":        {"id >= ?", []secretID{1, 2, 3}},
	"not equal":       {"id <> ?", []secretID{1, 2, 3}},
	"not":             {"NOT (id = ?)", []secretID{1, 2, 3}},
	"not in":          {"id NOT IN (?, 2)", []secretID{1, 3}},
	"between":         {"id BETWEEN ? AND 2", []secretID{1, 2}},
	"equal":           {"id = ?", nil},
	"less":            {"id < ?", nil},
	"in":              {"id IN (?, 2)", []secretID{2}},
	"or":              {"id = ? OR id = 3", []secretID{3}},
	"name is taken":   {"name = 'second' AND id <> ?", []secretID{2}},
	"null is another": {"ownerID IS NULL AND id > ?", nil},
}

func TestZeroIDIsZeroInEveryPredicate(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		for _, name := range []string{"first", "second", "third"} {
			create(t, db, name)
		}
		for name, predicate := range predicates {
			where := strings.ReplaceAll(predicate.where, "ownerID", column(db, "ownerID"))
			t.Run(name+"/GORM", func(t *testing.T) {
				var got []secretID
				query := db.Model(&Secret{}).Where(where, secretID(0)).Order("id")
				require.NoError(t, query.Pluck("id", &got).Error)
				assert.ElementsMatch(t, predicate.want, got)
			})
			t.Run(name+"/database/sql", func(t *testing.T) {
				where := strings.Replace(where, "?", placeholder(db), 1)
				list, err := newStore(t, db).find(t.Context(), "WHERE "+where, secretID(0))
				require.NoError(t, err)
				var got []secretID
				for _, s := range list {
					got = append(got, s.ID)
				}
				assert.ElementsMatch(t, predicate.want, got)
			})
		}
	})
}

func TestZeroIDFindsAndDeletesNoRow(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		create(t, db, "ci")
		var got Secret
		require.ErrorIs(t, db.First(&got, secretID(0)).Error, gorm.ErrRecordNotFound)
		require.ErrorIs(t, db.First(&got, "id = ?", secretID(0)).Error, gorm.ErrRecordNotFound)
		require.ErrorIs(t, db.Where(secretID(0)).First(&got).Error, gorm.ErrRecordNotFound)
		require.ErrorIs(t, db.First(&got, []secretID{0}).Error, gorm.ErrRecordNotFound)
		where := map[string]any{"id": secretID(0)}
		require.ErrorIs(t, db.Where(where).First(&got).Error, gorm.ErrRecordNotFound)

		deleted := db.Delete(&Secret{}, secretID(0))
		require.NoError(t, deleted.Error)
		assert.Zero(t, deleted.RowsAffected)
		require.ErrorIs(t, db.Delete(&Secret{}).Error, gorm.ErrMissingWhereClause)
		updated := db.Model(&Secret{}).Update("name", "x")
		require.ErrorIs(t, updated.Error, gorm.ErrMissingWhereClause)
	})
}

// The pitfall that the documentation names: a struct condition leaves out zero values in GORM.
func TestZeroIDInAStructConditionIsAnyRow(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		want := create(t, db, "ci")
		var got Secret
		require.NoError(t, db.Where(&Secret{}).First(&got).Error)
		assert.Equal(t, want.ID, got.ID)
	})
}

func TestCreateWithAZeroIDGetsItsKeyFromTheDatabase(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		one := newSecret("one")
		require.NoError(t, db.Create(one).Error)
		assert.Equal(t, secretID(1), one.ID)

		saved := newSecret("saved")
		require.NoError(t, db.Save(saved).Error)
		assert.Equal(t, secretID(2), saved.ID)

		found := Secret{}
		query := db.Where("name = ?", "found").Attrs(*newSecret("found"))
		require.NoError(t, query.FirstOrCreate(&found).Error)
		assert.Equal(t, secretID(3), found.ID)

		// Some of a batch with a key, some without.
		batch := []*Secret{newSecret("a"), newSecret("b"), newSecret("c")}
		batch[1].ID = 100
		require.NoError(t, db.Create(batch).Error)
		assert.Equal(t, secretID(100), batch[1].ID)
		var stored []Secret
		require.NoError(t, db.Order("id").Find(&stored).Error)
		assert.Len(t, stored, 6)
		for _, s := range stored {
			assert.NotZero(t, s.ID, s.Name)
		}

		// In plain SQL the column is left out.
		plain := newSecret("plain")
		require.NoError(t, newStore(t, db).insert(t.Context(), plain))
		assert.NotZero(t, plain.ID)
	})
}

// Task refers to a user, or to none: the two forms of an optional foreign key.
type Task struct {
	objectmeta.ObjectMeta[secretKind] `json:"metadata"`

	OwnerID    *userID          `json:"ownerID,omitempty" gorm:"column:ownerID"`
	Owner      *Owner           `json:"-"                 gorm:"foreignKey:OwnerID"`
	ReviewerID sql.Null[userID] `json:"-"                 gorm:"column:reviewerID"`
	Reviewer   *Owner           `json:"-"                 gorm:"foreignKey:ReviewerID"`
}

// Owner is what a Task refers to.
type Owner struct {
	objectmeta.ObjectMeta[userKind] `json:"metadata"`
}

func TestOptionalForeignKey(t *testing.T) {
	onEachDatabase(t, []any{&Owner{}, &Task{}}, func(t *testing.T, db *gorm.DB) {
		if db.Name() == "sqlite" { // which does not look at foreign keys unless it is told to
			plain(t, db).SetMaxOpenConns(1)
			require.NoError(t, db.Exec("PRAGMA foreign_keys = ON").Error)
		}
		owner := Owner{}
		owner.Name = "colin"
		require.NoError(t, db.Create(&owner).Error)

		free, owned := &Task{}, &Task{OwnerID: &owner.ID}
		owned.ReviewerID = sql.Null[userID]{V: owner.ID, Valid: true}
		free.Name, owned.Name = "free", "owned"
		require.NoError(t, db.Create(free).Error)
		require.NoError(t, db.Create(owned).Error)

		var tasks []Task
		require.NoError(t, db.Preload("Owner").Preload("Reviewer").Order("id").Find(&tasks).Error)
		require.Len(t, tasks, 2)
		assert.Nil(t, tasks[0].OwnerID)
		assert.False(t, tasks[0].ReviewerID.Valid)
		assert.Equal(t, owner.ID, *tasks[1].OwnerID)
		assert.Equal(t, "colin", tasks[1].Owner.Name)
		assert.Equal(t, owner.ID, tasks[1].ReviewerID.V)
		assert.Equal(t, "colin", tasks[1].Reviewer.Name)

		var count int64
		without := map[string]any{"ownerID": nil}
		require.NoError(t, db.Model(&Task{}).Where(without).Count(&count).Error)
		assert.Equal(t, int64(1), count, "rows without an owner")

		// The zero ID is no row's, so a foreign key refuses it.
		wrong := &Task{OwnerID: new(userID)}
		wrong.Name = "wrong"
		require.Error(t, db.Create(wrong).Error)
	})
}
