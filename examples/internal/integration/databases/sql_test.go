package databases_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
)

// store is what a service writes that uses no ORM: the same struct, database/sql alone.
type store struct {
	db     *sql.DB
	insert func(ctx context.Context, s *Secret) error
	query  string
	update string
}

func newStore(tb testing.TB, db *gorm.DB) *store {
	tb.Helper()
	st := &store{db: plain(tb, db)}
	name := table(tb, db, &Secret{})
	columns := `name, ` + column(db, "extendShadow") + `, ` + column(db, "createdAt") + `, ` +
		column(db, "updatedAt") + `, username, ` + column(db, "ownerID")
	insert := `INSERT INTO ` + name + ` (` + columns + `) VALUES (?, ?, ?, ?, ?, ?)`
	st.query = `SELECT id, ` + columns + ` FROM ` + name
	st.update = `UPDATE ` + name + ` SET ` + column(db, "extendShadow") + ` = `

	fields := func(s *Secret) []any {
		return []any{s.Name, s.Extend, s.CreatedAt, s.UpdatedAt, s.Username, s.OwnerID}
	}
	switch db.Name() {
	case "postgres":
		insert = `INSERT INTO ` + name + ` (` + columns + `) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`
		st.insert = func(ctx context.Context, s *Secret) error {
			return st.db.QueryRowContext(ctx, insert, fields(s)...).Scan(&s.ID)
		}
	default:
		st.insert = func(ctx context.Context, s *Secret) error {
			result, err := st.db.ExecContext(ctx, insert, fields(s)...)
			if err != nil {
				return err
			}
			id, err := result.LastInsertId()
			s.ID = secretID(id)
			return err
		}
	}
	return st
}

func (st *store) find(ctx context.Context, where string, args ...any) ([]Secret, error) {
	rows, err := st.db.QueryContext(ctx, st.query+" "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Secret
	for rows.Next() {
		var s Secret
		err := rows.Scan(
			&s.ID, &s.Name, &s.Extend, &s.CreatedAt, &s.UpdatedAt, &s.Username, &s.OwnerID)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// placeholder is that of the first argument.
func placeholder(db *gorm.DB) string {
	if db.Name() == "postgres" {
		return "$1"
	}
	return "?"
}

func TestDatabaseSQL(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		ctx, st := t.Context(), newStore(t, db)
		now := time.Now().UTC().Truncate(time.Millisecond)

		want := newSecret("ci")
		want.CreatedAt, want.UpdatedAt = now, now
		want.Extend["big"] = uint64(math.MaxUint64)
		require.NoError(t, st.insert(ctx, want))
		assert.Equal(t, "secret-zpmsxh", want.ID.String())
		require.NoError(t, st.insert(ctx, &Secret{
			ObjectMeta: objectmeta.ObjectMeta[secretKind]{Name: "other"}, OwnerID: 7,
		}))

		id, err := objectmeta.ParseID[secretKind]("secret-zpmsxh")
		require.NoError(t, err)
		list, err := st.find(ctx, "WHERE id = "+placeholder(db), id)
		require.NoError(t, err)
		require.Len(t, list, 1)
		got := list[0]
		assert.Equal(t, want.ID, got.ID)
		assert.Equal(t, "ci", got.Name)
		assert.True(t, now.Equal(got.CreatedAt), "%v is not %v", got.CreatedAt, now)
		team, _ := objectmeta.Get[string](got.Extend, "team")
		assert.Equal(t, "infra", team)
		big, _ := objectmeta.Get[uint64](got.Extend, "big")
		assert.Equal(t, uint64(math.MaxUint64), big)
		assert.Zero(t, got.OwnerID)

		list, err = st.find(ctx, "WHERE "+column(db, "ownerID")+" = "+placeholder(db), userID(7))
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.Equal(t, "other", list[0].Name)
		assert.Equal(t, extend{}, list[0].Extend, "nil was written")

		t.Run("zero ID finds nothing", func(t *testing.T) {
			list, err := st.find(ctx, "WHERE id = "+placeholder(db), secretID(0))
			assert.NoError(t, err)
			assert.Empty(t, list)
		})
		t.Run("nothing in extendShadow", func(t *testing.T) {
			for name, value := range map[string]string{"NULL": "NULL", "empty": "''", "null": "'null'"} {
				_, err := st.db.ExecContext(ctx, st.update+value)
				require.NoError(t, err)
				list, err := st.find(ctx, "")
				require.NoError(t, err, name)
				require.Len(t, list, 2)
				assert.Nil(t, list[0].Extend, name)
			}
		})
		t.Run("a scan replaces", func(t *testing.T) {
			_, err := st.db.ExecContext(ctx, st.update+`'{"a":"b"}'`)
			require.NoError(t, err)
			e := extend{"deleted": 1}
			row := "SELECT " + column(db, "extendShadow") +
				" FROM " + table(t, db, &Secret{}) + " WHERE id = 1"
			require.NoError(t, st.db.QueryRowContext(ctx, row).Scan(&e))
			assert.Equal(t, extend{"a": "b"}, e)
			_, err = st.db.ExecContext(ctx, st.update+"NULL")
			require.NoError(t, err)
			require.NoError(t, st.db.QueryRowContext(ctx, row).Scan(&e))
			assert.Nil(t, e)
		})
		t.Run("NaN", func(t *testing.T) {
			meta := objectmeta.ObjectMeta[secretKind]{Name: "x", Extend: extend{"a": math.NaN()}}
			assert.ErrorContains(t, st.insert(ctx, &Secret{ObjectMeta: meta}), "NaN")
		})
		t.Run("ID above MaxInt64", func(t *testing.T) {
			_, err := st.find(ctx, "WHERE id = "+placeholder(db), secretID(math.MaxInt64+1))
			assert.ErrorContains(t, err, "objectmeta: ID 9223372036854775808: "+
				"database/sql takes integers up to 9223372036854775807 only")
		})
	})
}

func TestDatabaseSQLConcurrentWriters(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		st := newStore(t, db)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range rowsPerWriter {
					s := newSecret(fmt.Sprintf("writer-%d-%d", w, i))
					s.CreatedAt, s.UpdatedAt = time.Now(), time.Now()
					if err := st.insert(t.Context(), s); err != nil {
						t.Errorf("%s: %v", s.Name, err)
					}
				}
			})
		}
		wg.Wait()
		list, err := st.find(t.Context(), "")
		require.NoError(t, err)
		ids := map[string]bool{}
		for _, s := range list {
			ids[s.ID.String()] = true
		}
		assert.Len(t, ids, writers*rowsPerWriter)
	})
}

