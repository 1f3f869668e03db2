package databases_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
)

// The versions of a service that leaves its stored hashids behind, step by step as the package
// documentation of objectmeta says. All work on one table.
type (
	// storedRow is the version from before: the code is a column, unique and not null.
	storedRow struct {
		ID         uint64    `gorm:"column:id;primaryKey;autoIncrement"`
		InstanceID string    `gorm:"column:instanceID;type:varchar(32);not null;uniqueIndex"`
		Name       string    `gorm:"column:name;type:varchar(64);not null"`
		Extend     string    `gorm:"column:extendShadow;type:text"`
		CreatedAt  time.Time `gorm:"column:createdAt"`
		UpdatedAt  time.Time `gorm:"column:updatedAt"`
	}

	// writingRow is step 2: the code is still written, but no longer read.
	writingRow struct {
		objectmeta.ObjectMeta[legacyKind] `json:"metadata"`
		InstanceID                        string `json:"-" gorm:"column:instanceID"`
	}

	// computedRow is the version of step 3, bridgedRow that of step 5.
	computedRow struct {
		objectmeta.ObjectMeta[legacyKind] `json:"metadata"`
	}
	bridgedRow struct {
		objectmeta.ObjectMeta[bridgedKind] `json:"metadata"`
	}

	legacyKind  struct{}
	bridgedKind struct{}
)

const lastLegacyID = 7_962_623

var (
	legacyIDs = must(objectmeta.NewHashids("secret", "x20k5x"))
	nextKey   = []byte("32 random bytes of yours")
	nextIDs   = must(objectmeta.NewHasher("secret", nextKey, objectmeta.MinLength(7)))
	bridgeIDs = must(objectmeta.NewBridge(legacyIDs, lastLegacyID, nextIDs))
)

func (legacyKind) InstanceIDs() objectmeta.Codec  { return legacyIDs }
func (bridgedKind) InstanceIDs() objectmeta.Codec { return bridgeIDs }

// letColumnBeNull lets instanceID accept NULL. SQLite cannot change a column and gets another one.
var letColumnBeNull = map[string][]string{
	"mysql":    {"ALTER TABLE %s MODIFY instanceID varchar(32) NULL"},
	"postgres": {`ALTER TABLE %s ALTER COLUMN "instanceID" DROP NOT NULL`},
	"sqlite": {
		"ALTER TABLE %s RENAME COLUMN instanceID TO before",
		"ALTER TABLE %s ADD COLUMN instanceID varchar(32)",
		"UPDATE %s SET instanceID = before", "ALTER TABLE %s DROP COLUMN before",
	},
}

