package databases_test

import (
	"encoding/json"
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

type (
	secretKind struct{}
	userKind   struct{}
)

var (
	secretIDs = must(objectmeta.NewHasher("secret", []byte("x20k5x")))
	userIDs   = must(objectmeta.NewHasher("user", []byte("x20k5x")))
)

func (secretKind) InstanceIDs() objectmeta.Codec { return secretIDs }
func (userKind) InstanceIDs() objectmeta.Codec   { return userIDs }

func must[T any](t T, err error) T {
	if err != nil {
		panic(err)
	}
	return t
}

type (
	secretID = objectmeta.ID[secretKind]
	userID   = objectmeta.ID[userKind]
	extend   = objectmeta.Extend
)

// Secret is a model as users write it, with a column that refers to one of another kind.
type Secret struct {
	objectmeta.ObjectMeta[secretKind] `json:"metadata"`
	Username                          string `json:"username" gorm:"column:username;type:varchar(64)"`
	OwnerID                           userID `json:"ownerID,omitzero" gorm:"column:ownerID"`
}

// User has the metadata in a named field.
type User struct {
	Meta    objectmeta.ObjectMeta[userKind] `json:"metadata" gorm:"embedded"`
	Secrets []Secret                        `json:"secrets,omitempty" gorm:"foreignKey:OwnerID"`
}

func newSecret(name string) *Secret {
	return &Secret{
		ObjectMeta: objectmeta.ObjectMeta[secretKind]{Name: name, Extend: extend{"team": "infra"}},
		Username:   "colin",
	}
}

func create(t *testing.T, db *gorm.DB, name string) *Secret {
	t.Helper()
	s := newSecret(name)
	require.NoError(t, db.Create(s).Error)
	return s
}

func load(t *testing.T, db *gorm.DB, id secretID) *Secret {
	t.Helper()
	var s Secret
	require.NoError(t, db.First(&s, id).Error)
	return &s
}

func onSecrets(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	onEachDatabase(t, []any{&Secret{}}, test)
}

func TestCreateOne(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		s := create(t, db, "ci")
		assert.Equal(t, secretID(1), s.ID)
		assert.Equal(t, "secret-zpmsxh", s.ID.String())
		assert.WithinDuration(t, time.Now(), s.CreatedAt, time.Minute)
		assert.WithinDuration(t, time.Now(), s.UpdatedAt, time.Minute)

		got := load(t, db, s.ID)
		assert.WithinDuration(t, s.CreatedAt, got.CreatedAt, time.Second)
		got.CreatedAt, got.UpdatedAt = s.CreatedAt, s.UpdatedAt
		assert.Equal(t, s, got)
	})
}

func TestCreateBatch(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		batch := make([]*Secret, 20)
		for i := range batch {
			batch[i] = newSecret(fmt.Sprintf("batch-%d", i))
		}
		require.NoError(t, db.Create(batch).Error)
		for _, s := range batch {
			require.NotZero(t, s.ID)
			assert.Equal(t, s.Name, load(t, db, s.ID).Name, "the row with this ID")
		}
		again := []Secret{*newSecret("again-0"), *newSecret("again-1"), *newSecret("again-2")}
		require.NoError(t, db.CreateInBatches(&again, 2).Error)
		for _, s := range again {
			assert.Equal(t, s.Name, load(t, db, s.ID).Name)
		}
	})
}

func TestFindByID(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		create(t, db, "first")
		want := create(t, db, "second")
		last := create(t, db, "third")
		id, err := objectmeta.ParseID[secretKind](want.ID.String())
		require.NoError(t, err)

		queries := map[string]*gorm.DB{
			"primary key": db.Where(id),
			"condition":   db.Where("id = ?", id),
			"map":         db.Where(map[string]any{"id": id}),
			"struct":      db.Where(&Secret{ObjectMeta: objectmeta.ObjectMeta[secretKind]{ID: id}}),
			"in":          db.Where("id IN ?", []secretID{id}),
		}
		for name, query := range queries {
			t.Run(name, func(t *testing.T) {
				var got []Secret
				require.NoError(t, query.Find(&got).Error)
				require.Len(t, got, 1)
				assert.Equal(t, "second", got[0].Name)
			})
		}
		t.Run("several keys", func(t *testing.T) {
			var got []Secret
			require.NoError(t, db.Order("id").Find(&got, []secretID{id, last.ID}).Error)
			require.Len(t, got, 2)
			assert.Equal(t, last.ID, got[1].ID)
		})
		t.Run("none", func(t *testing.T) {
			assert.ErrorIs(t, db.First(&Secret{}, secretID(99)).Error, gorm.ErrRecordNotFound)
		})
		t.Run("greatest", func(t *testing.T) {
			assert.ErrorIs(t, db.First(&Secret{}, secretID(math.MaxInt64)).Error, gorm.ErrRecordNotFound)
			err := db.First(&Secret{}, "id = ?", secretID(math.MaxUint64)).Error
			assert.ErrorContains(t, err, "database/sql takes integers up to")
		})
		t.Run("pluck", func(t *testing.T) {
			var ids []secretID
			require.NoError(t, db.Model(&Secret{}).Order("id").Pluck("id", &ids).Error)
			assert.Equal(t, []secretID{1, 2, 3}, ids)
		})
		t.Run("delete", func(t *testing.T) {
			require.NoError(t, db.Delete(&Secret{}, id).Error)
			assert.ErrorIs(t, db.First(&Secret{}, id).Error, gorm.ErrRecordNotFound)
			var left int64
			require.NoError(t, db.Model(&Secret{}).Count(&left).Error)
			assert.Equal(t, int64(2), left)
		})
	})
}

