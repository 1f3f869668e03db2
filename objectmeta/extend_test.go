package objectmeta_test

import (
	"encoding/json"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExtendScan(t *testing.T) {
	tests := map[string]struct {
		src  any
		want objectmeta.Extend
	}{
		"NULL":          {nil, nil},
		"empty":         {"", nil},
		"empty bytes":   {[]byte{}, nil},
		"nil bytes":     {[]byte(nil), nil},
		"blank":         {" \n", nil},
		"null":          {"null", nil},
		"null in bytes": {[]byte(" null "), nil},
		"no keys":       {"{}", objectmeta.Extend{}},
		"string":        {`{"a":"b"}`, objectmeta.Extend{"a": "b"}},
		"bytes":         {[]byte(` {"a":true} `), objectmeta.Extend{"a": true}},
		"great integer": {
			`{"a":9007199254740993}`,
			objectmeta.Extend{"a": int64(9007199254740993)},
		},
		"beyond 64 bits": {
			`{"a":123456789012345678901234567890}`,
			objectmeta.Extend{"a": json.Number("123456789012345678901234567890")},
		},
		"integer in depth": {
			`{"a":{"b":[9007199254740993]}}`,
			objectmeta.Extend{"a": map[string]any{"b": []any{int64(9007199254740993)}}},
		},
		"null value": {`{"a":null}`, objectmeta.Extend{"a": nil}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := objectmeta.Extend{"deleted": "long ago"}
			before := e
			require.NoError(t, e.Scan(test.src))
			assert.Equal(t, test.want, e)
			assert.Equal(
				t,
				objectmeta.Extend{"deleted": "long ago"},
				before,
				"another holder of the map",
			)
		})
	}

	errors := map[string]struct {
		src  any
		want string
	}{
		"array":   {`[1]`, `Extend: "[1]": must be a JSON object`},
		"string":  {`"{}"`, `Extend: "\"{}\"": must be a JSON object`},
		"number":  {"23", `Extend: "23": must be a JSON object`},
		"no JSON": {"team=infra", `Extend: "team=infra": must be a JSON object`},
		"cut":     {`{"a":`, `must be a JSON object: unexpected EOF`},
		"two": {
			`{"a":1}{"b":2}`,
			`must be a JSON object: something follows the object`,
		},
		"bracket after": {`{"a":1}}`, `must be a JSON object: something follows the object`},
		"long": {
			"[" + strings.Repeat("1,", 1<<20) + "1]",
			`... (2097155 bytes): must be a JSON object`,
		},
		"not JSON's space": {"{}\f", `must be a JSON object: something follows the object`},
		"nor a newline":    {"null\u00a0", `Extend: "null\u00a0": must be a JSON object`},
		"other type":       {int64(1), "Extend: column value of type int64: must be JSON text"},
	}
	for name, test := range errors {
		t.Run("error: "+name, func(t *testing.T) {
			e := objectmeta.Extend{"a": "b"}
			assert.ErrorContains(t, e.Scan(test.src), test.want)
			assert.Equal(t, objectmeta.Extend{"a": "b"}, e, "unchanged")
		})
	}
}

// A number that is a float64 or an integer type is a number in every encoding; a json.Number is
// not.
func TestExtendScanOfNumbersKeepsTheirDigits(t *testing.T) {
	tests := map[string]any{
		"0":                      int64(0),
		"-1":                     int64(-1),
		"9223372036854775807":    int64(math.MaxInt64),
		"-9223372036854775808":   int64(math.MinInt64),
		"9223372036854775808":    uint64(math.MaxInt64 + 1),
		"18446744073709551615":   uint64(math.MaxUint64),
		"1.5":                    1.5,
		"-1.50":                  -1.5,
		"1.0":                    1.0,
		"0.1":                    0.1,
		"0.10":                   0.1,
		"1e3":                    1e3,
		"1E+3":                   1e3,
		"100e-2":                 1.0,
		"0.001e3":                1.0,
		"1e23":                   1e23,
		"-0":                     math.Copysign(0, -1),
		"0.0":                    0.0,
		"0e99999999999999999999": 0.0,
		"5e-324":                 5e-324,
		"1.7976931348623157e308": math.MaxFloat64,
	}
	for _, digits := range []string{ // that neither an integer nor a float64 has
		"18446744073709551616",
		"18446744073709551617",
		"-9223372036854775809",
		"1e400",
		"1e-400",
		"1e-99999999999999999999",
		"3.14159265358979323846",
		"0.10000000000000000001",
		"99999999999999991611392",
	} {
		tests[digits] = json.Number(digits)
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			var e objectmeta.Extend
			require.NoError(t, e.Scan(`{"a":[{"b":`+text+`}]}`))
			assert.Equal(t, objectmeta.Extend{"a": []any{map[string]any{"b": want}}}, e)
			if zero, ok := want.(float64); ok && zero == 0 {
				assert.Equal(
					t,
					math.Signbit(zero),
					math.Signbit(e["a"].([]any)[0].(map[string]any)["b"].(float64)),
				)
			}
		})
	}
}

