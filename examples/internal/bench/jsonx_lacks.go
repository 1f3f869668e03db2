package main

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

type brokenMarshaler struct{}

func (brokenMarshaler) MarshalJSON() ([]byte, error) { return []byte(`{"a":`), nil }

// A trait is something that a replacement of encoding/json has to do as that does.
type trait struct {
	name  string
	holds func() bool
}

func (e engine) lacksInWriting() []string {
	fails := func(v any) bool {
		_, err := e.marshal(v)
		return err != nil
	}
	writes := func(v any) string {
		out, err := e.marshal(v)
		if err != nil {
			return "error: " + err.Error()
		}
		return string(out)
	}
	return missing([]trait{
		{"refusal of what a MarshalJSON makes wrong", func() bool { return fails(brokenMarshaler{}) }},
		{"refusal of an invalid Number", func() bool { return fails(json.Number("x")) }},
		{"omitzero", func() bool {
			return writes(struct {
				T time.Time `json:"t,omitzero"`
			}{}) == "{}"
		}},
		{"escaped HTML", func() bool { return writes("<") == `"\u003c"` }},
		{"sorted maps", func() bool {
			return writes(map[string]int{"d": 1, "b": 2, "a": 3, "c": 4, "e": 5}) == `{"a":3,"b":2,"c":4,"d":1,"e":5}`
		}},
		{"valid UTF-8", func() bool { return utf8.ValidString(writes("\xff")) }},
	})
}

func (e engine) lacksInReading() []string {
	refuses := func(document string) bool {
		var v any
		return e.unmarshal([]byte(document), &v) != nil
	}
	return missing([]trait{
		{"refusal of data after the value", func() bool { return refuses(`{"a":1}}`) }},
		{"refusal of control characters in strings", func() bool { return refuses("\"a\nb\"") }},
		{"refusal of integers that are too large", func() bool {
			var i int64
			return e.unmarshal([]byte("21000000000000000000"), &i) != nil
		}},
		{"refusal of numbers such as 01 and 1.", func() bool { return refuses("01") && refuses("[1.]") }},
		{"valid UTF-8", func() bool {
			var s string
			return e.unmarshal([]byte("\"\xff\""), &s) != nil || utf8.ValidString(s)
		}},
	})
}

func missing(traits []trait) (names []string) {
	for _, t := range traits {
		if !try(t.holds) {
			names = append(names, t.name)
		}
	}
	return names
}

// try is false after a panic, too.
func try(holds func() bool) (held bool) {
	defer func() {
		if r := recover(); r != nil {
			held = false
		}
	}()
	return holds()
}