func TestUpdatesStruct(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		s := create(t, db, "ci")
		other := create(t, db, "other")

		change := objectmeta.ObjectMeta[secretKind]{Name: "renamed", Extend: extend{"colour": "red"}}
		require.NoError(t, db.Model(s).Updates(Secret{ObjectMeta: change}).Error)
		got := load(t, db, s.ID)
		assert.Equal(t, "renamed", got.Name)
		assert.Equal(t, extend{"colour": "red"}, got.Extend, "replaced, not dropped and not merged")
		assert.Equal(t, "colin", got.Username)
		assert.False(t, got.UpdatedAt.Before(got.CreatedAt))

		require.NoError(t, db.Model(s).Updates(Secret{Username: "marmotedu"}).Error)
		got = load(t, db, s.ID)
		assert.Equal(t, "marmotedu", got.Username)
		assert.Equal(t, extend{"colour": "red"}, got.Extend, "not mentioned")

		require.NoError(t, db.Model(s).Select("Extend").Updates(Secret{}).Error)
		assert.Empty(t, load(t, db, s.ID).Extend, "mentioned, and nil")

		got = load(t, db, s.ID)
		got.Name, got.Extend = "saved", got.Extend.Merge(extend{"a": 1})
		require.NoError(t, db.Save(got).Error)
		assert.Equal(t, extend{"a": int64(1)}, load(t, db, s.ID).Extend)
		assert.Equal(t, "other", load(t, db, other.ID).Name)
	})
}

func TestUpdatesMap(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		s := create(t, db, "ci")
		other := create(t, db, "other")
		for _, key := range []string{"extendShadow", "Extend"} { // column and field
			change := map[string]any{"name": "via " + key, key: extend{"by": key}}
			require.NoError(t, db.Model(&Secret{}).Where("id = ?", s.ID).Updates(change).Error)
			got := load(t, db, s.ID)
			assert.Equal(t, "via "+key, got.Name)
			assert.Equal(t, extend{"by": key}, got.Extend)
			assert.Equal(t, "colin", got.Username)
		}
		row := db.Model(&Secret{}).Where("id = ?", s.ID)
		require.NoError(t, row.Update("extendShadow", extend(nil)).Error)
		assert.Empty(t, load(t, db, s.ID).Extend)
		assert.Equal(t, extend{"team": "infra"}, load(t, db, other.ID).Extend)

		// What is no Extend, or none that JSON can hold, is an error and changes nothing.
		for _, bad := range []any{map[string]any{"a": 1}, extend{"a": math.NaN()}} {
			change := map[string]any{"name": "lost", "extendShadow": bad}
			err := db.Model(&Secret{}).Where("id = ?", other.ID).Updates(change).Error
			assert.Error(t, err, "%T", bad)
		}
		assert.Equal(t, "other", load(t, db, other.ID).Name)

		require.NoError(t, db.Model(other).Update("updatedAt", time.Unix(0, 0)).Error)
		require.NoError(t, db.Model(other).Updates(map[string]any{"ownerID": userID(7)}).Error)
		got := load(t, db, other.ID)
		assert.Equal(t, userID(7), got.OwnerID)
		assert.WithinDuration(t, time.Now(), got.UpdatedAt, time.Minute, "set by GORM")
	})
}