// Columns of type JSON take what Value gives, and give what Scan takes; so does MySQL's BIGINT
// UNSIGNED, up to its end.
func TestOtherColumnTypes(t *testing.T) {
	types := map[string]struct{ json, integer string }{
		"sqlite":   {"BLOB", "INT8"},
		"mysql":    {"JSON", "BIGINT UNSIGNED"},
		"postgres": {"JSONB", "BIGINT"},
	}
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		ctx, pool := t.Context(), plain(t, db)
		name := strings.Trim(table(t, db, &Secret{}), "`\"") + "_types"
		_, err := pool.ExecContext(ctx, "CREATE TABLE "+name+
			" (id "+types[db.Name()].integer+", extend "+types[db.Name()].json+")")
		require.NoError(t, err)
		t.Cleanup(func() {
			if _, err := pool.Exec("DROP TABLE " + name); err != nil {
				t.Error(err)
			}
		})
		values := "(?, ?)"
		if db.Name() == "postgres" {
			values = "($1, $2)"
		}
		_, err = pool.ExecContext(ctx, "INSERT INTO "+name+" VALUES "+values,
			secretID(1<<53+1), extend{"big": int64(9007199254740993)})
		require.NoError(t, err)
		var id secretID
		var e extend
		require.NoError(t, pool.QueryRowContext(ctx, "SELECT id, extend FROM "+name).Scan(&id, &e))
		assert.Equal(t, secretID(1<<53+1), id)
		big, _ := objectmeta.Get[int64](e, "big")
		assert.Equal(t, int64(9007199254740993), big)

		if db.Name() == "mysql" {
			_, err = pool.ExecContext(ctx, "UPDATE "+name+" SET id = 18446744073709551615")
			require.NoError(t, err)
			require.NoError(t, pool.QueryRowContext(ctx, "SELECT id FROM "+name).Scan(&id), "text protocol")
			assert.Equal(t, secretID(math.MaxUint64), id)
			id = 0
			row := pool.QueryRowContext(ctx, "SELECT id FROM "+name+" WHERE id > ?", 1)
			require.NoError(t, row.Scan(&id), "binary protocol")
			assert.Equal(t, secretID(math.MaxUint64), id)
		}
	})
}
