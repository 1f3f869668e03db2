package objectmeta

import (
	"errors"
	"fmt"
	"time"
)

// ObjectMeta is what every stored object has. Embed it:
//
//	type Secret struct {
//		objectmeta.ObjectMeta[SecretKind] `json:"metadata"`
//		Username string `json:"username" gorm:"column:username"`
//	}
//
// The gorm tags are for those who use GORM; nothing here imports it. GORM embeds it without a tag
// and sets ID, CreatedAt and UpdatedAt itself. With database/sql, select and insert the fields
// like any others, but leave the column of a zero ID out of an INSERT: the database fills it.
//
// In JSON a field that is not set is left out: no instanceID "", no year 0001.
type ObjectMeta[K Kind] struct {
	// ID is the primary key. The database assigns it.
	ID ID[K] `json:"instanceID,omitzero" gorm:"column:id;primaryKey;autoIncrement"`
	// Name is the client's name for the object; see ValidateName. The column has room for 64
	// characters.
	Name string `json:"name,omitempty" gorm:"column:name;type:varchar(64);not null"`
	// Extend has the fields without a column. Its own column is extendShadow, JSON text.
	Extend Extend `json:"extend,omitempty" gorm:"column:extendShadow;type:text"`
	// CreatedAt is when the object was stored. The server sets it.
	CreatedAt time.Time `json:"createdAt,omitzero" gorm:"column:createdAt"`
	// UpdatedAt is when it was last changed. The server sets it.
	UpdatedAt time.Time `json:"updatedAt,omitzero" gorm:"column:updatedAt"`
}

// ClearServerFields sets ID, CreatedAt and UpdatedAt to zero. Call it on what you have decoded
// from a client's body before you create or update anything from it: these fields are not the
// client's to choose, and the instanceID of a body must not decide which row is written.
func (m *ObjectMeta[K]) ClearServerFields() {
	m.ID = 0
	m.CreatedAt = time.Time{}
	m.UpdatedAt = time.Time{}
}

// ErrInvalidName is what every error of [ValidateName] Is.
var ErrInvalidName = errors.New("objectmeta: invalid name")

// maxNameLength is the width of the column.
const maxNameLength = 64

// ValidateName returns nil if name is 1 to 64 of the characters A-Z, a-z, 0-9, "-", "_" and ".",
// the first and the last of them a letter or digit. Such a name fits its column, needs no
// escaping in a URL, a file name or a label of Kubernetes (up to 63 characters), and is never "."
// or "..". For any other it returns an error that Is [ErrInvalidName].
//
// Upper and lower case are told apart here but not by every database: under MySQL's usual
// collations a unique index takes Admin and admin for the same.
func ValidateName(name string) error {
	valid := len(name) >= 1 && len(name) <= maxNameLength &&
		isAlphanumeric(name[0]) && isAlphanumeric(name[len(name)-1])
	for i := 0; i < len(name) && valid; i++ {
		c := name[i]
		valid = isAlphanumeric(c) || c == '-' || c == '_' || c == '.'
	}
	if !valid {
		return fmt.Errorf("%w: %s: must be 1 to %d of A-Z, a-z, 0-9, -, _ and ., "+
			"and start and end with a letter or digit", ErrInvalidName, quote(name), maxNameLength)
	}
	return nil
}

func isAlphanumeric(c byte) bool { return isLower(c) || isUpper(c) || isDigit(c) }