// The driver may use its buffer again.
func TestExtendScanCopies(t *testing.T) {
	column := []byte(`{"a":"b"}`)
	var e objectmeta.Extend
	require.NoError(t, e.Scan(column))
	clear(column)
	assert.Equal(t, objectmeta.Extend{"a": "b"}, e)
}

func TestExtendValue(t *testing.T) {
	tests := map[string]struct {
		e    objectmeta.Extend
		want any
	}{
		"nil":     {nil, "{}"},
		"no keys": {objectmeta.Extend{}, "{}"},
		"keys":    {objectmeta.Extend{"b": 1, "a": "x"}, `{"a":"x","b":1}`},
		"great integer": {
			objectmeta.Extend{"a": uint64(math.MaxUint64), "b": json.Number("9007199254740993")},
			`{"a":18446744073709551615,"b":9007199254740993}`,
		},
		"nested": {objectmeta.Extend{"a": objectmeta.Extend{"b": nil}}, `{"a":{"b":null}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.e.Value()
			assert.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
	var deep any = "x"
	for range 10_001 {
		deep = []any{deep}
	}
	_, err := objectmeta.Extend{"a": deep}.Value()
	assert.ErrorContains(t, err, "objectmeta: Extend: ", "Scan would not read it")

	errors := map[string]any{
		"NaN": math.NaN(), "infinite": math.Inf(1), "channel": make(chan int), "func": func() {},
		"invalid number": json.Number("x"),
	}
	for name, value := range errors {
		t.Run("error: "+name, func(t *testing.T) {
			got, err := objectmeta.Extend{"a": value}.Value()
			assert.Nil(t, got)
			assert.ErrorContains(t, err, "objectmeta: Extend: json: ")
		})
	}
}

func TestExtendThatJSONRefusesIsNotWritten(t *testing.T) {
	cycle := objectmeta.Extend{}
	cycle["self"] = cycle
	for name, v := range map[string]any{"NaN in depth": []any{map[string]any{"x": math.NaN()}},
		"half a JSON text": json.RawMessage("{"), "cycle": cycle} {
		e := objectmeta.Extend{"ok": 1, "v": v}
		got, err := e.Value()
		assert.Error(t, err, name)
		assert.Nil(t, got, name)
		_, err = json.Marshal(objectmeta.ObjectMeta[secretKind]{Extend: e})
		assert.Error(t, err, name)
	}
}

func TestExtendJSON(t *testing.T) {
	type body struct {
		Extend objectmeta.Extend `json:"extend,omitempty"`
	}
	t.Run("integers keep their digits", func(t *testing.T) {
		const text = `{"extend":{"big":9007199254740993,"deep":[{"big":18446744073709551615}]}}`
		var b body
		require.NoError(t, json.Unmarshal([]byte(text), &b))
		data, err := json.Marshal(b)
		require.NoError(t, err)
		assert.Equal(t, text, string(data))
	})
	t.Run("replaces", func(t *testing.T) {
		b := body{objectmeta.Extend{"deleted": 1}}
		require.NoError(t, json.Unmarshal([]byte(`{"extend":{"a":"b"}}`), &b))
		assert.Equal(t, objectmeta.Extend{"a": "b"}, b.Extend)
	})
	t.Run("null", func(t *testing.T) {
		b := body{objectmeta.Extend{"a": 1}}
		require.NoError(t, json.Unmarshal([]byte(`{"extend":null}`), &b))
		assert.Nil(t, b.Extend)
	})
	t.Run("left out", func(t *testing.T) {
		b := body{objectmeta.Extend{"a": 1}}
		require.NoError(t, json.Unmarshal([]byte(`{}`), &b))
		assert.Equal(t, objectmeta.Extend{"a": 1}, b.Extend)
	})
	t.Run("not an object", func(t *testing.T) {
		for _, value := range []string{`[]`, `"{}"`, `1`, `true`, `""`} {
			assert.ErrorContains(
				t,
				json.Unmarshal([]byte(`{"extend":`+value+`}`), &body{}),
				"must be a JSON object",
				value,
			)
		}
	})
	t.Run("called directly", func(t *testing.T) {
		assert.ErrorContains(t, new(objectmeta.Extend).UnmarshalJSON(nil), "must be a JSON object")
	})
}

func TestGet(t *testing.T) {
	type address struct{ City string }
	var stored objectmeta.Extend
	require.NoError(
		t,
		stored.Scan(
			`{"n":23,"big":9007199254740993,"deep":{"big":9007199254740993},"f":1.5,"s":"text","digits":"23","b":true,"null":null,
		"list":["a","b"],"mixed":[1,"a"],"address":{"City":"Turin"},"time":"2026-03-04T05:06:07Z"}`,
		),
	)

	testGet(t, stored, "n", 23, true)
	testGet(t, stored, "n", int8(23), true)
	testGet(t, stored, "n", uint64(23), true)
	testGet(t, stored, "n", 23.0, true)
	testGet(t, stored, "n", json.Number("23"), true)
	testGet[any](t, stored, "n", int64(23), true)
	testGet(t, stored, "n", "", false)
	testGet(t, stored, "n", false, false)
	testGet(t, stored, "big", int64(9007199254740993), true)
	testGet(t, stored, "big", int32(0), false)
	testGet(t, stored, "deep", struct{ Big any }{int64(9007199254740993)}, true)
	testGet(t, stored, "f", 1.5, true)
	testGet(t, stored, "f", 0, false)
	testGet(t, stored, "s", "text", true)
	testGet(t, stored, "s", 0, false)
	testGet(t, stored, "digits", 0, false)
	testGet(t, stored, "b", true, true)
	testGet(t, stored, "null", "", false)
	testGet[any](t, stored, "null", nil, false)
	testGet(t, stored, "missing", "", false)
	testGet(t, stored, "list", []string{"a", "b"}, true)
	testGet(t, stored, "mixed", []string(nil), false)
	testGet(t, stored, "mixed", []any{int64(1), "a"}, true)
	testGet(t, stored, "address", address{"Turin"}, true)
	testGet(t, stored, "address", &address{"Turin"}, true)
	testGet(t, stored, "address", map[string]string{"City": "Turin"}, true)
	testGet(t, stored, "time", time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), true)

	// What the program itself has put there is found as well as what comes back from the database.
	fresh := objectmeta.Extend{
		"n":       23,
		"f":       3.0,
		"nan":     math.NaN(),
		"address": address{"Turin"},
		"list":    []string{"a"},
		"ints":    []uint64{1, math.MaxUint64},
	}
	testGet(t, fresh, "n", 23, true)
	testGet(t, fresh, "n", int64(23), true)
	testGet(t, fresh, "f", 3, true)
	testGet(t, fresh, "nan", 0, false)
	testGet(t, fresh, "address", map[string]any{"City": "Turin"}, true)
	testGet(t, fresh, "list", []any{"a"}, true)
	testGet(t, fresh, "ints", []any{int64(1), uint64(math.MaxUint64)}, true)

	testGet(t, nil, "n", 0, false)
}

func testGet[T any](t *testing.T, e objectmeta.Extend, key string, want T, wantOK bool) {
	t.Helper()
	got, ok := objectmeta.Get[T](e, key)
	assert.Equal(t, wantOK, ok, "Get[%T](%q)", want, key)
	assert.Equal(t, want, got, "Get[%T](%q)", want, key)
}

func TestMerge(t *testing.T) {
	type extend = objectmeta.Extend
	tests := map[string]struct{ e, over, want extend }{
		"both nil":        {nil, nil, nil},
		"onto nil":        {nil, extend{"a": 1}, extend{"a": 1}},
		"nil onto it":     {extend{"a": 1}, nil, extend{"a": 1}},
		"nil and empty":   {nil, extend{}, extend{}},
		"different keys":  {extend{"a": 1}, extend{"b": 2}, extend{"a": 1, "b": 2}},
		"the same key":    {extend{"a": 1, "b": 1}, extend{"a": 2}, extend{"a": 2, "b": 1}},
		"null is a value": {extend{"a": 1}, extend{"a": nil}, extend{"a": nil}},
		"objects as whole": {
			extend{"a": extend{"x": 1}},
			extend{"a": extend{"y": 2}},
			extend{"a": extend{"y": 2}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e, over := clone(test.e), clone(test.over)
			got := e.Merge(over)
			assert.Equal(t, test.want, got)
			if got != nil {
				got["new"] = true
			}
			assert.Equal(t, test.e, e, "receiver unchanged")
			assert.Equal(t, test.over, over, "argument unchanged")
		})
	}
}

func clone(e objectmeta.Extend) objectmeta.Extend {
	if e == nil {
		return nil
	}
	c := objectmeta.Extend{}
	maps.Copy(c, e)
	return c
}

// Whatever Scan accepts, Value writes in a form that Scan reads as the same again.
func FuzzExtendScan(f *testing.F) {
	for _, s := range []string{
		"", " ", "null", "{}", `{"a":1}`, `{"a":9007199254740993}`, `{"a":1e400}`, `{"a":-0}`,
		`{"a":{"b":[1,null,"x"]}}`, "[]", `"{}"`, `{"a":1}}`, `{"a":1} {}`,
		"{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":1,"a":2}`, "null\f", "\u00a0{}", "\v",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := objectmeta.Extend{"before": true}
		if err := e.Scan(s); err != nil {
			if len(e) != 1 {
				t.Errorf("Scan(%q) failed and changed the value to %v", s, e)
			}
			return
		}
		if !json.Valid([]byte(s)) && strings.Trim(s, " \t\r\n") != "" {
			t.Errorf("Scan(%q) takes what is not JSON", s)
		}
		first, err := e.Value()
		if err != nil {
			t.Fatalf("Scan(%q) takes what Value refuses: %v", s, err)
		}
		var again objectmeta.Extend
		if err := again.Scan(first); err != nil {
			t.Fatalf("Scan refuses what Value gives, %q: %v", first, err)
		}
		if second, err := again.Value(); err != nil || second != first {
			t.Errorf("Value gives %q, and after a Scan of that %q, %v", first, second, err)
		}
	})
}

