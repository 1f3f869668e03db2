package jsonx_test

//lint:file-ignore SA5008 What becomes of odd tags is what the probes ask.

import (
	"math"
	"math/big"
	"net/netip"
	"strings"
	"time"
	"unsafe"

	"github.com/gracekit/gracekit/jsonx"
)

func marshalProbes() []probe {
	n := 7
	pn := &n
	date := time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)
	return []probe{
		marshal("nil", nil),
		marshal("true", true),
		marshal("false", false),

		// Numbers.
		marshal("int/min", int64(math.MinInt64)),
		marshal("int/max", int64(math.MaxInt64)),
		marshal("uint/max", uint64(math.MaxUint64)),
		marshal("int8/min", int8(math.MinInt8)),
		marshal("uintptr", uintptr(1)),
		marshal("float64/0", 0.0),
		marshal("float64/-0", math.Copysign(0, -1)),
		marshal("float64/1", 1.0),
		marshal("float64/0.1", 0.1),
		marshal("float64/1e-6", 1e-6),
		marshal("float64/1e-7", 1e-7),
		marshal("float64/1e-10", 1e-10),
		marshal("float64/1e20", 1e20),
		marshal("float64/1e21", 1e21),
		marshal("float64/1e22", 1e22),
		marshal("float64/123456789.125", 123456789.125),
		marshal("float64/2^53+2", float64(1<<53+2)),
		marshal("float64/max", math.MaxFloat64),
		marshal("float64/smallest", math.SmallestNonzeroFloat64),
		marshal("float32/0.1", float32(0.1)),
		marshal("float32/1e-7", float32(1e-7)),
		marshal("float32/1e21", float32(1e21)),
		marshal("float32/max", float32(math.MaxFloat32)),
		marshal("float64/named", []Celsius{1e-7, 20.5}),
		marshal("float64/NaN", math.NaN()),
		marshal("float64/+Inf", math.Inf(1)),
		marshal("float32/-Inf", float32(math.Inf(-1))),
		marshal("float64/NaN in a map in a list", []any{map[string]any{"x": math.NaN()}}),
		marshal("number", jsonx.Number("12.50e3")),
		marshal("number/empty", jsonx.Number("")),
		marshal("number/invalid", jsonx.Number("1.")),
		marshal("number/injection", holder[jsonx.Number]{`1,"x":2`}),
		marshal("number/in any", []any{jsonx.Number("1e400")}),
		marshal("number/map key", map[jsonx.Number]int{"1": 2}),
		marshal("big.Int pointer", big.NewInt(0).Exp(big.NewInt(10), big.NewInt(30), nil)),
		marshal("big.Int field", holder[big.Int]{*big.NewInt(5)}),
		marshal("big.Int field by pointer", &holder[big.Int]{*big.NewInt(5)}),

		// Strings.
		marshal("string/empty", ""),
		marshal("string/ascii", "hello, world"),
		marshal("string/quotes", `"\/`),
		marshal("string/controls", "\x00\x01\b\t\n\v\f\r\x1f\x7f"),
		marshal("string/html", "<script>&amp;</script>"),
		marshal("string/separators", "a\u2028b\u2029c"),
		marshal("string/umlauts", "größe 世界 🎉"),
		marshal("string/invalid UTF-8", "a\xffb\xc3(c\xed\xa0\x80d"),
		marshal("string/U+FFFD", "\ufffd"),
		marshal("string/named", Text("<x>")),
		marshal("string/long", strings.Repeat("x", 5000)+"\n"),

		// Bytes, arrays and slices.
		marshal("bytes", []byte("any carnal pleas")),
		marshal("bytes/nil", []byte(nil)),
		marshal("bytes/empty", []byte{}),
		marshal("bytes/array", [3]byte{1, 2, 3}),
		marshal("bytes/named elements", []namedByte{1, 2, 3}),
		marshal("bytes/elements with a method", []textByte{1, 2}),
		marshal("slice/nil", []int(nil)),
		marshal("slice/empty", []int{}),
		marshal("slice/nested", [][]int{{1}, nil, {}}),
		marshal("array/empty", [0]int{}),
		marshal("array/pointers", [2]*int{pn, nil}),
		marshal("array/one pointer", [1]*int{pn}),

		// Maps.
		marshal("map/nil", map[string]int(nil)),
		marshal("map/empty", map[string]int{}),
		marshal("map/sorted", map[string]int{"b": 1, "a": 2, "ä": 3, "": 4, "B": 5}),
		marshal(
			"map/keys escaped",
			map[string]int{"<a>": 1, "\x01": 2, "\"": 3, "\u2028": 4, "a\tb": 5},
		),
		marshal(
			"map/keys invalid UTF-8",
			map[string]int{"\xff": 1, "\u00e9": 2, "\xfe": 3, "\uffff": 4},
		),
		marshal("map/int keys", map[int]string{10: "a", 9: "b", -1: "c"}),
		marshal("map/uint8 keys", map[uint8]bool{200: true, 3: false}),
		marshal("map/text keys", map[textual]int{{1, 2}: 3}),
		marshal("map/text string keys", map[textString]int{"a": 1}),
		marshal("map/text int keys", map[textInt]int{5: 1}),
		marshal("map/named string keys", map[Text]int{"k": 1}),
		marshal("map/interface keys", map[any]int{"a": 1}),
		marshal("map/bool keys", map[bool]int{true: 1}),
		marshal("map/float keys", map[float64]int{1: 1}),
		marshal("map/netip keys", map[netip.Addr]int{netip.MustParseAddr("::1"): 1}),
		marshal(
			"map/any",
			map[string]any{"n": nil, "l": []any{1, "a", nil, true, 1.5}, "m": map[string]any{}},
		),
		marshal("map/struct", map[string]small{"x": {ID: 1}}),
		marshal("map/in a struct", holder[map[string]*int]{map[string]*int{"a": pn, "b": nil}}),

		// Structs.
		marshal("struct/small", small{1, "Ann", "a@b", true, 0.5, []string{"x"}}),
		marshal("struct/pointer", &small{}),
		marshal(
			"struct/kinds",
			kinds{
				Int:     -1,
				Uint64:  math.MaxUint64,
				Float32: 0.1,
				String:  "s",
				Bytes:   []byte{0},
				Any:     1,
			},
		),
		marshal("struct/empty", struct{}{}),
		marshal("struct/names", names{1, 2, 3, 4, 5, 6, 7, 8, 9}),
		marshal("struct/embeds", embeds{base{1, "n"}, Exported{2, 3}, "x"}),
		marshal("struct/embeds pointer", embedsPointer{&Exported{1, 2}, "x"}),
		marshal("struct/embeds nil pointer", embedsPointer{Extra: "x"}),
		marshal("struct/shadows", shadows{Exported{1, 2}, "outer"}),
		marshal("struct/ambiguous", ambiguous{left{1, 2}, right{3, 4}}),
		marshal("struct/tag wins", tagWins{left{1, 2}, Right2{3}}),
		marshal("struct/embeds named", embedsNamed{Exported{1, 2}}),
		marshal("struct/embeds scalar", embedsScalar{"t"}),
		marshal("struct/embeds methods", embedsMethods{"quiet", 1}),
		marshal("struct/embeds interface", embedsAny{}),
		marshal("struct/case twins", caseTwins{"a", "b"}),
		marshal("struct/anonymous type", struct {
			A int `json:"a"`
			B struct{ C []int }
		}{1, struct{ C []int }{[]int{2}}}),
		marshal("struct/only unexported", struct{ a, b int }{1, 2}),
		marshal("struct/one pointer field", holder[*int]{pn}),
		marshal("struct/one map field", holder[map[string]int]{map[string]int{"a": 1}}),
		marshal("struct/unexported in another alphabet", otherAlphabet{1, 2}),
		marshal("struct/exported in another alphabet", struct{ Ä int }{1}),
		marshal("struct/capital twins", capitalTwins{"a", "b"}),
		marshal("struct/embeds methods twice", embedsTwoMethods{Own: 1}),
		marshal("struct/embeds pointer methods", embedsPointerMethods{Own: 1}),
		marshal("struct/embeds pointer methods, by pointer", &embedsPointerMethods{Own: 1}),
		marshal("list", list{1, &list{2, nil}}),
		marshal("tree", tree{"a": {"b": {}}, "c": nil}),

		// Tag options.
		marshal("omitempty/zero", omitEmpty{}),
		marshal("omitempty/empty", omitEmpty{Slice: []int{}, Map: map[string]int{}}),
		marshal("omitempty/pointers to zero", omitEmpty{Ptr: new(int), Any: 0}),
		marshal(
			"omitempty/full",
			omitEmpty{
				true,
				1,
				1,
				"s",
				[]int{0},
				map[string]int{"": 0},
				pn,
				"",
				struct{}{},
				[2]int{},
				[0]int{},
				date,
				"1",
			},
		),
		marshal("omitempty/-0", omitEmpty{Float: math.Copysign(0, -1)}),
		marshal("omitempty/-0 alone", struct {
			F float64 `json:",omitempty"`
			G float32 `json:",omitempty"`
		}{math.Copysign(0, -1), float32(math.Copysign(0, -1))}),
		marshal("omitempty/marshaler", struct {
			S Shout      `json:",omitempty"`
			T textString `json:",omitempty"`
			A [2]Shout   `json:",omitempty"`
			B [0]Shout   `json:",omitempty"`
			X textual    `json:",omitempty"`
		}{}),
		marshal("omitempty/interfaces", struct {
			A any             `json:",omitempty"`
			M jsonx.Marshaler `json:",omitempty"`
			E error           `json:",omitempty"`
		}{A: (*int)(nil)}),
		marshal("omitzero/zero", omitZero{}),
		marshal("omitzero/empty slice", omitZero{Slice: []int{}, Zeroer: 2}),
		marshal("omitzero/full", omitZero{1, "s", []int{}, struct{}{}, [2]int{1, 0}, date, 3}),
		marshal("omitzero/and omitempty", struct {
			S []int     `json:"s,omitempty,omitzero"`
			T time.Time `json:"t,omitempty,omitzero"`
		}{S: []int{}}),
		marshal("string option", quoted{true, -1, 2, 1.5, `a"b`, pn, []int{1}, "7"}),
		marshal("string option/zero", quoted{}),
		marshal("string option/pointer to string", struct {
			S *string `json:",string"`
			B *bool   `json:",string"`
		}{S: new("<x>")}),
		marshal("unknown option", struct {
			A int `json:"a,whatever"`
		}{}),

		// Pointers and interfaces.
		marshal("pointer/nil", (*int)(nil)),
		marshal("pointer/to pointer", &pn),
		marshal("interface/in a field", holder[any]{small{}}),
		marshal("interface/nil pointer", holder[any]{(*small)(nil)}),
		marshal("interface/error", holder[error]{errHook}),
		marshal("time", date),
		marshal("time/in a struct", holder[time.Time]{date}),
		marshal("time/year 10000", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)),
		marshal("duration", holder[time.Duration]{time.Second}),
		marshal("netip", holder[netip.Addr]{netip.MustParseAddr("10.0.0.1")}),

		// What has no JSON.
		marshal("chan", make(chan int)),
		marshal("func", func() {}),
		marshal("complex", complex(1, 2)),
		marshal("unsafe pointer", unsafe.Pointer(nil)),
		marshal("chan/in a struct", holder[chan int]{}),
		marshal("chan/omitted", struct {
			C chan int `json:",omitempty"`
			D chan int `json:"-"`
			E func()   `json:",omitempty"`
		}{}),
		marshal("chan/in an empty map", map[string]chan int{}),
		marshal("func/in any", []any{1, func() {}}),

		// Values that contain themselves, and values that only look like it.
		marshal("cycle/pointer", cyclicPointer()),
		marshal("cycle/map", cyclicMap()),
		marshal("cycle/slice", cyclicSlice()),
		marshal("cycle/list", cyclicList()),
		marshal("cycle/struct and any", cyclicHolder()),
		inChild(marshal("cycle/pointers alone", cyclicAny())),
		inChild(marshal("cycle/pointers alone, in a list", []any{cyclicAny()})),
		marshal("deep/any", len(mustMarshal(deepAny(3000)))),
		marshal("deep/map", len(mustMarshal(deepMap(3000)))),
	}
}

type Celsius float64

func cyclicPointer() any {
	type node struct{ Self any }
	n := &node{}
	n.Self = n
	return n
}

func cyclicMap() any {
	m := map[string]any{}
	m["self"] = m
	return m
}

func cyclicSlice() any {
	s := []any{nil}
	s[0] = s
	return s
}

func cyclicList() any {
	l := &list{}
	l.Next = l
	return l
}

func cyclicHolder() any {
	h := &holder[map[string]any]{map[string]any{}}
	h.V["self"] = []any{h}
	return h
}

func cyclicAny() any {
	var v any
	v = &v
	return v
}

func deepAny(depth int) (v any) {
	for range depth {
		v = []any{v}
	}
	return v
}

func deepMap(depth int) (v any) {
	for range depth {
		v = map[string]any{"a": v}
	}
	return v
}

func mustMarshal(v any) []byte {
	data, err := jsonx.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
