//go:build jsoniter && !jsonv2

package jsonx

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"unicode/utf8"
)

func unmarshal(data []byte, v any) error {
	if iterUnmarshal(data, v) {
		return nil
	}
	return json.Unmarshal(data, v)
}

// iterUnmarshal reports whether json-iterator may decode data into v, and could. If not, v is as
// it was.
func iterUnmarshal(data []byte, v any) bool {
	if !routeOf(v).decode || !ordinaryText(data) {
		return false
	}
	ok, undo := blank(v)
	if !ok || !json.Valid(data) {
		return false
	}
	if iterator().Unmarshal(data, v) == nil {
		return true
	}
	undo()
	return false
}

// blank reports whether v points to a zero value or an empty map, and returns what makes it so
// again. What decoding merges into a value that is there already, and in which order, is where
// the engines differ most; and a destination that was blank is right for a second attempt.
func blank(v any) (ok bool, undo func()) {
	ptr := reflect.ValueOf(v)
	if ptr.Kind() != reflect.Pointer || ptr.IsNil() {
		return false, nil
	}
	dst := ptr.Elem()
	if dst.IsZero() {
		return true, dst.SetZero
	}
	if dst.Kind() != reflect.Map || dst.Len() > 0 {
		return false, nil
	}
	m := reflect.New(dst.Type()).Elem() // the map itself: decoding null replaces it in dst
	m.Set(dst)
	return true, func() { m.Clear(); dst.Set(m) }
}

// unlike are the parts of valid JSON text that json-iterator reads in its own way: escapes by
// code point, where it pairs surrogates differently, and the letters whose lower or upper case is
// an ASCII letter, where it matches other names to a field (U+0130 İ, U+017F ſ, U+212A the Kelvin
// sign).
var unlike = [...][]byte{[]byte(`\u`), []byte("\u0130"), []byte("\u017f"), []byte("\u212a")}

// ordinaryText reports whether json-iterator reads the strings and integers in data as
// encoding/json does, which also replaces what is not UTF-8.
func ordinaryText(data []byte) bool {
	for _, text := range unlike {
		if bytes.Contains(data, text) {
			return false
		}
	}
	return utf8.Valid(data) && !longNumber(data)
}

// longNumber reports whether data has at least 20 digits in a row. Such a number may be 2^64 or
// more, and json-iterator notices only some of those: 21000000000000000000 becomes
// 2553255926290448384.
func longNumber(data []byte) bool {
	const long = 20
	digit := func(i int) bool { return 0 <= i && i < len(data) && '0' <= data[i] && data[i] <= '9' }
	for i := long - 1; i < len(data); i += long { // one of the 20 stands at such a place
		if !digit(i) {
			continue
		}
		first, last := i, i
		for digit(first - 1) {
			first--
		}
		for digit(last + 1) {
			last++
		}
		if last-first+1 >= long {
			return true
		}
	}
	return false
}

// iterStreamDecoder is a json.Decoder that, unless it has options, finds the values in the stream
// for json-iterator to decode. So tokens, offsets, what is buffered and the errors of the stream
// are encoding/json's.
type iterStreamDecoder struct {
	*json.Decoder
	options bool
	raw     json.RawMessage // reused
}

type streamDecoder = *iterStreamDecoder

func newDecoder(r io.Reader) streamDecoder {
	return &iterStreamDecoder{Decoder: json.NewDecoder(r)}
}

func (d *iterStreamDecoder) Decode(v any) error {
	if d.options || !routeOf(v).decode {
		return d.Decoder.Decode(v)
	}
	if err := d.Decoder.Decode(&d.raw); err != nil {
		return err
	}
	if iterUnmarshal(d.raw, v) {
		return nil
	}
	return json.Unmarshal(d.raw, v)
}

func (d *iterStreamDecoder) UseNumber() {
	d.options = true
	d.Decoder.UseNumber()
}

func (d *iterStreamDecoder) DisallowUnknownFields() {
	d.options = true
	d.Decoder.DisallowUnknownFields()
}