// Wherever a T has room for any value, a number in it is plain, as in the Extend itself.
func TestGetGivesPlainNumbersAtAnyDepth(t *testing.T) {
	var e objectmeta.Extend
	require.NoError(t, json.Unmarshal([]byte(`{"l":[{"n":5}],"m":{"a":[1,1.5]},"o":{"x":7,"y":null}}`), &e))
	type inner struct{ X, Y any }
	type outer struct {
		P *inner `json:"o"`
		M map[string]inner
	}
	testGet(t, e, "l", []map[string]any{{"n": int64(5)}}, true)
	testGet(t, e, "l", [1]map[string]any{{"n": int64(5)}}, true)
	testGet(t, e, "m", map[string][]any{"a": {int64(1), 1.5}}, true)
	testGet(t, e, "o", inner{X: int64(7)}, true)
	testGet(t, e, "o", map[string]any{"x": int64(7), "y": nil}, true)
	testGet(t, e, "o", map[string]json.Number{"x": "7", "y": ""}, true)
	p, ok := objectmeta.Get[*map[string]any](e, "o")
	require.True(t, ok)
	assert.Equal(t, &map[string]any{"x": int64(7), "y": nil}, p)
	nested := objectmeta.Extend{"all": map[string]any{"o": e["o"], "M": map[string]any{"k": e["o"]}}}
	testGet(t, nested, "all", outer{&inner{X: int64(7)}, map[string]inner{"k": {X: int64(7)}}}, true)
}
