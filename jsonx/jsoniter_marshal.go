//go:build jsoniter && !jsonv2

package jsonx

import (
	"bytes"
	"encoding/json"
	"io"
)

func marshal(v any) ([]byte, error) {
	if routeOf(v).encode {
		if data, err := iterator().Marshal(v); err == nil {
			return data, nil
		}
	}
	return json.Marshal(v)
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
	line           bytes.Buffer // reused
}

type streamEncoder = *iterStreamEncoder

func newEncoder(w io.Writer) streamEncoder { return &iterStreamEncoder{w: w} }

func (e *iterStreamEncoder) Encode(v any) error {
	if e.err != nil {
		return e.err
	}
	data, err := e.marshal(v)
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

func (e *iterStreamEncoder) marshal(v any) ([]byte, error) {
	if !e.noEscapeHTML {
		return marshal(v)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func (e *iterStreamEncoder) SetIndent(prefix, indent string) { e.prefix, e.indent = prefix, indent }

func (e *iterStreamEncoder) SetEscapeHTML(on bool) { e.noEscapeHTML = !on }
