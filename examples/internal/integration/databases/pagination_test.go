package databases_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gracekit/gracekit/objectmeta"
)

// find gives the rows after an ID, at most limit of them.
type find func(t *testing.T, after secretID, limit int) []Secret

func finders(t *testing.T, db *gorm.DB) map[string]find {
	return map[string]find{
		"GORM": func(t *testing.T, after secretID, limit int) []Secret {
			var rows []Secret
			require.NoError(t, db.Where("id > ?", after).Order("id").Limit(limit).Find(&rows).Error)
			return rows
		},
		"database/sql": func(t *testing.T, after secretID, limit int) []Secret {
			where := fmt.Sprintf("WHERE id > %s ORDER BY id LIMIT %d", placeholder(db), limit)
			rows, err := newStore(t, db).find(t.Context(), where, after)
			require.NoError(t, err)
			return rows
		},
	}
}

func TestKeysetGivesEveryRowOnce(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		const rows, perPage = 10, 4
		for i := range rows {
			create(t, db, fmt.Sprintf("row-%d", i))
		}
		for name, find := range finders(t, db) {
			t.Run(name, func(t *testing.T) {
				var names []string
				keyset := objectmeta.Keyset[secretKind]{Limit: new(int64)}
				*keyset.Limit = perPage
				for page := 0; ; page++ {
					require.Less(t, page, rows, "pages without end")
					after, limit, err := keyset.Page(20, 100)
					require.NoError(t, err)
					list := find(t, after, limit)
					for _, s := range list {
						names = append(names, s.Name)
						keyset.After = s.ID
					}
					if len(list) < limit {
						break
					}
				}
				require.Len(t, names, rows)
				for i, name := range names {
					assert.Equal(t, fmt.Sprintf("row-%d", i), name)
				}
			})
		}
	})
}

// With an offset, the row after the page would be skipped.
func TestKeysetSkipsNoRowWhenOneIsDeletedMeanwhile(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		for i := range 4 {
			create(t, db, fmt.Sprintf("row-%d", i))
		}
		find := finders(t, db)["GORM"]
		first := find(t, 0, 2)
		require.Len(t, first, 2)
		require.NoError(t, db.Delete(&Secret{}, first[0].ID).Error)
		second := find(t, first[1].ID, 2)
		require.Len(t, second, 2)
		assert.Equal(t, "row-2", second[0].Name)
	})
}