func TestPartialSelect(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		s := create(t, db, "ci")
		var got Secret
		require.NoError(t, db.Select("name").First(&got, s.ID).Error)
		assert.Equal(t, Secret{ObjectMeta: objectmeta.ObjectMeta[secretKind]{Name: "ci"}}, got)
		data, err := json.Marshal(got)
		require.NoError(t, err)
		assert.Equal(t, `{"metadata":{"name":"ci"},"username":""}`, string(data))

		got = Secret{}
		require.NoError(t, db.Omit("Extend", "createdAt", "updatedAt").First(&got, s.ID).Error)
		assert.Equal(t, s.ID, got.ID)
		assert.Nil(t, got.Extend)

		var rows []struct {
			ID     secretID
			Extend extend `gorm:"column:extendShadow"`
		}
		require.NoError(t, db.Model(&Secret{}).Select("id", "extendShadow").Scan(&rows).Error)
		require.Len(t, rows, 1)
		assert.Equal(t, s.ID, rows[0].ID)
		assert.Equal(t, extend{"team": "infra"}, rows[0].Extend)

		change := objectmeta.ObjectMeta[secretKind]{Name: "renamed", Extend: extend{"x": 1}}
		require.NoError(t, db.Model(s).Select("name").Updates(Secret{ObjectMeta: change}).Error)
		updated := load(t, db, s.ID)
		assert.Equal(t, "renamed", updated.Name)
		assert.Equal(t, extend{"team": "infra"}, updated.Extend)
	})
}

// Rows that others wrote: one with nothing in extendShadow must not make the whole list fail.
func TestNothingInExtendShadow(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		values := []any{nil, "", "null", "{}", `{"a":"b"}`}
		for i, value := range values {
			s := create(t, db, fmt.Sprintf("row-%d", i))
			row := db.Model(&Secret{}).Where("id = ?", s.ID)
			require.NoError(t, row.Update("extendShadow", gorm.Expr("?", value)).Error)
		}
		var list []Secret
		require.NoError(t, db.Order("id").Find(&list).Error)
		require.Len(t, list, len(values))
		for i, want := range []extend{nil, nil, nil, {}, {"a": "b"}} {
			assert.Equal(t, want, list[i].Extend, "extendShadow %v", values[i])
		}

		t.Run("not an object", func(t *testing.T) {
			row := db.Model(&Secret{}).Where("id = ?", list[0].ID)
			require.NoError(t, row.Update("extendShadow", gorm.Expr("?", "[1]")).Error)
			err := db.First(&Secret{}, list[0].ID).Error
			assert.ErrorContains(t, err, `objectmeta: Extend: "[1]": must be a JSON object`)
		})
	})
}

// A reload into the same variable shows what is in the row now.
func TestReloadReplacesExtend(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		s := create(t, db, "ci")
		s.Extend = extend{"deleted": 1}
		for _, now := range []extend{{"a": "b"}, {}, nil} {
			require.NoError(t, db.Model(&Secret{}).Where("id = ?", s.ID).Update("extendShadow", now).Error)
			s.Extend = extend{"deleted": 1}
			require.NoError(t, db.First(s).Error)
			assert.NotContains(t, s.Extend, "deleted")
			assert.Len(t, s.Extend, len(now))
		}
		// An ID that becomes NULL as well.
		require.NoError(t, db.Model(s).Update("ownerID", userID(5)).Error)
		reloaded := load(t, db, s.ID)
		require.Equal(t, userID(5), reloaded.OwnerID)
		require.NoError(t, db.Model(&Secret{}).Where("id = ?", s.ID).Update("ownerID", nil).Error)
		require.NoError(t, db.First(reloaded).Error)
		assert.Zero(t, reloaded.OwnerID)
	})
}

func TestBigIntegers(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		s := newSecret("ci")
		require.NoError(t, json.Unmarshal([]byte(`{"metadata":{"extend":{"json":9007199254740993}}}`), s))
		s.Extend["int"], s.Extend["uint"] = int64(math.MinInt64), uint64(math.MaxUint64)
		require.NoError(t, db.Create(s).Error)
		got := load(t, db, s.ID)
		data, err := json.Marshal(got.Extend)
		require.NoError(t, err)
		want := `{"json":9007199254740993,"int":-9223372036854775808,"uint":18446744073709551615}`
		assert.JSONEq(t, want, string(data))
		assert.Contains(t, string(data), "9007199254740993")
		n, ok := objectmeta.Get[uint64](got.Extend, "uint")
		assert.True(t, ok)
		assert.Equal(t, uint64(math.MaxUint64), n)

		// IDs beyond 32 and 53 bits.
		for _, id := range []secretID{1 << 32, 1<<53 + 1, math.MaxInt64 - 1} {
			s := newSecret("big")
			s.ID = id
			require.NoError(t, db.Create(s).Error)
			assert.Equal(t, id, s.ID)
			assert.Equal(t, id, load(t, db, id).ID)
		}
	})
}

