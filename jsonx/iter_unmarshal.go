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
	if !json.Valid(data) {
		return json.Unmarshal(data, v)
	}
	return unmarshalValid(data, v, decodeOptions{})
}

// decodeOptions are the options of a Decoder.
type decodeOptions struct{ useNumber, disallowUnknownFields bool }

// unmarshalValid decodes data, which is one valid JSON value, into v.
func unmarshalValid(data []byte, v any, opts decodeOptions) error {
	dst, undo := blank(v)
	if !dst || !ordinaryText(data) {
		return stdUnmarshal(data, v, opts)
	}
	if iterDecoder(opts).Unmarshal(data, v) == nil {
		return nil
	}
	undo()
	return stdUnmarshal(data, v, opts)
}

func stdUnmarshal(data []byte, v any, opts decodeOptions) error {
	if opts == (decodeOptions{}) {
		return json.Unmarshal(data, v)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if opts.useNumber {
		dec.UseNumber()
	}
	if opts.disallowUnknownFields {
		dec.DisallowUnknownFields()
	}
	return dec.Decode(v)
}

// blank reports whether v points to a zero value or an empty map, and returns what makes it so again.
// What decoding merges into a value that is there already, and in which order, is where the engines
// differ most; and a destination that was blank is right for a second attempt.
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

// unlike are the parts of valid JSON text that json-iterator reads in its own way: escapes by code point,
// where it pairs surrogates differently, and the letters whose lower or upper case is an ASCII letter,
// where it matches other names to a field (U+0130 İ, U+017F ſ, U+212A the Kelvin sign).
var unlike = [...][]byte{[]byte(`\u`), []byte("\u0130"), []byte("\u017f"), []byte("\u212a")}

// ordinaryText reports whether json-iterator reads the strings in data as encoding/json does,
// which also replaces what is not UTF-8.
func ordinaryText(data []byte) bool {
	for _, text := range unlike {
		if bytes.Contains(data, text) {
			return false
		}
	}
	return utf8.Valid(data)
}

// iterStreamDecoder is a json.Decoder that finds the values in the stream, and json-iterator that decodes them.
// So tokens, offsets, what is buffered and the errors of the stream are encoding/json's.
type iterStreamDecoder struct {
	*json.Decoder
	raw  json.RawMessage // reused
	opts decodeOptions
}

type streamDecoder = *iterStreamDecoder

func newDecoder(r io.Reader) streamDecoder { return &iterStreamDecoder{Decoder: json.NewDecoder(r)} }

func (d *iterStreamDecoder) Decode(v any) error {
	if err := d.Decoder.Decode(&d.raw); err != nil {
		return err
	}
	return unmarshalValid(d.raw, v, d.opts)
}

func (d *iterStreamDecoder) UseNumber() {
	d.Decoder.UseNumber() // for Token
	d.opts.useNumber = true
}

func (d *iterStreamDecoder) DisallowUnknownFields() { d.opts.disallowUnknownFields = true }
