package jsonx_test

import (
	"strings"

	"github.com/gracekit/gracekit/jsonx"
)

func unmarshalProbes() []probe {
	return []probe{
		// Into an interface.
		unmarshal[any]("any/scalars", `[null, true, false, 1, -0, 1.5e3, "a"]`),
		unmarshal[any]("any/nested", `{"a":{"b":[{}, []]}}`),
		unmarshal[any]("any/duplicate names", `{"a":1,"a":{"b":2},"a":{"c":3}}`),
		unmarshal[any]("any/huge integer", `12345678901234567890123456789`),
		unmarshal[any]("any/out of range", `[1, 1e400, 2]`),
		unmarshal[any]("any/tiny", `[1e-400, 4.9e-324, 0.000001, 123456789.123456789]`),
		unmarshal[any]("any/whitespace", " \t\r\n[ 1 ,\r\n2\t] \n"),
		unmarshal[any]("any/empty name", `{"":1}`),
		unmarshalInto(
			"any/holding a struct pointer",
			`{"id":5}`,
			func() *any { return new(any(&small{Name: "kept"})) },
		),
		unmarshalInto(
			"any/holding a struct",
			`{"id":5}`,
			func() *any { return new(any(small{Name: "lost"})) },
		),
		unmarshalInto(
			"any/holding a pointer, null",
			`null`,
			func() *any { return new(any(&small{})) },
		),
		unmarshal[holder[error]]("interface with methods", `{"V":1}`),
		unmarshal[holder[error]]("interface with methods/null", `{"V":null}`),

		// Strings.
		unmarshal[string]("string/escapes", `"\"\\\/\b\f\n\r\t"`),
		unmarshal[string]("string/code points", `"\u0041\u00e9\u4e16\ud83c\udf89"`),
		unmarshal[string]("string/lone high surrogate", `"a\ud800b"`),
		unmarshal[string]("string/lone low surrogate", `"a\udc00b"`),
		unmarshal[string]("string/high before a pair", `"\ud800\ud83c\udf89"`),
		unmarshal[string]("string/high before an escape", `"\ud800\n"`),
		unmarshal[any]("string/high before a letter", `{"\ud800\u0041":"\ud800\u0041"}`),
		unmarshal[string]("string/NUL", `"\u0000"`),
		unmarshal[string]("string/invalid UTF-8", "\"a\xffb\xc3(\xed\xa0\x80\""),
		unmarshal[map[string]any]("string/invalid UTF-8 name", "{\"\xff\":1}"),
		unmarshal[string]("string/DEL and separators", "\"\x7f\u2028\""),
		unmarshal[Text]("string/named", `"x"`),
		unmarshal[string]("string/null", `null`),
		unmarshalInto("string/null keeps", `null`, func() *string { return new("kept") }),

		// Numbers.
		unmarshal[[]int8]("int8/limits", `[-128, 127]`),
		unmarshal[[]int8]("int8/overflow", `[1, 128, 2]`),
		unmarshal[[]uint8]("uint8/array", `[1, 2, 255]`),
		unmarshal[[]uint16]("uint16/negative", `[1, -1, 2]`),
		unmarshal[[]int64]("int64/limits", `[-9223372036854775808, 9223372036854775807]`),
		unmarshal[int64]("int64/overflow", `9223372036854775808`),
		unmarshal[uint64]("uint64/limit", `18446744073709551615`),
		unmarshal[uint64]("uint64/overflow", `18446744073709551616`),
		unmarshal[int]("int/1.0", `1.0`),
		unmarshal[int]("int/1e3", `1e3`),
		unmarshal[int]("int/-0", `-0`),
		unmarshal[uint]("uint/-0", `-0`),
		unmarshal[[]float64](
			"float64",
			`[0, -0, 1.5, 1e-7, 179769313486231570000000000000, 0.1e1]`,
		),
		unmarshal[[]float32](
			"float32",
			`[0.1, 16777217, 1.17549435e-38, 0.000000119209289550781250001]`,
		),
		unmarshal[[]float32]("float32/out of range", `[1e39]`),
		unmarshal[[]float32](
			"float32/rounds once",
			`[7.038531e-26, 8.589973e9, 1.00000017881393432617187499, 1099511693312.000001]`,
		),
		unmarshal[float64]("float64/out of range", `-1e309`),
		unmarshal[[]jsonx.Number]("number", `[1, -1.50, 1e400, "12"]`),
		unmarshal[int]("int/wraps around to more", `21000000000000000000`),
		unmarshal[int]("int/wraps around to less", `-21000000000000000000`),
		unmarshal[int]("int/wraps around, ends in 9", `21000000000000000009`),
		unmarshal[int64]("int64/wraps around", `27000000000000000000`),
		unmarshal[uint64]("uint64/wraps around", `21000000000000000000`),
		unmarshal[uint64]("uint64/20 digits", `10000000000000000000`),
		unmarshal[uint]("uint/21 digits", `210000000000000000000`),
		unmarshal[uintptr]("uintptr/wraps around", `21000000000000000000`),
		unmarshal[int32]("int32/wraps around", `5000000000`),
		unmarshal[int32]("int32/wraps around to less", `-5000000000`),
		unmarshal[uint32]("uint32/wraps around", `5000000000`),
		unmarshal[uint16]("uint16/wraps around", `5000000000`),
		unmarshal[[]int32]("int32/limits", `[2147483647,-2147483648,null]`),
		unmarshal[[]int32]("int32/above", `[2147483648]`),
		unmarshal[[]int32]("int32/below", `[-2147483649]`),
		unmarshal[[]uint32]("uint32/limits", `[4294967295,null]`),
		unmarshal[[]uint32]("uint32/above", `[4294967296]`),
		unmarshal[small]("struct/wraps around", `{"name":"1","id":  21000000000000000000}`),
		unmarshal[[]jsonx.Number]("number/not a number", `["x"]`),
		unmarshal[[]jsonx.Number]("number/empty string", `[""]`),
		unmarshal[jsonx.Number]("number/null", `null`),
		unmarshal[bool]("bool", `true`),

		// Bytes, slices and arrays.
		unmarshal[[]byte]("bytes", `"YW55"`),
		unmarshal[[]byte]("bytes/null", `null`),
		unmarshal[[]byte]("bytes/empty", `""`),
		unmarshal[[]byte]("bytes/newlines", `"YW\n55\r"`),
		unmarshal[[]byte]("bytes/not base64", `"a"`),
		unmarshal[[]byte]("bytes/URL alphabet", `"-_-_"`),
		unmarshal[[]byte]("bytes/number", `1`),
		unmarshal[[]namedByte]("bytes/named elements", `"YW55"`),
		unmarshal[[2]byte]("bytes/array", `[1,2]`),
		unmarshal[[2]byte]("bytes/array from string", `"AQI="`),
		unmarshal[[]int]("slice/null", `null`),
		unmarshal[[]int]("slice/empty", `[]`),
		unmarshal[[]*int]("slice/pointers", `[1,null,2]`),
		unmarshalInto("slice/longer before", `[9]`, func() *[]int { return &[]int{1, 2, 3} }),
		unmarshalInto(
			"slice/null elements",
			`[null,null]`,
			func() *[]int { return &[]int{1, 2, 3} },
		),
		unmarshalInto(
			"slice/merges elements",
			`[{"id":9}]`,
			func() *[]small { return &[]small{{Name: "kept"}} },
		),
		unmarshalInto(
			"slice/beyond the length",
			`[{"id":9},{"id":8}]`,
			func() *[]small { s := []small{{Name: "a"}, {Name: "b"}}; s = s[:1]; return &s },
		),
		unmarshalInto("slice/empty before", `[]`, func() *[]int { return &[]int{1} }),
		unmarshal[[2]int]("array/shorter", `[1]`),
		unmarshal[[2]int]("array/longer", `[1,2,3]`),
		unmarshalInto("array/zeroes the rest", `[9]`, func() *[3]int { return &[3]int{1, 2, 3} }),
		unmarshalInto("array/null", `null`, func() *[2]int { return &[2]int{1, 2} }),

		// Maps.
		unmarshal[map[string]int]("map", `{"a":1,"b":2}`),
		unmarshal[map[string]int]("map/null", `null`),
		unmarshal[map[string]int]("map/duplicate names", `{"a":1,"a":2}`),
		unmarshal[map[string]small]("map/duplicate struct", `{"a":{"id":1},"a":{"name":"x"}}`),
		unmarshalInto(
			"map/adds",
			`{"b":2}`,
			func() *map[string]int { return &map[string]int{"a": 1} },
		),
		unmarshalInto(
			"map/empty before",
			`{"b":2}`,
			func() *map[string]int { return &map[string]int{} },
		),
		unmarshalInto(
			"map/empty before, null",
			`null`,
			func() *map[string]int { return &map[string]int{} },
		),
		unmarshalInto(
			"map/empty before, error",
			`{"a":1,"b":"x","c":3}`,
			func() *map[string]int { return &map[string]int{} },
		),
		unmarshalInto(
			"map/empty before, hook fails",
			`{"a":1}`,
			func() *map[string]fails { return &map[string]fails{} },
		),
		unmarshalInto(
			"map/holds something, error",
			`{"b":"x"}`,
			func() *map[string]int { return &map[string]int{"a": 1} },
		),
		unmarshalInto(
			"map/replaces struct",
			`{"a":{"id":2}}`,
			func() *map[string]small { return &map[string]small{"a": {Name: "lost"}} },
		),
		unmarshalInto(
			"map/pointer values",
			`{"a":{"id":2}}`,
			func() *map[string]*small { return &map[string]*small{"a": {Name: "x"}} },
		),
		unmarshal[map[int]string]("map/int keys", `{"1":"a","-2":"b","+3":"c","04":"d"}`),
		unmarshal[map[int]string]("map/int key invalid", `{"x":"a","1":"b"}`),
		unmarshal[map[int]string]("map/int key with spaces", `{" 1 ":"a"}`),
		unmarshal[map[int]string]("map/int key null", `{"null":"a"}`),
		unmarshal[map[int8]string]("map/int8 key overflow", `{"300":"a"}`),
		unmarshal[map[uint]string]("map/uint key escaped", `{"\u0031":"a"}`),
		unmarshal[map[Text]int]("map/named string keys", `{"a":1}`),
		unmarshal[map[bool]int]("map/bool keys", `{"true":1}`),
		unmarshal[map[float64]int]("map/float keys", `{"1":1}`),

		// Structs.
		unmarshal[small](
			"struct",
			`{"id":1,"name":"Ann","email":"a@b","active":true,"score":1.5,"tags":["x"]}`,
		),
		unmarshal[small]("struct/unknown members", `{"x":{"y":[1,{"z":"\""}]},"id":1,"w":1e5}`),
		unmarshal[small]("struct/null members", `{"id":null,"name":null,"tags":null}`),
		unmarshalInto(
			"struct/null keeps",
			`{"id":null,"name":null,"tags":null}`,
			func() *small { return &small{ID: 1, Name: "kept", Tags: []string{"lost"}} },
		),
		unmarshal[small](
			"struct/value then null",
			`{"id":1,"name":"kept","id":null,"name":null,"score":2,"score":null,"tags":["lost"],"tags":null}`,
		),
		unmarshal[small]("struct/other case", `{"ID":1,"nAmE":"x"}`),
		unmarshal[small]("struct/exact and other case", `{"id":1,"ID":2,"Id":3}`),
		unmarshal[caseTwins]("struct/case twins", `{"name":"a","NAME":"b","Name":"c"}`),
		unmarshal[capitalsFirst]("struct/case twins, capitals first", `{"Name":"a"}`),
		unmarshal[capitalTwins]("struct/capital twins", `{"name":"a","NAME":"b","nAME":"c"}`),
		unmarshal[otherAlphabet]("struct/unexported in another alphabet", `{"ä":1,"Ä":2,"b":3}`),
		unmarshal[embedsTwoMethods]("struct/embeds methods twice", `{"Own":1,"N":2}`),
		unmarshal[embedsPointerMethods]("struct/embeds pointer methods", `{"Own":1,"N":2}`),
		unmarshalInto(
			"struct/holds something, error",
			`{"id":"x","tags":["a"]}`,
			func() *small { return &small{ID: 1, Name: "kept"} },
		),
		unmarshal[foldable](
			"struct/Kelvin sign and long s",
			"{\"\u212aelvin\":1,\"\u017fecret\":\"x\"}",
		),
		unmarshal[foldable]("struct/Kelvin sign escaped", `{"\u212Aelvin":1,"\u017fecret":"x"}`),
		unmarshal[foldable]("struct/dotted I", "{\"\u0130D\":\"x\"}"),
		unmarshal[foldableMany](
			"struct/dotted I among many",
			"{\"\u0130D\":1,\"\u212aelvin\":2,\"\u017fecret\":3}",
		),
		unmarshal[small]("struct/escaped name", `{"i\u0064":1,"na\u006de":"x"}`),
		unmarshal[names](
			"struct/names",
			`{"Plain":1,"other":2,"Dash":3,"-":4,"<a&b>":5,"größe":6,"Invalid":7,"Empty":8,"hidden":9}`,
		),
		unmarshal[names]("struct/names in other case", `{"GRÖSSE":1,"GRÖßE":6,"<A&B>":5}`),
		unmarshal[kinds](
			"struct/kinds",
			`{"Bool":true,"Int":-1,"Int8":-8,"Uint64":18446744073709551615,"Float32":0.1,"String":"s","Bytes":"AA==","Any":[1]}`,
		),
		unmarshal[embeds]("struct/embeds", `{"id":1,"note":"n","Shared":2,"Own":3,"Extra":"x"}`),
		unmarshal[embedsPointer]("struct/embeds pointer", `{"Own":3}`),
		unmarshal[embedsPointer]("struct/embeds pointer unused", `{"Extra":"x"}`),
		unmarshal[struct{ *base }]("struct/embeds unexported pointer", `{"id":3}`),
		unmarshal[shadows]("struct/shadows", `{"Shared":"x","Own":1}`),
		unmarshal[ambiguous]("struct/ambiguous", `{"Same":1,"L":2,"R":3}`),
		unmarshal[tagWins]("struct/tag wins", `{"Same":1,"L":2}`),
		unmarshal[embedsNamed]("struct/embeds named", `{"exp":{"Own":1}}`),
		unmarshal[embedsScalar]("struct/embeds scalar", `{"Text":"t"}`),
		unmarshal[list]("list", `{"Value":1,"Next":{"Value":2,"Next":null}}`),
		unmarshal[tree]("tree", `{"a":{"b":{}},"c":null}`),
		unmarshal[struct{}]("struct/empty", `{"a":[1,{}]}`),
		unmarshal[holder[[]holder[*int]]](
			"struct/slices of pointers",
			`{"V":[{"V":1},{},{"V":null}]}`,
		),
		unmarshal[holder[[]small]](
			"struct/duplicate slices",
			`{"V":[{"id":1},{"id":2}],"V":[{"name":"x"}]}`,
		),
		unmarshal[holder[[]small]](
			"struct/duplicate slices regrown",
			`{"V":[{"id":1},{"id":2}],"V":[{"name":"x"}],"V":[{},{}]}`,
		),
		unmarshal[holder[map[string]int]]("struct/duplicate maps", `{"V":{"a":1},"V":{"b":2}}`),
		unmarshal[holder[*small]]("struct/duplicate pointers", `{"V":{"id":1},"V":{"name":"x"}}`),
		unmarshal[holder[[3]int]]("struct/duplicate arrays", `{"V":[1,2,3],"V":[4]}`),
		unmarshal[holder[any]]("struct/duplicate any", `{"V":{"a":1},"V":{"b":1}}`),
		unmarshalInto(
			"struct/prefilled pointer",
			`{"V":{"id":1}}`,
			func() *holder[*small] { return &holder[*small]{&small{Name: "kept"}} },
		),
		unmarshalInto(
			"struct/prefilled any",
			`{"V":{"id":1}}`,
			func() *holder[any] { return &holder[any]{&small{Name: "kept"}} },
		),
		unmarshal[quoted](
			"string option",
			`{"Bool":"true","Int":"-1","Uint":"2","Float":"1.5","String":"\"a\\\"b\"","Ptr":"7","Slice":[1],"Number":"7"}`,
		),
		unmarshal[quoted](
			"string option/null",
			`{"Bool":null,"Int":"null","String":null,"Ptr":null}`,
		),
		unmarshal[quoted]("string option/not quoted", `{"Int":1}`),
		unmarshal[quoted]("string option/string not quoted", `{"String":"a"}`),
		unmarshal[quoted]("string option/garbage", `{"Int":"x"}`),
		unmarshal[quoted]("string option/spaces", `{"Int":" 1"}`),
		unmarshal[quoted]("string option/trailing", `{"Int":"1x"}`),

		// Pointers.
		unmarshal[*int]("pointer", `1`),
		unmarshal[**int]("pointer/to pointer", `1`),
		unmarshal[**int]("pointer/to pointer null", `null`),
		unmarshalInto("pointer/kept", `5`, func() **int { return new(new(1)) }),

		unmarshal[quoted]("string option/null in quotes", `{"String":"null"}`),
		unmarshal[holder[complex128]]("complex/array", `{"V":[1,2]}`),
		unmarshal[holder[chan int]]("chan/object", `{"V":{"a":1}}`),
		inChild(unmarshalInto("cycle/any that points to itself", `{"a":"b"}`, selfPointer)),
		inChild(unmarshalInto("cycle/any that points to itself, number", `1`, selfPointer)),
		inChild(unmarshalInto("cycle/any that points to itself, null", `null`, selfPointer)),

		// Depth.
		unmarshalLength("depth/10000", strings.Repeat("[", 10000)+strings.Repeat("]", 10000)),
		unmarshalLength("depth/10001", strings.Repeat("[", 10001)+strings.Repeat("]", 10001)),
		unmarshalLength(
			"depth/10001 objects",
			strings.Repeat(`{"a":`, 10001)+"1"+strings.Repeat("}", 10001),
		),
		unmarshalLength("depth/a million open", strings.Repeat("[", 1e6)),
	}
}

// unmarshalLength is the probe of data too large for a table.
func unmarshalLength(name, data string) probe {
	return probe{"unmarshal/" + name, func() string {
		var v any
		err := jsonx.Unmarshal([]byte(data), &v)
		var ignored struct{}
		_ = jsonx.Unmarshal([]byte(`{"x":`+data+`}`), &ignored)
		n := 0
		for {
			switch x := v.(type) {
			case []any:
				n++
				if v = nil; len(x) > 0 {
					v = x[0]
				}
				continue
			case map[string]any:
				n++
				v = x["a"]
				continue
			}
			break
		}
		return outcome(strings.Repeat("[", min(n, 1))+strings.Repeat(".", 0)+lengthText(n), err)
	}}
}

// selfPointer is an any that holds its own address: golang/go#31740.
func selfPointer() *any {
	var v any
	v = &v
	return &v
}
