package databases_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"

	"github.com/gracekit/gracekit/objectmeta"
)

var encodings = map[string]struct {
	marshal   func(any) ([]byte, error)
	unmarshal func([]byte, any) error
}{
	"JSON":        {json.Marshal, json.Unmarshal},
	"YAML":        {yaml.Marshal, yaml.Unmarshal},
	"MessagePack": {msgpack.Marshal, msgpack.Unmarshal},
	"BSON":        {bson.Marshal, bson.Unmarshal},
	"CBOR":        {cbor.Marshal, cbor.Unmarshal},
}

// What comes from a JSON column goes on as numbers, and comes back as such.
func TestExtendKeepsItsNumbersInEveryEncoding(t *testing.T) {
	const column = `{"n":23,"big":9007199254740993,"least":-9223372036854775808,"f":1.5,
		"e":1e-7,"s":"7","list":[1,2.5,{"deep":9007199254740993}]}`
	for name, encoding := range encodings {
		t.Run(name, func(t *testing.T) {
			var stored, got extend
			require.NoError(t, stored.Scan(column))
			data, err := encoding.marshal(stored)
			require.NoError(t, err)
			require.NoError(t, encoding.unmarshal(data, &got), "%s", data)

			wantValue(t, got, "n", 23)
			wantValue(t, got, "big", int64(9007199254740993))
			wantValue(t, got, "least", int64(math.MinInt64))
			wantValue(t, got, "f", 1.5)
			wantValue(t, got, "e", 1e-7)
			wantValue(t, got, "s", "7")
			_, ok := objectmeta.Get[string](got, "n")
			assert.False(t, ok, "a number is no string")
			if name != "CBOR" { // which makes a map with any keys of an object in an any
				data, err := json.Marshal(got)
				require.NoError(t, err)
				assert.JSONEq(t, column, string(data))
				assert.Contains(t, string(data), `{"deep":9007199254740993}`)
			}
		})
	}
}

func wantValue[T any](t *testing.T, e extend, key string, want T) {
	t.Helper()
	got, ok := objectmeta.Get[T](e, key)
	assert.True(t, ok, "Get[%T](%q) of %T", want, key, e[key])
	assert.Equal(t, want, got, key)
}

// The encodings in which an ID is text refuse the integer; in the others it is one, as in a
// database.
func TestIDInEveryEncoding(t *testing.T) {
	type text struct {
		ID string `json:"id" yaml:"id" msgpack:"id" bson:"id" cbor:"id"`
	}
	type integer struct {
		ID int64 `json:"id" yaml:"id" msgpack:"id" bson:"id" cbor:"id"`
	}
	type document struct {
		ID secretID `json:"id" yaml:"id" msgpack:"id" bson:"id" cbor:"id"`
	}
	for name, encoding := range encodings {
		t.Run(name, func(t *testing.T) {
			data, err := encoding.marshal(document{1})
			require.NoError(t, err)
			var again document
			require.NoError(t, encoding.unmarshal(data, &again))
			assert.Equal(t, document{1}, again)

			raw, err := encoding.marshal(integer{5})
			require.NoError(t, err)
			if name == "BSON" || name == "CBOR" {
				var key integer
				require.NoError(t, encoding.unmarshal(data, &key))
				assert.Equal(t, integer{1}, key)
				require.NoError(t, encoding.unmarshal(raw, &again), "the documentation says so")
				return
			}
			var code text
			require.NoError(t, encoding.unmarshal(data, &code))
			assert.Equal(t, text{"secret-zpmsxh"}, code)
			require.Error(t, encoding.unmarshal(raw, &again))
		})
	}
}
