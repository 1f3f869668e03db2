package jsonx_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/gracekit/gracekit/jsonx"
)

func lengthText(n int) string { return strconv.Itoa(n) + " levels" }

func errorProbes() []probe {
	probes := []probe{
		// A value that does not fit: the rest is stored.
		unmarshal[small]("type error/string into int", `{"id":"x","name":"stored"}`),
		unmarshal[small]("type error/two", `{"id":"x","name":1,"active":true}`),
		unmarshal[small]("type error/object into string", `{"name":{"a":1},"id":2}`),
		unmarshal[small]("type error/array into bool", `{"active":[],"id":2}`),
		unmarshal[small]("type error/number into bool", `{"active":1}`),
		unmarshal[small]("type error/bool into float", `{"score":true}`),
		unmarshal[small]("type error/in a slice", `{"tags":["a",1,"b"],"id":2}`),
		unmarshal[small]("type error/fraction into int", `{"id":1.5,"name":"stored"}`),
		unmarshal[small]("type error/root", `[1]`),
		unmarshal[holder[holder[small]]](
			"type error/nested",
			`{"V":{"V":{"id":"x","name":"stored"}}}`,
		),
		unmarshal[[]small]("type error/list", `[{"id":1},{"id":"x"},{"id":3}]`),
		unmarshal[map[string]int]("type error/map", `{"a":1,"b":"x","c":3}`),
		unmarshal[map[string][]int]("type error/map of slices", `{"a":[1,"x",3]}`),
		unmarshal[embeds]("type error/embedded", `{"id":"x","Extra":"stored"}`),
		unmarshal[*int]("type error/pointer", `"x"`),
		unmarshal[chan int]("type error/chan", `1`),
		unmarshal[func()]("type error/func", `null`),
		unmarshal[complex128]("type error/complex", `1`),
		unmarshal[[]int]("type error/object into slice", `{}`),
		unmarshal[[1]int]("type error/string into array", `"x"`),
		unmarshal[string]("type error/number into string", `12345`),
		unmarshal[holder[int]]("type error/then syntax error", `{"V":"x"`),

		// What is not JSON leaves the destination alone.
		unmarshal[small]("syntax error/late", `{"id":1,"name":"x"`),
		unmarshal[small]("syntax error/trailing comma", `{"id":1,}`),
		unmarshal[small]("syntax error/trailing data", `{"id":1} x`),
		unmarshal[small]("syntax error/two values", `{"id":1}{"id":2}`),
		unmarshal[small]("syntax error/closing brace", `{"id":1}}`),
		unmarshal[small]("syntax error/in a skipped value", `{"x":[1,],"id":1}`),
		unmarshal[small]("syntax error/in a skipped string", "{\"x\":\"a\nb\",\"id\":1}"),
		unmarshal[small]("syntax error/in a skipped number", `{"x":01,"id":1}`),
		unmarshal[small](
			"syntax error/control character after an escape",
			"{\"name\":\"\\n\x01\"}",
		),
		unmarshal[any]("syntax error/empty", ``),
		unmarshal[any]("syntax error/whitespace", " \n"),
		unmarshal[any]("syntax error/BOM", "\ufeff{}"),
		unmarshal[any]("syntax error/NUL at the end", "1\x00"),
		unmarshal[Shout]("syntax error/hook not called", `{`),
		unmarshalInto(
			"syntax error/in a struct that holds something",
			`{"id":2,"name":"x",}`,
			func() *small { return &small{ID: 1} },
		),
	}
	for _, data := range []string{`nul`, `nulll`, `tru`, `truE`, `fals`, `+1`, `.5`, `1.`, `1e`,
		`1e+`, `-`, `--1`, `01`, `-01`, `0x1`, `1_0`, `NaN`, `Infinity`,
		`'a'`, `"`, `"\x"`, `"\u12"`, `"\u12G4"`, "\"\t\"", `[`, `[1`, `[1,`, `[,1]`, `[1 2]`,
		`[1]]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{a:1}`, `{1:1}`, `{"a" 1}`,
		`{"a":1 "b":2}`, `{,}`, `//x`, `1 /*x*/`, `]`, `}`, `,`, `:`, `""""`} {
		probes = append(probes, unmarshal[any]("syntax/"+data, data))
	}
	add := func(name string, run func() string) {
		probes = append(probes, probe{"error/" + name,
			run})
	}

	// Destinations that are none.
	for _, c := range []struct {
		name string
		v    any
	}{{"nil", nil}, {"a value", small{}}, {"a nil pointer", (*small)(nil)}, {"a map",
		map[string]any{}}} {
		add(
			"destination/"+c.name,
			func() string { return describe(jsonx.Unmarshal([]byte(`{}`), c.v)) },
		)
		add(
			"destination/"+c.name+", not JSON",
			func() string { return describe(jsonx.Unmarshal([]byte(`{`), c.v)) },
		)
		add("destination/"+c.name+", decoder", func() string {
			dec := newDecoder(`{} {"id":1}`)
			err := dec.Decode(c.v)
			var s small
			nextErr := dec.Decode(&s)
			return describe(err) + ", then " + outcome(dump(reflect.ValueOf(s)), nextErr)
		})
	}

	// What errors say, in a few places. Elsewhere the probes look at types only.
	say := func(name string, run func() error) {
		add("says/"+name,
			func() string { return detail(run()) })
	}
	sayUnmarshal := func(name, data string, v any) {
		say(name, func() error { return jsonx.Unmarshal([]byte(data), v) })
	}
	sayUnmarshal("syntax/in a string", "[1, \"\n\"]", new(any))
	sayUnmarshal("syntax/in a literal", `nul`, new(any))
	sayUnmarshal("syntax/end", `{"a":`, new(any))
	sayUnmarshal("syntax/after the value", `1 2`, new(any))
	sayUnmarshal("type/field", `{"id":"x"}`, &small{})
	sayUnmarshal("type/nested field", `{"V":{"V":{"id":"x"}}}`, &holder[holder[small]]{})
	sayUnmarshal("type/element", `[1, "x"]`, &[]int{})
	sayUnmarshal("type/map value", `{"a":"x"}`, &map[string]int{})
	sayUnmarshal("type/root", ` "x"`, new(int))
	say("type/in a stream", func() error { return newDecoder(` "x"`).Decode(new(int)) })
	say("unknown field", func() error {
		dec := newDecoder(`{"x":1}`)
		dec.DisallowUnknownFields()
		return dec.Decode(&small{})
	})
	say("unsupported type", func() error { _, err := jsonx.Marshal(func() {}); return err })
	say("unsupported value", func() error { _, err := jsonx.Marshal(math.NaN()); return err })
	say("cycle", func() error { _, err := jsonx.Marshal(cyclicMap()); return err })
	say("hook", func() error { _, err := jsonx.Marshal(fails{}); return err })
	say("hook output", func() error { _, err := jsonx.Marshal(says("{")); return err })

	// The fields of *UnmarshalTypeError.
	typeFields := func(name, data string, v any) {
		add("type error fields/"+name, func() string {
			e, ok := errors.AsType[*jsonx.UnmarshalTypeError](jsonx.Unmarshal([]byte(data), v))
			if !ok {
				return "no *UnmarshalTypeError"
			}
			return fmt.Sprintf(
				"Value=%q Type=%v Struct=%q Field=%q",
				e.Value,
				e.Type,
				e.Struct,
				e.Field,
			)
		})
	}
	typeFields("field", `{"id":"x"}`, new(small))
	typeFields("map value", `{"k":{"id":"x"}}`, new(map[string]small))
	typeFields("map key", `{"x":1}`, new(map[int]int))
	typeFields("text map key", `{"x":1}`, new(map[textual]int))
	typeFields("slice element", `[{"id":1},{"id":"x"}]`, new([]small))
	typeFields("nested pointer", `{"V":{"id":[]}}`, new(holder[*small]))
	typeFields("embedded", `{"id":"x"}`, new(embeds))
	typeFields("number too large", `{"id":99999999999999999999}`, new(small))
	typeFields("fraction", `{"id":1.5}`, new(small))
	typeFields("text from number", `{"V":1}`, new(holder[textual]))
	typeFields("text from object", `{"V":{}}`, new(holder[*textual]))
	typeFields("interface with methods", `{"V":1}`, new(holder[error]))
	typeFields("number from string", `{"V":"x"}`, new(holder[jsonx.Number]))
	typeFields("base64", `{"V":"?"}`, new(holder[[]byte]))
	typeFields("string option", `{"Int":"x"}`, new(quoted))
	typeFields("string option unquoted", `{"Int":1}`, new(quoted))
	typeFields("unsupported type", `{"V":1}`, new(holder[chan int]))
	add("type error fields/has Err", func() string {
		_, ok := reflect.TypeFor[jsonx.UnmarshalTypeError]().FieldByName("Err")
		return fmt.Sprint(ok)
	})

	// errors.Is and errors.As.
	add("marshaler error/unwraps", func() string {
		_, err := jsonx.Marshal(holder[fails]{})
		e, ok := errors.AsType[*jsonx.MarshalerError](err)
		return fmt.Sprint(errors.Is(err, errHook), ok, ok && e.Type == reflect.TypeFor[fails]())
	})
	add("marshaler error/invalid output is a SyntaxError inside", func() string {
		_, err := jsonx.Marshal(says("{"))
		_, ok := errors.AsType[*jsonx.SyntaxError](err)
		return fmt.Sprint(ok)
	})
	add("unmarshaler error/is returned as it is", func() string {
		return fmt.Sprint(jsonx.Unmarshal([]byte(`{"V":1}`), &holder[fails]{}) == errHook)
	})
	add("unsupported type/Type", func() string {
		_, err := jsonx.Marshal(holder[chan int]{})
		e, ok := errors.AsType[*jsonx.UnsupportedTypeError](err)
		return fmt.Sprint(ok && e.Type == reflect.TypeFor[chan int]())
	})
	add("unsupported value/Value", func() string {
		_, err := jsonx.Marshal([]any{math.Inf(1)})
		e, ok := errors.AsType[*jsonx.UnsupportedValueError](err)
		return fmt.Sprint(
			ok && e.Value.IsValid() && e.Value.Float() == math.Inf(1),
			ok && e.Str == "+Inf",
		)
	})
	add("invalid unmarshal/Type", func() string {
		e, ok := errors.AsType[*jsonx.InvalidUnmarshalError](jsonx.Unmarshal([]byte(`1`), 1))
		return fmt.Sprint(ok && e.Type == reflect.TypeFor[int]())
	})
	return probes
}
