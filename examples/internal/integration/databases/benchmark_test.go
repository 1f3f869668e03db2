package databases_test

import (
	"fmt"
	"sync"
	"testing"

	"gorm.io/gorm"
)

// storedSecret is the way of two writes, done right: the row is inserted without its instance ID,
// which an update in the same transaction then sets. The column is NULL in between: of two empty
// strings the second would be refused.
type storedSecret struct {
	Secret
	InstanceID *string `gorm:"column:instanceID;type:varchar(32);uniqueIndex"`
}

func (s *storedSecret) AfterCreate(tx *gorm.DB) error {
	instanceID := s.ID.String()
	s.InstanceID = &instanceID
	return tx.Model(s).UpdateColumn("instanceID", instanceID).Error
}

// BenchmarkCreate creates 800 rows from 16 writers in each of its operations:
//
//	go test -run '^$' -bench Create -benchtime 5x ./internal/integration/databases
//
// "two writes" stores the instance ID, "computed" does not; "computed, one statement" also does
// without the transaction that GORM puts around each Create for the sake of hooks.
func BenchmarkCreate(b *testing.B) {
	ways := []struct {
		name   string
		config gorm.Config
		model  any
		row    func(name string) any
	}{
		{"two writes", gorm.Config{}, &storedSecret{}, func(name string) any {
			return &storedSecret{Secret: *newSecret(name)}
		}},
		{"computed", gorm.Config{}, &Secret{}, func(name string) any { return newSecret(name) }},
		{
			"computed, one statement", gorm.Config{SkipDefaultTransaction: true}, &Secret{},
			func(name string) any { return newSecret(name) },
		},
	}
	for _, name := range []string{"SQLite", "MariaDB", "PostgreSQL"} {
		for _, way := range ways {
			b.Run(name+"/"+way.name, func(b *testing.B) {
				db := open(b, databases[name](b), way.config, way.model)
				if name == "SQLite" {
					// It has one writer at a time. With more connections than that they would wait
					// by sleeping.
					plain(b, db).SetMaxOpenConns(1)
				}
				for b.Loop() {
					var wg sync.WaitGroup
					for w := range writers {
						wg.Go(func() {
							for i := range rowsPerWriter {
								if err := db.Create(way.row(fmt.Sprintf("writer-%d-%d", w, i))).Error; err != nil {
									b.Error(err)
								}
							}
						})
					}
					wg.Wait()
				}
				b.ReportMetric(float64(b.N*writers*rowsPerWriter)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}
