package objectmeta

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
)

// Extend holds an object's fields that have no column of their own. In the database it is one column of JSON text, in
// JSON an object.
//
// Reading, from the database or from JSON, replaces what was there; SQL NULL, an empty column and JSON null give nil.
// Numbers come as [json.Number], at any depth, so that integers beyond 2^53 keep all their digits: take values out with
// [Get], which converts. Writing to the database, nil is {} like an Extend without keys: GORM does not hand NULL to a
// Scanner, so that loading into a variable that holds an Extend already would leave that one there.
//
// It is a map: not safe for concurrent use with a writer, and copied by reference.
type Extend map[string]any

// Get returns the value of key as a T: as it is if it is a T already, else converted as encoding/json would convert
// it. It returns false if there is no such key, if its value is null, or if it is no T: Get[int] of 1.5 or of "1" is
// false, and so is Get[int8] of 300. A struct, slice or map can be had as well. e may be nil.
func Get[T any](e Extend, key string) (T, bool) {
	var zero T
	value, ok := e[key]
	if !ok || value == nil {
		return zero, false
	}
	if t, ok := value.(T); ok {
		return t, true
	}
	data, err := json.Marshal(value)
	if err != nil {
		return zero, false
	}
	var t T
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&t); err != nil {
		return zero, false
	}
	return t, true
}

// Merge returns a new Extend with the keys of e and of over; where both have a key, over's value stands, whole:
// objects in objects are not merged. Neither e nor over changes, and either may be nil; of two nils the result is nil.
func (e Extend) Merge(over Extend) Extend {
	if e == nil && over == nil {
		return nil
	}
	merged := make(Extend, len(e)+len(over))
	maps.Copy(merged, e)
	maps.Copy(merged, over)
	return merged
}

// Value implements [driver.Valuer]: JSON text. A value that JSON has no form for, such as NaN or a channel, is an error,
// so that what cannot be read back is not written.
func (e Extend) Value() (driver.Value, error) {
	if e == nil {
		return "{}", nil
	}
	data, err := json.Marshal(map[string]any(e))
	if err != nil {
		return nil, fmt.Errorf("objectmeta: Extend: %w", err)
	}
	// A string: MySQL takes bytes for binary, which its JSON columns refuse.
	return string(data), nil
}

// Scan implements [database/sql.Scanner] for text or bytes that hold a JSON object, and NULL. After an error e is what it was.
func (e *Extend) Scan(src any) error {
	var data []byte
	switch src := src.(type) {
	case nil:
	case []byte:
		data = src
	case string:
		data = []byte(src)
	default:
		return fmt.Errorf("objectmeta: Extend: column value of type %T: must be JSON text", src)
	}
	if len(trimJSON(data)) == 0 {
		*e = nil
		return nil
	}
	return e.UnmarshalJSON(data)
}

// UnmarshalJSON implements [json.Unmarshaler] for an object or null. After an error e is what it was.
func (e *Extend) UnmarshalJSON(data []byte) error {
	text := trimJSON(data)
	if string(text) == "null" {
		*e = nil
		return nil
	}
	if len(text) == 0 || text[0] != '{' {
		return fmt.Errorf("objectmeta: Extend: %s: must be a JSON object", quote(string(data)))
	}
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err := d.Decode(&fields)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return fmt.Errorf("objectmeta: Extend: %s: must be a JSON object: %w", quote(string(data)), err)
	}
	*e = fields
	return nil
}

// trimJSON cuts off what JSON has for white space, which is less than what bytes.TrimSpace has.
func trimJSON(data []byte) []byte { return bytes.Trim(data, " \t\r\n") }
