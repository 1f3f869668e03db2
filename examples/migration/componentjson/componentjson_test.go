package componentjson

import (
	stdjson "encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/migration/componentjson/json"
	"github.com/gracekit/gracekit/jsonx"
)

func TestTheSameResults(t *testing.T) {
	for name, decode := range map[string]func(io.Reader) (string, error){"before": before, "after": after} {
		t.Run(name, func(t *testing.T) {
			got, err := decode(strings.NewReader(`{"name":"secret"}`))
			require.NoError(t, err)
			assert.Equal(t, "secret", got)

			_, err = decode(strings.NewReader(`{]`))
			require.Error(t, err)
			var syntax *stdjson.SyntaxError
			assert.Equal(t, name == "after" || !underTag, errors.As(err, &syntax), "%v", err)
		})
	}
}

// An engine is what the package has in common, before and after.
type engine struct {
	marshal       func(any) ([]byte, error)
	unmarshal     func([]byte, any) error
	marshalIndent func(v any, prefix, indent string) ([]byte, error)
	newDecoder    func(io.Reader) interface{ Decode(any) error }
	raw           any
}

// What the page says of the tag: before it changes what the package does, after it does not.
func TestUnderTheTag(t *testing.T) {
	for name, e := range map[string]engine{
		"before": {json.Marshal, json.Unmarshal, json.MarshalIndent,
			func(r io.Reader) interface{ Decode(any) error } { return json.NewDecoder(r) }, json.RawMessage(`{}`)},
		"after": {jsonx.Marshal, jsonx.Unmarshal, jsonx.MarshalIndent,
			func(r io.Reader) interface{ Decode(any) error } { return jsonx.NewDecoder(r) }, jsonx.RawMessage(`{}`)},
	} {
		t.Run(name, func(t *testing.T) {
			broken := name == "before" && underTag

			text, err := stdjson.Marshal(e.raw)
			require.NoError(t, err)
			assert.Equal(t, broken, string(text) != `{}`, "a RawMessage in encoding/json: %s", text)

			var v any
			decoder := e.newDecoder(strings.NewReader("{}\n"))
			require.NoError(t, decoder.Decode(&v))
			assert.Equal(t, broken, decoder.Decode(&v) != io.EOF, "a body that ends in a newline")

			text, err = e.marshal(struct {
				N int `json:"n,omitzero"`
			}{})
			require.NoError(t, err)
			assert.Equal(t, broken, string(text) != `{}`, "omitzero: %s", text)

			indent := func() { _, _ = e.marshalIndent(v, "", "\t") }
			assert.Equal(t, broken, panics(indent), "MarshalIndent with a tab")

			var f struct{ N float64 }
			assert.Equal(t, broken, e.unmarshal([]byte(`{"n":+1}`), &f) == nil, "a number that is none")

			var small struct{ N int32 }
			assert.Equal(t, broken, e.unmarshal([]byte(`{"n":5000000000}`), &small) == nil && small.N == 705032704, "%d", small.N)

			text, err = e.marshal(1e-7)
			require.NoError(t, err)
			assert.Equal(t, broken, string(text) == `1e-07`, "%s", text)
		})
	}
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
