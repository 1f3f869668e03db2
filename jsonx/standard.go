//go:build !jsoniter || jsonv2

package jsonx

import (
	"encoding/json"
	"io"
)

// Everything here is small enough to be inlined, so a call costs what encoding/json costs.

func marshal(v any) ([]byte, error) { return json.Marshal(v) }

func marshalIndent(v any, prefix, indent string) ([]byte, error) {
	return json.MarshalIndent(v, prefix, indent)
}

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

type (
	streamEncoder = *json.Encoder
	streamDecoder = *json.Decoder
)

func newEncoder(w io.Writer) streamEncoder { return json.NewEncoder(w) }

func newDecoder(r io.Reader) streamDecoder { return json.NewDecoder(r) }
