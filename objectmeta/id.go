package objectmeta

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// A Kind names a kind of object and its Codec. It is an empty struct type of yours, with this one
// method:
//
//	type SecretKind struct{}
//
//	var secretIDs objectmeta.Codec // set by main, once it has read the configuration
//
//	func (SecretKind) InstanceIDs() objectmeta.Codec { return secretIDs }
//
// InstanceIDs is called each time an ID is written or read, from many goroutines at once, on the
// zero value of the type. It returns a [Codec] that was built before: building a [Hasher] takes
// ten times as long as using it, a [Hashids] hundreds of times.
type Kind interface{ InstanceIDs() Codec }

// ID is the key of an object of kind K: an integer in the program and in the database, an
// instance ID such as secret-tjd9od wherever it is text. encoding/json (values and map keys),
// encoding/xml, flag.TextVar, slog and fmt's %v and %s all write it as text; %d and a conversion
// to an integer do not. Each kind has its own type, so a user's ID does not pass for a secret's.
// Decoders that do not call UnmarshalText read the integer: see "Decoders" in the package
// documentation.
//
// The zero ID means that the object is not stored yet, since databases count from 1. Its text is
// empty, and [ParseID] never returns it without an error. In a query it is 0, so WHERE id > ?
// gives the first page and WHERE id = ? no row. A query builder that leaves out zero values makes
// "any row" of it, though, and JSON or a form gives the zero ID where the client sent none: ask
// IsZero before such an ID goes into such a query.
//
// NULL scans to the zero ID, but the zero ID is not written as NULL. A foreign key that may be
// missing is a *ID[K], or a sql.Null[ID[K]] where it is not part of JSON: nil is NULL in the
// database and null in JSON.
//
// Without a [Codec], that is if InstanceIDs returned nil, String panics, and ParseID and the other
// methods that need one return an error. It is not an *[IDError], because the program is wrong then
// and not the text.
type ID[K Kind] uint64

// ParseID returns the ID whose String is s, or an *[IDError], which Is [ErrInvalidID]. The empty
// string is an error, and so are codes that a Codec decodes but no object has: that of 0, and those
// of more than [math.MaxInt64], which database/sql would refuse in a query. Over HTTP it is a 400.
// That s parses does not mean that there is such an object, a 404, or that the caller may see it.
func ParseID[K Kind](s string) (ID[K], error) {
	codec, err := codecOf[K]()
	if err != nil {
		return 0, err
	}
	id, err := codec.Decode(s)
	if err != nil {
		return 0, err
	}
	if id == 0 || id > math.MaxInt64 {
		return 0, &IDError{Kind: codec.Kind(), Value: s}
	}
	return ID[K](id), nil
}

// String returns the instance ID, "" for the zero ID. It panics if K has no Codec.
func (id ID[K]) String() string {
	if id == 0 {
		return ""
	}
	codec, err := codecOf[K]()
	if err != nil {
		panic(err.Error())
	}
	// Spares the second allocation.
	if c, ok := codec.(interface{ Encode(uint64) string }); ok {
		return c.Encode(uint64(id))
	}
	return string(codec.AppendEncode(nil, uint64(id)))
}

// IsZero reports whether the ID is zero: the object is not stored yet. The json option omitzero
// goes by it.
func (id ID[K]) IsZero() bool { return id == 0 }

// AppendText implements [encoding.TextAppender]. It appends what String returns.
func (id ID[K]) AppendText(dst []byte) ([]byte, error) {
	if id == 0 {
		return dst, nil
	}
	codec, err := codecOf[K]()
	if err != nil {
		return dst, err
	}
	return codec.AppendEncode(dst, uint64(id)), nil
}

// MarshalText implements [encoding.TextMarshaler]. It returns what String returns.
func (id ID[K]) MarshalText() ([]byte, error) {
	if id == 0 {
		return []byte{}, nil // not nil, which some callers take for null
	}
	return id.AppendText(nil)
}

// UnmarshalText implements [encoding.TextUnmarshaler]. It accepts what [ParseID] accepts and, as
// the inverse of MarshalText, the empty text as the zero ID. After an error the ID is unchanged.
func (id *ID[K]) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = 0
		return nil
	}
	parsed, err := ParseID[K](string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// UnmarshalParam is UnmarshalText for the binding of path, query and form parameters in gin and
// echo, which would otherwise take the integer.
func (id *ID[K]) UnmarshalParam(param string) error { return id.UnmarshalText([]byte(param)) }

// Value implements [driver.Valuer]: the integer, 0 for the zero ID. An INSERT of an object
// without a key leaves the column out, as GORM does: only MySQL numbers a row for which the
// statement says 0.
//
// database/sql knows signed integers only, so an ID above [math.MaxInt64] is an error. No database
// numbers its rows that high.
func (id ID[K]) Value() (driver.Value, error) {
	if id > math.MaxInt64 {
		return nil, fmt.Errorf("objectmeta: ID %d: database/sql takes integers up to %d only",
			uint64(id), int64(math.MaxInt64))
	}
	return int64(id), nil
}

// Scan implements [database/sql.Scanner] for columns of any integer type; NULL is the zero ID.
// A negative number is an error. After an error the ID is unchanged.
func (id *ID[K]) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*id = 0
	case int64:
		if src < 0 {
			return fmt.Errorf("objectmeta: column value %d is not an ID: must not be negative", src)
		}
		*id = ID[K](src)
	case uint64: // MySQL's unsigned integers
		*id = ID[K](src)
	case []byte: // MySQL without prepared statements
		return id.scanDecimal(string(src))
	case string:
		return id.scanDecimal(src)
	default:
		return fmt.Errorf("objectmeta: column value of type %T is not an ID: "+
			"must be an integer", src)
	}
	return nil
}

func (id *ID[K]) scanDecimal(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return fmt.Errorf("objectmeta: column value %s is not an ID: "+
			"must be an integer from 0 to %d", quote(s), uint64(math.MaxUint64))
	}
	*id = ID[K](n)
	return nil
}

// codecOf returns the Codec of K, or an error if K has none, or one that no constructor has made.
func codecOf[K Kind]() (Codec, error) {
	var kind K
	codec := kind.InstanceIDs()
	missing, empty := codec == nil, false
	switch c := codec.(type) {
	case *Hasher:
		missing = c == nil
		empty = !missing && c.prefix == ""
	case *Hashids:
		missing = c == nil
		empty = !missing && c.prefix == ""
	}
	if missing {
		return nil, fmt.Errorf("objectmeta: %T.InstanceIDs returned nil: %w", kind, errNoCodec)
	}
	if empty {
		return nil, fmt.Errorf("objectmeta: %T.InstanceIDs returned an empty %T: %w", kind, codec, errNoCodec)
	}
	return codec, nil
}

var errNoCodec = errors.New(
	"build the Codec, by NewHasher for example, before IDs are written or read")
