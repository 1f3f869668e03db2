package objectmeta

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// A Kind names a kind of object and its Codec. It is an empty struct type of yours, with this one method:
//
//	type SecretKind struct{}
//
//	var secretIDs objectmeta.Codec // set by main, once it has read the configuration
//
//	func (SecretKind) InstanceIDs() objectmeta.Codec { return secretIDs }
//
// InstanceIDs is called each time an ID is written or read, from many goroutines at once, on the zero value of the type. It
// returns a [Codec] that was built before: building a [Hasher] takes ten times as long as using it, a [Hashids] hundreds of times.
type Kind interface{ InstanceIDs() Codec }

// ID is the key of an object of kind K: an integer in the program and in the database, an instance ID such as
// secret-yj8m30 wherever it is text. encoding/json (values and map keys), encoding/xml, flag.TextVar, slog and fmt's
// %v and %s all write it as text; %d and a conversion to an integer do not. As a type of its own for each kind, a user's
// ID does not pass for a secret's.
//
// The zero ID means that the object is not stored yet, since databases count from 1. Its text is empty, in the
// database it is NULL, and [ParseID] never returns it without an error, so that no client can ask a query builder that
// leaves out zero values for "any row". Decoded from JSON or a form a missing or empty ID is the zero ID, though:
// there, ask IsZero before it goes into a query.
//
// Without a [Codec], that is if InstanceIDs returned nil, String panics, and ParseID and the other methods that need one
// return an error, which is not an *[IDError]: the program is wrong then, not the text.
type ID[K Kind] uint64

// ParseID returns the ID whose String is s, or an *[IDError], which Is [ErrInvalidID], also for the empty string and for
// the code of id 0, which a Codec decodes but no object has. That it parses does not mean that there is such an
// object, or that the caller may see it.
func ParseID[K Kind](s string) (ID[K], error) {
	codec, err := codecOf[K]()
	if err != nil {
		return 0, err
	}
	id, err := codec.Decode(s)
	if err != nil {
		return 0, err
	}
	if id == 0 {
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

// IsZero reports whether the ID is zero: the object is not stored yet. The json option omitzero goes by it.
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

// UnmarshalText implements [encoding.TextUnmarshaler]. It accepts what [ParseID] accepts and, as the inverse of
// MarshalText, the empty text as the zero ID. After an error the ID is what it was.
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

// UnmarshalParam is UnmarshalText for the binding of query and form parameters in gin and echo, which
// would otherwise take the integer.
func (id *ID[K]) UnmarshalParam(param string) error { return id.UnmarshalText([]byte(param)) }

// Value implements [driver.Valuer]: the integer, or NULL for the zero ID. Since database/sql knows signed integers only,
// an ID above [math.MaxInt64] is an error; no database numbers its rows that high.
func (id ID[K]) Value() (driver.Value, error) {
	switch {
	case id == 0:
		return nil, nil
	case id > math.MaxInt64:
		return nil, fmt.Errorf("objectmeta: ID %d: database/sql takes integers up to %d only", uint64(id), int64(math.MaxInt64))
	default:
		return int64(id), nil
	}
}

// Scan implements [database/sql.Scanner] for columns of any integer type; NULL is the zero ID. A negative number is an
// error. After an error the ID is what it was.
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
		return fmt.Errorf("objectmeta: column value of type %T is not an ID: must be an integer", src)
	}
	return nil
}

func (id *ID[K]) scanDecimal(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return fmt.Errorf("objectmeta: column value %s is not an ID: must be an integer from 0 to %d", quote(s), uint64(math.MaxUint64))
	}
	*id = ID[K](n)
	return nil
}

// codecOf returns the Codec of K, or an error if K has none, also where that is a nil pointer in the interface.
func codecOf[K Kind]() (Codec, error) {
	var kind K
	codec := kind.InstanceIDs()
	missing := codec == nil
	switch c := codec.(type) {
	case *Hasher:
		missing = c == nil
	case *Hashids:
		missing = c == nil
	}
	if missing {
		return nil, fmt.Errorf("objectmeta: %T.InstanceIDs returned nil: %w", kind, errNoCodec)
	}
	return codec, nil
}

var errNoCodec = errors.New("build the Codec, by NewHasher for example, before IDs are written or read")
