//go:build jsoniter && !jsonv2

package jsonx

import (
	"bytes"
	"encoding/json"
	"io"
)

// How json-iterator is kept to the contract of encoding/json
//
// json-iterator gets the values it encodes and decodes as encoding/json does: iter_types.go names
// their types. Everything else goes to encoding/json: a type json-iterator treats differently
// wherever it occurs (iter_extension.go), a document with text it reads differently, a destination
// that already holds something (iter_unmarshal.go), and the whole call once more if json-iterator
// fails, because only encoding/json has the right error, or finds that there is none.

func marshal(v any) ([]byte, error) { return marshalEscaped(v, true) }

func marshalEscaped(v any, escapeHTML bool) ([]byte, error) {
	if data, err := iterEncoder(escapeHTML).Marshal(v); err == nil {
		return data, nil
	}
	return stdMarshal(v, escapeHTML)
}

func stdMarshal(v any, escapeHTML bool) ([]byte, error) {
	if escapeHTML {
		return json.Marshal(v)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func marshalIndent(v any, prefix, indent string) ([]byte, error) {
	data, err := marshal(v)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := json.Indent(&buf, data, prefix, indent); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// iterStreamEncoder is what json.Encoder is, with marshal for its engine.
type iterStreamEncoder struct {
	w              io.Writer
	err            error // of w
	noEscapeHTML   bool
	prefix, indent string
	line           bytes.Buffer
}

type streamEncoder = *iterStreamEncoder

func newEncoder(w io.Writer) streamEncoder { return &iterStreamEncoder{w: w} }

func (e *iterStreamEncoder) Encode(v any) error {
	if e.err != nil {
		return e.err
	}
	data, err := marshalEscaped(v, !e.noEscapeHTML)
	if err != nil {
		return err
	}
	if e.prefix != "" || e.indent != "" {
		e.line.Reset()
		if err := json.Indent(&e.line, data, e.prefix, e.indent); err != nil {
			return err
		}
		data = e.line.Bytes()
	}
	_, e.err = e.w.Write(append(data, '\n'))
	return e.err
}

func (e *iterStreamEncoder) SetIndent(prefix, indent string) { e.prefix, e.indent = prefix, indent }

func (e *iterStreamEncoder) SetEscapeHTML(on bool) { e.noEscapeHTML = !on }
