package jsonx

import (
	"bytes"
	"encoding/json"
)

// Engine is the import path of the JSON implementation this program was built with:
// "encoding/json", "github.com/json-iterator/go" or "encoding/json/v2".
// It is meant for a version endpoint or a first log line, not for branching.
const Engine = engine

// Marshal returns the JSON encoding of v, as [json.Marshal] does. The error is an
// *[UnsupportedTypeError], *[UnsupportedValueError] or *[MarshalerError], but for the cases that
// the package documentation lists.
func Marshal(v any) ([]byte, error) { return marshal(v) }

// MarshalIndent is Marshal followed by Indent, as [json.MarshalIndent] is. Each line after the
// first begins with prefix and one indent for each level. Prefix and indent may be any text; the
// output is JSON only if they are JSON whitespace.
func MarshalIndent(v any, prefix, indent string) ([]byte, error) {
	return marshalIndent(v, prefix, indent)
}

// Unmarshal parses data, which must hold exactly one JSON value, into what v points to,
// as [json.Unmarshal] does. Data that is not JSON is a *[SyntaxError] and leaves v alone;
// JSON that does not fit is an *[UnmarshalTypeError] after everything else was stored;
// a v that is nil or no pointer is an *[InvalidUnmarshalError].
func Unmarshal(data []byte, v any) error { return unmarshal(data, v) }

// Valid reports whether data holds exactly one JSON value.
func Valid(data []byte) bool { return json.Valid(data) }

// Indent appends to dst an indented form of src, as [json.Indent] does.
// If src is not JSON it returns a *[SyntaxError], and dst is as it was.
func Indent(dst *bytes.Buffer, src []byte, prefix, indent string) error {
	return json.Indent(dst, src, prefix, indent)
}

// Compact appends to dst src without insignificant whitespace, as [json.Compact] does.
// If src is not JSON it returns a *[SyntaxError], and dst is as it was.
func Compact(dst *bytes.Buffer, src []byte) error { return json.Compact(dst, src) }

// HTMLEscape appends to dst src with <, >, &, U+2028 and U+2029 inside strings escaped,
// so that it can stand inside an HTML script element, as [json.HTMLEscape] does.
// It does not look whether src is JSON.
func HTMLEscape(dst *bytes.Buffer, src []byte) { json.HTMLEscape(dst, src) }
