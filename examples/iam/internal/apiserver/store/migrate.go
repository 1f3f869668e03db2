package store

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// migrations are what the tables went through, in order. One that has been released is never
// changed; a change is a new one at the end. They have structs of their own, because those of
// package model will look different by then.
//
// MariaDB does not roll back the creation of a table, so each of them can be run again after half
// of it.
func migrations(newKey []byte) []*gormigrate.Migration {
	return []*gormigrate.Migration{
		{ID: "0001-users-secrets-policies", Migrate: func(tx *gorm.DB) error { return createTables(tx, newKey) }},
		{ID: "0002-changes", Migrate: createChanges},
		{ID: "0003-users-disabled", Migrate: addDisabled},
	}
}

func (s *Store) migrate(ctx context.Context, newKey []byte) error {
	key := setting{Name: "instanceIDKey"}
	// A transaction is one connection, to which the lock belongs.
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		unlock, err := lockMigrations(tx)
		if err != nil {
			return err
		}
		defer unlock()
		if err := gormigrate.New(tx, gormigrate.DefaultOptions, migrations(newKey)).Migrate(); err != nil {
			return err
		}
		return tx.First(&key).Error
	})
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	stored, err := hex.DecodeString(key.Value)
	if err != nil {
		return fmt.Errorf("store: the database's key of the instance IDs: %w", err)
	}
	if len(newKey) > 0 && subtle.ConstantTimeCompare(stored, newKey) != 1 {
		return errors.New("store: the database has another key for its instance IDs than the one given; leave it away")
	}
	return model.UseInstanceIDs(stored)
}

// lockMigrations lets one process migrate at a time: those that start together wait, and find
// everything done.
func lockMigrations(tx *gorm.DB) (unlock func(), err error) {
	switch tx.Name() {
	case "mysql": // whose locks on rows end with the first CREATE TABLE
		var got int
		if err := tx.Raw("SELECT GET_LOCK(CONCAT('iam-migrate-', MD5(DATABASE())), 60)").Scan(&got).Error; err != nil {
			return nil, err
		}
		if got != 1 {
			return nil, errors.New("another process has been migrating the database for a minute")
		}
		return func() { tx.Exec("SELECT RELEASE_LOCK(CONCAT('iam-migrate-', MD5(DATABASE())))") }, nil
	case "postgres":
		return func() {}, tx.Exec("SELECT pg_advisory_xact_lock(7310586)").Error // any number that no other program takes
	default: // SQLite: whoever writes first in a transaction has the lock, and this is a write that means nothing
		return func() {}, tx.Exec("PRAGMA user_version = 1").Error
	}
}

// A setting is what has to be the same for all apiservers of a database.
type setting struct {
	Name  string `gorm:"column:name;type:varchar(64);primaryKey"`
	Value string `gorm:"column:value;type:varchar(256);not null"`
}

