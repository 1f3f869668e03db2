package jsonx_test

import (
	"encoding"
	"fmt"
	"math"
	"time"

	"github.com/gracekit/gracekit/jsonx"
)

// hookProbes are about types with methods of their own, in all positions.
func hookProbes() []probe {
	return []probe{
		// MarshalJSON on the value.
		marshal("value method/root", Shout("a")),
		marshal("value method/pointer", new(Shout("a"))),
		marshal("value method/field", holder[Shout]{"a"}),
		marshal("value method/pointer field", holder[*Shout]{new(Shout("a"))}),
		marshal("value method/nil pointer field", holder[*Shout]{}),
		marshal("value method/slice", []Shout{"a", "b"}),
		marshal("value method/array", [1]Shout{"a"}),
		marshal("value method/map value", map[string]Shout{"k": "a"}),
		marshal("value method/map key", map[Shout]int{"a": 1}),
		marshal("value method/any", []any{Shout("a"), new(Shout("b")), (*Shout)(nil)}),
		marshal("value method/interface field", holder[jsonx.Marshaler]{Shout("a")}),
		marshal("value method/nil interface field", holder[jsonx.Marshaler]{}),
		marshal(
			"value method/nil pointer in an interface field",
			holder[jsonx.Marshaler]{(*Shout)(nil)},
		),

		// MarshalJSON on the pointer.
		marshal("pointer method/root", byPointer{1}),
		marshal("pointer method/pointer", &byPointer{1}),
		marshal("pointer method/field", holder[byPointer]{}),
		marshal("pointer method/field by pointer", &holder[byPointer]{}),
		marshal("pointer method/pointer field", holder[*byPointer]{&byPointer{}}),
		marshal("pointer method/nil pointer field", holder[*byPointer]{}),
		marshal("pointer method/slice", []byPointer{{1}, {2}}),
		marshal("pointer method/array", [1]byPointer{{1}}),
		marshal("pointer method/array by pointer", &[1]byPointer{{1}}),
		marshal("pointer method/map value", map[string]byPointer{"k": {1}}),
		marshal("pointer method/map of slices", map[string][]byPointer{"k": {{1}}}),
		marshal("pointer method/any", []any{byPointer{1}, &byPointer{2}}),
		marshal("pointer method/struct in any", []any{holder[byPointer]{}, &holder[byPointer]{}}),
		marshal("pointer method/nil in any", []any{(*nilSafe)(nil)}),
		marshal("pointer method/nil in a Marshaler", []jsonx.Marshaler{(*nilSafe)(nil)}),
		marshal(
			"pointer method/nil in a Marshaler field",
			holder[jsonx.Marshaler]{(*nilSafe)(nil)},
		),

		// MarshalText.
		marshal("text/root", textual{1, 2}),
		marshal("text/field", holder[textual]{textual{1, 2}}),
		marshal("text/slice", []textual{{1, 2}}),
		marshal("text/any", []any{textual{1, 2}, &textual{3, 4}, (*textual)(nil)}),
		marshal("text/string", textString("<s>")),
		marshal("text/int", holder[textInt]{3}),
		marshal("text/interface field", holder[encoding.TextMarshaler]{textual{1, 2}}),
		marshal("text/on the pointer", textByPointer{1}),
		marshal("text/on the pointer, by pointer", &textByPointer{1}),
		marshal("text/on the pointer, field by pointer", &holder[textByPointer]{}),
		marshal("text/invalid UTF-8", saysText("a\xff")),
		marshal("text/map key invalid UTF-8", map[saysText]int{"\xff": 1}),
		marshal("text/controls", holder[saysText]{"\b\n<\u2028"}),

		// What hooks return is checked, compacted and escaped.
		marshal("output/compacted", says(" { \"a\" : [ 1 , 2 ] } ")),
		marshal("output/HTML escaped", says(`"<>&`+"\u2028\"")),
		marshal("output/newline at the end", holder[says]{"1\n"}),
		marshal("output/empty", says("")),
		marshal("output/empty in a struct", holder[says]{""}),
		marshal("output/not JSON", says("{")),
		marshal("output/two values", says("1 2")),
		marshal("output/injection", struct {
			A says
			B int
		}{`1,"x":2`, 3}),
		marshal("output/injection in a map", map[string]any{"a": says(`1,"x":2`)}),
		marshal("output/closing bracket", []any{says("1]"), 2}),
		marshal("output/invalid UTF-8", says("\"\xff\"")),
		marshal("output/duplicate names", says(`{"a":1,"a":2}`)),
		marshal("output/control character", says("\"\x01\"")),
		marshal("output/number", says("01")),

		// Failing hooks.
		marshal("fails/root", fails{}),
		marshal("fails/field", holder[fails]{}),
		marshal("fails/any", []any{1, fails{}}),
		marshal("fails/text", failsText{}),
		marshal("fails/text map key", map[failsText]int{{1}: 1}),
		marshal("panics/root", panics{}),
		marshal("panics/field", holder[panics]{}),
		marshal("panics/any", []any{panics{}}),

		// How often hooks are called.
		{"hook calls/marshal", func() string {
			calls := 0
			_, err := jsonx.Marshal([]any{counts{&calls}, "x"})
			return outcome(fmt.Sprint(calls), err)
		}},
		{"hook calls/marshal fails", func() string {
			calls := 0
			_, err := jsonx.Marshal([]any{counts{&calls}, math.NaN()})
			return outcome(fmt.Sprint(calls), err)
		}},
		{"hook calls/unmarshal", func() string {
			calls := 0
			v := struct {
				C *counts
				S string
			}{&counts{&calls}, ""}
			err := jsonx.Unmarshal([]byte(`{"C":1,"S":"x"}`), &v)
			return outcome(fmt.Sprint(calls), err)
		}},
		{"hook calls/unmarshal fails", func() string {
			var v struct {
				C globalCounts
				N int
			}
			globalCalls = 0
			err := jsonx.Unmarshal([]byte(`{"C":1,"N":"x"}`), &v)
			return outcome(fmt.Sprint(globalCalls), err)
		}},

		// RawMessage.
		marshal("raw/root", jsonx.RawMessage(`{"a": 1}`)),
		marshal("raw/pointer", new(jsonx.RawMessage(`{"a": 1}`))),
		marshal("raw/field", holder[jsonx.RawMessage]{jsonx.RawMessage(` [1, 2 ] `)}),
		marshal("raw/field html", holder[jsonx.RawMessage]{jsonx.RawMessage(`"<&>"`)}),
		marshal("raw/map value", map[string]jsonx.RawMessage{"a": jsonx.RawMessage(`"x"`)}),
		marshal("raw/nil", holder[jsonx.RawMessage]{}),
		marshal("raw/empty", holder[jsonx.RawMessage]{jsonx.RawMessage{}}),
		marshal("raw/omitempty", struct {
			R jsonx.RawMessage `json:",omitempty"`
		}{}),
		marshal("raw/invalid", holder[jsonx.RawMessage]{jsonx.RawMessage(`{`)}),
		marshal("raw/injection", holder[jsonx.RawMessage]{jsonx.RawMessage(`1,"x":2`)}),
		marshal("raw/any", []any{jsonx.RawMessage(`{}`)}),
		marshal("raw/any invalid", []any{jsonx.RawMessage(`nul`)}),

		// Decoding.
		unmarshal[Shout]("hook/root", ` {"a": 1} `),
		unmarshal[holder[Shout]]("hook/field", `{"V": [1, 2]}`),
		unmarshal[holder[Shout]]("hook/null", `{"V":null}`),
		unmarshal[holder[*Shout]]("hook/pointer", `{"V":1}`),
		unmarshal[holder[*Shout]]("hook/pointer null", `{"V":null}`),
		unmarshal[[]Shout]("hook/slice", `[1,"a",null]`),
		unmarshal[map[string]Shout]("hook/map value", `{"k":{}}`),
		unmarshal[map[Shout]int]("hook/map key", `{"k":1}`),
		unmarshal[embedsMethods]("hook/embedded", `{"Own":1}`),
		unmarshal[holder[textual]]("text/field", `{"V":"1<2"}`),
		unmarshal[holder[textual]]("text/escaped", `{"V":"1\u003c2"}`),
		unmarshal[holder[textual]]("text/null", `{"V":null}`),
		unmarshal[holder[textual]]("text/number", `{"V":1}`),
		unmarshal[holder[*textual]]("text/pointer", `{"V":"1<2"}`),
		unmarshal[map[textual]int]("text/map key", `{"1<2":3}`),
		unmarshal[map[textString]int]("text/string map key", `{"a":3}`),
		unmarshal[map[textInt]int]("text/int map key", `{"#4":3}`),
		unmarshal[holder[time.Time]]("time", `{"V":"2026-02-03T04:05:06Z"}`),
		unmarshal[holder[time.Time]]("time/invalid", `{"V":"yesterday"}`),
		unmarshal[holder[fails]]("fails", `{"V":1}`),
		unmarshal[[]fails]("fails/slice", `[1,2]`),
		unmarshal[holder[failsText]]("fails/text", `{"V":"x"}`),
		unmarshal[map[failsText]int]("fails/text map key", `{"x":1}`),
		unmarshal[holder[panics]]("panics", `{"V":1}`),
		unmarshal[jsonx.RawMessage]("raw/root", ` {"a" : 1} `),
		unmarshal[holder[jsonx.RawMessage]]("raw/field", `{"V": [1, 2] }`),
		unmarshal[holder[jsonx.RawMessage]]("raw/null", `{"V":null}`),
		unmarshal[holder[*jsonx.RawMessage]]("raw/pointer null", `{"V":null}`),
		unmarshal[map[string]jsonx.RawMessage]("raw/map", `{"a":{"b": 1}}`),
	}
}