func TestLeaveStoredHashids(t *testing.T) {
	onEachDatabase(t, []any{&storedRow{}}, func(t *testing.T, db *gorm.DB) {
		statement := &gorm.Statement{DB: db}
		require.NoError(t, statement.Parse(&storedRow{}))
		rows := func() *gorm.DB { return db.Table(statement.Schema.Table) }
		codes := map[string]string{} // what clients have seen: name by instance ID

		// The version from before: two writes, and the code is found in its column.
		createStored := func(name string) {
			row := storedRow{Name: name}
			require.NoError(t, rows().Create(&row).Error)
			row.InstanceID = legacyIDs.Encode(row.ID)
			require.NoError(t, rows().Where("id = ?", row.ID).Update("instanceID", row.InstanceID).Error)
			codes[row.InstanceID] = name
		}
		findStored := func(t *testing.T) {
			for code, name := range codes {
				var row storedRow
				require.NoError(t, rows().Where(map[string]any{"instanceID": code}).First(&row).Error, code)
				assert.Equal(t, name, row.Name)
			}
		}
		for i := range 5 {
			createStored(fmt.Sprintf("before-%d", i))
		}

		// Step 1: the codec makes of each id what the column says, and one with another salt does
		// not.
		var stored []storedRow
		require.NoError(t, rows().Find(&stored).Error)
		require.Len(t, stored, 5)
		otherSalt := must(objectmeta.NewHashids("secret", "another"))
		for _, row := range stored {
			require.Equal(t, row.InstanceID, legacyIDs.Encode(row.ID))
			require.NotEqual(t, row.InstanceID, otherSalt.Encode(row.ID))
		}

		// Step 2: versions that find by key and by column run side by side, and find what the other
		// has created.
		writing := writingRow{ObjectMeta: objectmeta.ObjectMeta[legacyKind]{Name: "step-2"}}
		require.NoError(t, rows().Create(&writing).Error)
		written := rows().Where("id = ?", writing.ID)
		require.NoError(t, written.Update("instanceID", writing.ID.String()).Error)
		codes[writing.ID.String()] = "step-2"
		createStored("beside-step-2")
		findStored(t)
		findComputed[legacyKind](t, rows, codes)

		// Step 3: the column goes, first for the new rows; the version of step 2 finds these too.
		require.NoError(t, db.Migrator().DropIndex(&storedRow{}, "InstanceID"))
		for _, change := range letColumnBeNull[db.Name()] {
			require.NoError(t, db.Exec(fmt.Sprintf(change, statement.Quote(statement.Schema.Table))).Error)
		}
		for _, name := range []string{"step-3", "step-3-again"} {
			computed := computedRow{objectmeta.ObjectMeta[legacyKind]{Name: name}}
			require.NoError(t, rows().Create(&computed).Error)
			codes[computed.ID.String()] = name
		}
		findComputed[legacyKind](t, rows, codes)
		require.NoError(t, db.Migrator().DropColumn(&storedRow{}, "InstanceID"))
		reconnect(plain(t, db))
		findComputed[legacyKind](t, rows, codes)

		// Steps 4 and 5: every code that clients know stays, and so do those up to lastLegacyID;
		// later rows are hidden. While the versions of steps 3 and 5 run side by side, both know
		// all rows there are.
		findComputed[bridgedKind](t, rows, codes)
		last := bridgedRow{objectmeta.ObjectMeta[bridgedKind]{ID: lastLegacyID, Name: "last-legacy"}}
		require.NoError(t, rows().Create(&last).Error)
		codes[last.ID.String()] = "last-legacy"
		assert.Equal(t, legacyIDs.Encode(lastLegacyID), last.ID.String())
		findComputed[legacyKind](t, rows, codes)

		first := bridgedRow{
			objectmeta.ObjectMeta[bridgedKind]{ID: lastLegacyID + 1, Name: "first-hidden"},
		}
		require.NoError(t, rows().Create(&first).Error)
		codes[first.ID.String()] = "first-hidden"
		assert.Equal(t, nextIDs.Encode(lastLegacyID+1), first.ID.String())
		findComputed[bridgedKind](t, rows, codes)
		assert.Len(t, codes, 11)
	})
}

// reconnect has every idle connection closed. PostgreSQL fails a prepared SELECT * once when the
// columns have changed, with "cached plan must not change result type".
func reconnect(pool *sql.DB) {
	pool.SetMaxIdleConns(-1)
	pool.SetMaxIdleConns(16)
}

// findComputed finds every row by the code that clients know, and sees it shown under this code.
func findComputed[K objectmeta.Kind](t *testing.T, rows func() *gorm.DB, codes map[string]string) {
	t.Helper()
	for code, name := range codes {
		id, err := objectmeta.ParseID[K](code)
		require.NoError(t, err)
		var row struct{ objectmeta.ObjectMeta[K] }
		require.NoError(t, rows().Where("id = ?", id).First(&row).Error, code)
		assert.Equal(t, name, row.Name)
		data, err := json.Marshal(row)
		require.NoError(t, err)
		assert.Contains(t, string(data), `"instanceID":"`+code+`"`)
	}
}