func createTables(tx *gorm.DB, key []byte) error {
	type user struct {
		ID           uint64    `gorm:"column:id;primaryKey;autoIncrement"`
		Name         string    `gorm:"column:name;type:varchar(64);not null;uniqueIndex"`
		Extend       string    `gorm:"column:extendShadow;type:text"`
		CreatedAt    time.Time `gorm:"column:createdAt"`
		UpdatedAt    time.Time `gorm:"column:updatedAt"`
		Email        string    `gorm:"column:email;type:varchar(254);not null"`
		Admin        bool      `gorm:"column:admin;not null"`
		PasswordHash string    `gorm:"column:passwordHash;type:varchar(72);not null"`
	}
	// The name is unique for the owner. The reference keeps an owner from disappearing while
	// something is created for it.
	type secret struct {
		ID          uint64    `gorm:"column:id;primaryKey;autoIncrement"`
		Name        string    `gorm:"column:name;type:varchar(64);not null;uniqueIndex:idx_secrets_owner_name,priority:2"`
		Extend      string    `gorm:"column:extendShadow;type:text"`
		CreatedAt   time.Time `gorm:"column:createdAt"`
		UpdatedAt   time.Time `gorm:"column:updatedAt"`
		OwnerID     uint64    `gorm:"column:ownerID;not null;uniqueIndex:idx_secrets_owner_name,priority:1"`
		Owner       user      `gorm:"foreignKey:OwnerID"`
		Description string    `gorm:"column:description;type:varchar(256);not null"`
		Expires     int64     `gorm:"column:expires;not null"`
		SigningKey  string    `gorm:"column:signingKey;type:varchar(64);not null"`
	}
	type policy struct {
		ID        uint64    `gorm:"column:id;primaryKey;autoIncrement"`
		Name      string    `gorm:"column:name;type:varchar(64);not null;uniqueIndex:idx_policies_owner_name,priority:2"`
		Extend    string    `gorm:"column:extendShadow;type:text"`
		CreatedAt time.Time `gorm:"column:createdAt"`
		UpdatedAt time.Time `gorm:"column:updatedAt"`
		OwnerID   uint64    `gorm:"column:ownerID;not null;uniqueIndex:idx_policies_owner_name,priority:1"`
		Owner     user      `gorm:"foreignKey:OwnerID"`
		Document  string    `gorm:"column:document;type:text;not null"`
	}
	type revision struct {
		Kind     string `gorm:"column:kind;type:varchar(16);primaryKey"`
		Revision uint64 `gorm:"column:revision;not null"`
	}
	if err := withTableOptions(tx).AutoMigrate(&user{}, &secret{}, &policy{}, &revision{}, &setting{}); err != nil {
		return err
	}
	if len(key) == 0 {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails
	}
	begin := uint64(1)
	once := tx.Clauses(clause.OnConflict{DoNothing: true}).Session(&gorm.Session{})
	return errors.Join(
		once.Create([]revision{{"users", begin}, {"secrets", begin}, {"policies", begin}}).Error,
		once.Create(&setting{Name: "instanceIDKey", Value: hex.EncodeToString(key)}).Error,
	)
}

func addDisabled(tx *gorm.DB) error {
	type user struct {
		Disabled bool `gorm:"column:disabled;not null;default:false"`
	}
	if tx.Migrator().HasColumn(&user{}, "Disabled") {
		return nil
	}
	return tx.Migrator().AddColumn(&user{}, "Disabled")
}

// createChanges brings the table of changes, and one revision for secrets and policies in place of
// one for each. The rows of these are deleted, so that an apiserver of before fails and does not
// change anything that is noted nowhere.
func createChanges(tx *gorm.DB) error {
	type revision struct {
		Kind     string `gorm:"column:kind;type:varchar(16);primaryKey"`
		Revision uint64 `gorm:"column:revision;not null"`
		Stamp    uint64 `gorm:"column:stamp;not null;default:0"`
	}
	type change struct { // in the order in which they are read; there is nothing to look up by
		Revision uint64 `gorm:"column:revision;primaryKey;autoIncrement:false"`
		Kind     string `gorm:"column:kind;type:varchar(16);primaryKey"`
		Object   uint64 `gorm:"column:object;primaryKey;autoIncrement:false"`
		Stamp    uint64 `gorm:"column:stamp;not null"`
	}
	if err := withTableOptions(tx).AutoMigrate(&revision{}, &change{}); err != nil {
		return err
	}
	// The time, not 1: an authzserver asks for what a message says only if it is more than it
	// holds, maybe of an earlier database.
	now, stamp := uint64(time.Now().UnixMilli()), newStamp()
	return errors.Join(
		tx.Where("kind IN ?", []string{"secrets", "policies", "feed"}).Delete(&revision{}).Error,
		tx.Create(&revision{"feed", now, stamp}).Error,
		tx.Create(&change{now, "begin", 0, stamp}).Error, // of nothing; changes since then are asked for
	)
}

// withTableOptions is for whatever creates tables.
func withTableOptions(tx *gorm.DB) *gorm.DB {
	if tx.Name() == "mysql" { // whose usual collations take Ann and ann, and "a" and "ä", for the same name
		return tx.Set("gorm:table_options", "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin")
	}
	return tx
}
