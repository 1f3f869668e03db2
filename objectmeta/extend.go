package objectmeta

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strconv"
	"strings"
)

// Extend holds an object's fields that have no column. In the database it is one column of JSON
// text, in JSON an object.
//
// Reading, from the database or from JSON, replaces what was there. SQL NULL, an empty column and
// JSON null give nil. Numbers keep their digits, at any depth: one becomes an int64, a uint64
// above that, or a float64, and a [json.Number] only if none of these holds it as it is. So they
// stay numbers when Extend goes on as YAML, MessagePack, BSON or CBOR, where a json.Number may be
// a string. Take values out with [Get], which converts.
//
// Written to the database, nil is {} like an Extend without keys. GORM does not hand NULL to a
// Scanner: loading a row with NULL into a variable that holds an Extend would leave that one there.
//
// It is a map: not safe for concurrent use with a writer, and copied by reference.
type Extend map[string]any

// Get returns the value of key as a T: as it is if it is a T already, else converted as
// encoding/json would convert it. It returns false if there is no such key, if its value is null,
// or if it is no T: Get[int] of 1.5 or of "1" is false, and so is Get[int8] of 300. T may be a
// struct, slice or map, too. e may be nil.
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
	plainIn(reflect.ValueOf(&t))
	return t, true
}

// plainIn is plain for the values of interface types within v.
func plainIn(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() && v.CanSet() {
			v.Set(reflect.ValueOf(plain(v.Interface())))
		}
	case reflect.Pointer:
		plainIn(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				plainIn(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 { // bytes may be many
			return
		}
		for i := range v.Len() {
			plainIn(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			elem := reflect.New(v.Type().Elem()).Elem() // that of the map cannot be changed
			elem.Set(v.MapIndex(key))
			plainIn(elem)
			v.SetMapIndex(key, elem)
		}
	}
}

// Merge returns a new Extend with the keys of e and of over. Where both have a key, the result
// has over's value; objects in objects are not merged. Neither e nor over changes, and either may
// be nil; of two nils the result is nil.
func (e Extend) Merge(over Extend) Extend {
	if e == nil && over == nil {
		return nil
	}
	merged := make(Extend, len(e)+len(over))
	maps.Copy(merged, e)
	maps.Copy(merged, over)
	return merged
}

// Value implements [driver.Valuer]: JSON text. A value that JSON has no form for, such as NaN or a
// channel, is an error, and so is one nested deeper than encoding/json reads. So nothing is written
// that cannot be read back.
func (e Extend) Value() (driver.Value, error) {
	if e == nil {
		return "{}", nil
	}
	data, err := json.Marshal(map[string]any(e))
	if err != nil {
		return nil, fmt.Errorf("objectmeta: Extend: %w", err)
	}
	if !json.Valid(data) { // before Go 1.27 it writes what it does not read
		return nil, errors.New("objectmeta: Extend: a value is nested too deep, expected at most 10,000 levels")
	}
	// A string: MySQL takes bytes for binary, which its JSON columns refuse.
	return string(data), nil
}

// Scan implements [database/sql.Scanner] for text or bytes that hold a JSON object, and NULL.
// After an error e is unchanged.
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

// UnmarshalJSON implements [json.Unmarshaler] for an object or null. After an error e is unchanged.
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
		return fmt.Errorf("objectmeta: Extend: %s: must be a JSON object: %w",
			quote(string(data)), err)
	}
	plain(fields)
	*e = fields
	return nil
}

// plain replaces the numbers in maps and slices, at any depth, and returns value or its
// replacement.
func plain(value any) any {
	switch value := value.(type) {
	case json.Number:
		return plainNumber(value)
	case map[string]any:
		for k, v := range value {
			value[k] = plain(v)
		}
	case []any:
		for i, v := range value {
			value[i] = plain(v)
		}
	}
	return value
}

// plainNumber returns the first of int64, uint64 and float64 that holds the number, else the
// number.
func plainNumber(number json.Number) any {
	text := number.String()
	if i, err := strconv.ParseInt(text, 10, 64); err == nil && text != "-0" {
		return i
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return u
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || decimalOf(text) != decimalOf(strconv.FormatFloat(f, 'e', -1, 64)) {
		return number
	}
	return f
}

// A decimal is digits × 10^exponent. Equal numbers have the same: digits has no zeros at its ends.
type decimal struct {
	digits   string
	exponent int
}

// decimalOf reads a JSON number that is in the range of float64, but for its sign.
func decimalOf(number string) decimal {
	mantissa, power, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(number, "-")), "e")
	exponent, _ := strconv.Atoi(power) // none is 0; one that is too long belongs to zero
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	significant := strings.TrimRight(digits, "0")
	if significant == "" {
		return decimal{}
	}
	return decimal{significant, exponent - len(fraction) + len(digits) - len(significant)}
}

// trimJSON cuts off JSON's white space, which is less than that of bytes.TrimSpace.
func trimJSON(data []byte) []byte { return bytes.Trim(data, " \t\r\n") }