// What could not be read back is not written.
func TestNaNIsAnErrorAtWriteTime(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		s := newSecret("ci")
		s.Extend["load"] = math.NaN()
		assert.ErrorContains(t, db.Create(s).Error, "objectmeta: Extend: json: unsupported value: NaN")
		var count int64
		require.NoError(t, db.Model(s).Count(&count).Error)
		assert.Zero(t, count)

		good := create(t, db, "good")
		change := objectmeta.ObjectMeta[secretKind]{Extend: s.Extend}
		assert.ErrorContains(t, db.Model(good).Updates(Secret{ObjectMeta: change}).Error, "NaN")
		assert.Equal(t, extend{"team": "infra"}, load(t, db, good.ID).Extend)
	})
}

// The integer is nowhere in what a client sees, and what a client sends finds the row.
func TestJSONInAndOut(t *testing.T) {
	onEachDatabase(t, []any{&User{}, &Secret{}}, func(t *testing.T, db *gorm.DB) {
		user := User{Meta: objectmeta.ObjectMeta[userKind]{ID: 987654321, Name: "colin"}}
		require.NoError(t, db.Create(&user).Error)
		s := newSecret("ci")
		s.ID, s.OwnerID = 123456789, user.Meta.ID
		require.NoError(t, db.Create(s).Error)

		var got User
		require.NoError(t, db.Preload("Secrets").First(&got, user.Meta.ID).Error)
		require.Len(t, got.Secrets, 1, "found by the ID in its column")
		data, err := json.Marshal(objectmeta.List[User]{
			ListMeta: objectmeta.ListMeta{TotalCount: 1}, Items: []User{got},
		})
		require.NoError(t, err)
		assert.Contains(t, string(data), `"instanceID":"`+s.ID.String()+`"`)
		assert.Contains(t, string(data), `"ownerID":"`+user.Meta.ID.String()+`"`)
		assert.Regexp(t, `"secret-[0-9a-z]{6}"`, string(data))
		assert.NotContains(t, string(data), "123456789")
		assert.NotContains(t, string(data), "987654321")

		var list objectmeta.List[User]
		require.NoError(t, json.Unmarshal(data, &list))
		var again Secret
		require.NoError(t, db.First(&again, list.Items[0].Secrets[0].ID).Error)
		assert.Equal(t, "ci", again.Name)
	})
}

// A client's body decides neither which row is written nor when it was made.
func TestClientsBody(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		victim := create(t, db, "victim")
		body := `{"metadata":{"instanceID":"` + victim.ID.String() + `","name":"mine",` +
			`"createdAt":"1999-01-01T00:00:00Z"},"username":"mallory"}`

		var s Secret
		require.NoError(t, json.Unmarshal([]byte(body), &s))
		s.ClearServerFields()
		require.NoError(t, db.Save(&s).Error) // which would have been an update of the victim
		assert.NotEqual(t, victim.ID, s.ID)
		assert.WithinDuration(t, time.Now(), s.CreatedAt, time.Minute)
		assert.Equal(t, "victim", load(t, db, victim.ID).Name)
	})
}

const (
	writers       = 16
	rowsPerWriter = 50
)

func TestConcurrentWriters(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		var mu sync.Mutex
		created := map[string]string{} // name by instance ID
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range rowsPerWriter {
					s := newSecret(fmt.Sprintf("writer-%d-%d", w, i))
					if err := db.Create(s).Error; err != nil {
						t.Errorf("%s: %v", s.Name, err)
						continue
					}
					mu.Lock()
					created[s.ID.String()] = s.Name
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		assert.Len(t, created, writers*rowsPerWriter)

		var list []Secret
		require.NoError(t, db.Find(&list).Error)
		require.Len(t, list, writers*rowsPerWriter)
		for _, s := range list {
			assert.Equal(t, s.Name, created[s.ID.String()])
		}
	})
}

// The primary key is an integer of 64 bits everywhere, and migrating again changes nothing.
func TestColumnTypes(t *testing.T) {
	onSecrets(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.AutoMigrate(&Secret{}))
		types, err := db.Migrator().ColumnTypes(&Secret{})
		require.NoError(t, err)
		want := map[string]map[string]string{
			"sqlite":   {"id": "integer", "ownerID": "integer", "extendShadow": "text", "name": "varchar"},
			"mysql":    {"id": "bigint", "ownerID": "bigint", "extendShadow": "text", "name": "varchar"},
			"postgres": {"id": "int8", "ownerID": "int8", "extendShadow": "text", "name": "varchar"},
		}[db.Name()]
		got := map[string]string{}
		for _, column := range types {
			if _, ok := want[column.Name()]; ok {
				name, _, _ := strings.Cut(strings.ToLower(column.DatabaseTypeName()), "(")
				got[column.Name()] = name
			}
		}
		assert.Equal(t, want, got)
	})
}
