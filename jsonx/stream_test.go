package jsonx_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing/iotest"

	"github.com/gracekit/gracekit/jsonx"
)

func newDecoder(data string) *jsonx.Decoder { return jsonx.NewDecoder(strings.NewReader(data)) }

// decodeAll describes the values of a stream up to the first error that repeats.
func decodeAll[T any](dec *jsonx.Decoder) string {
	var all []string
	for {
		var v T
		err := dec.Decode(&v)
		all = append(
			all,
			fmt.Sprintf(
				"%s at %d",
				outcome(dump(reflect.ValueOf(&v).Elem()), err),
				dec.InputOffset(),
			),
		)
		if n := len(all); err == io.EOF || n > 1 && all[n-1] == all[n-2] || n > 9 {
			return strings.Join(all, "; ")
		}
	}
}

// tokens describes the tokens of a stream up to the first error.
func tokens(dec *jsonx.Decoder) string {
	var all []string
	for {
		more := dec.More()
		tok, err := dec.Token()
		if err != nil {
			return strings.Join(append(all, describe(err)), " ")
		}
		all = append(all, fmt.Sprintf("%T(%v)%d", tok, tok, dec.InputOffset()))
		if more {
			all[len(all)-1] += "+"
		}
	}
}

// limitedWriter fails once n bytes were written.
type limitedWriter struct {
	bytes.Buffer
	n int
}

var errFull = errors.New("disk full")

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.Len()+len(p) > w.n {
		return 0, errFull
	}
	return w.Buffer.Write(p)
}

// writeCounter counts calls of Write.
type writeCounter int

func (w *writeCounter) Write(p []byte) (int, error) { *w++; return len(p), nil }

// A step is what a decoder has done and where it stands then.
type step struct{ result, more, offset, buffered string }

// steps uses a decoder step by step, T for Token and D for Decode, with M after a call of More each
// time, until it has failed twice.
func steps(data, program string) (all []step) {
	dec := newDecoder(data)
	for errs := 0; errs < 2; {
		var s step
		var err error
		if program[0] == 'M' {
			s.more = fmt.Sprint(dec.More())
		}
		if method := program[len(program)-1]; method == 'T' || len(all) == 0 && program == "MD" {
			var tok jsonx.Token
			tok, err = dec.Token()
			s.result = outcome(fmt.Sprint(tok), err)
		} else {
			var v any
			err = dec.Decode(&v)
			s.result = outcome(fmt.Sprint(v), err)
		}
		if err != nil {
			errs++
		}
		rest, _ := io.ReadAll(dec.Buffered())
		s.offset, s.buffered = fmt.Sprint(dec.InputOffset()), fmt.Sprintf("%q", rest)
		all = append(all, s)
	}
	return all
}

// stepProbes look at one aspect of the steps each, so that a build may differ in one of them alone.
func stepProbes() (probes []probe) {
	aspects := []struct {
		name string
		of   func(step) string
	}{
		{"result", func(s step) string { return s.result }},
		{"more", func(s step) string { return s.more }},
		{"offset", func(s step) string { return s.offset }},
		{"buffered", func(s step) string { return s.buffered }},
	}
	for _, data := range []string{
		``, `1 `, `[`, `[1`, `[1,`, `[1, 2`, `[1 2]`, `[1}`, `[[1]`, `[tru`, `["a`, `[1] x`, `[1]]`,
		`{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a" 1}`, `{"a":1]`, `{1:2}`, `{"a":{"b":[`,
	} {
		for _, program := range []string{"T", "MT", "D", "MD"} { // MD: the first one is a Token
			for _, aspect := range aspects {
				if aspect.name == "more" && program[0] != 'M' {
					continue
				}
				name := fmt.Sprintf("steps/%s/%s %s", aspect.name, program, data)
				probes = append(probes, probe{name, func() string {
					var all []string
					for _, s := range steps(data, program) {
						all = append(all, aspect.of(s))
					}
					return strings.Join(all, "; ")
				}})
			}
		}
	}
	return probes
}

func streamProbes() []probe {
	probes := stepProbes()
	add := func(name string, run func() string) {
		probes = append(probes, probe{"stream/" + name,
			run})
	}
	decode := func(name, data string) {
		add("decode/"+name, func() string { return decodeAll[any](newDecoder(data)) })
		add("decode one byte at a time/"+name, func() string {
			return decodeAll[any](jsonx.NewDecoder(iotest.OneByteReader(strings.NewReader(data))))
		})
	}
	decode("empty", "")
	decode("whitespace", " \n\t ")
	decode("one", "1")
	decode("newline at the end", "{\"a\":1}\n")
	decode("whitespace at the end", "[1] \r\n\t ")
	decode("several", `{"a":1} [2]"x"null true 3`)
	decode("lines", "{\"a\":1}\n{\"a\":2}\n")
	decode("truncated", `{"a":1} {"a":`)
	decode("truncated literal", `1 tru`)
	decode("syntax error", `1 } 2`)
	decode("syntax error inside", `[1 2] 3`)
	decode("comma between", `1, 2`)

	add(
		"decode/survives a type error",
		func() string { return decodeAll[int](newDecoder(`1 "x" 3 {"a":[]} 5`)) },
	)
	add(
		"decode/type error in a struct",
		func() string { return decodeAll[small](newDecoder(`{"id":1} {"id":"x","name":"y"} {"id":3}`)) },
	)
	add("decode/into the same value", func() string {
		dec, s := newDecoder(`{"id":1,"name":"a"} {"id":2}`), small{}
		err1, err2 := dec.Decode(&s), dec.Decode(&s)
		return outcome(dump(reflect.ValueOf(s)), errors.Join(err1, err2))
	})
	add("decode/reader error", func() string {
		return decodeAll[any](
			jsonx.NewDecoder(io.MultiReader(strings.NewReader(`1 [2`), iotest.ErrReader(errFull))),
		)
	})
	add("decode/reader error after a value", func() string {
		return decodeAll[any](
			jsonx.NewDecoder(io.MultiReader(strings.NewReader(`[1] `), iotest.ErrReader(errFull))),
		)
	})
	add("decode/large values", func() string {
		long := strings.Repeat("x", 10000)
		dec := newDecoder(strings.Repeat(`{"name":"`+long+`"} `, 3))
		n := 0
		for {
			var s small
			if err := dec.Decode(&s); err != nil {
				return fmt.Sprint(n, err)
			}
			if s.Name == long {
				n++
			}
		}
	})
	add("decode/values do not share memory", func() string {
		dec := newDecoder(`{"V":["aaaa"]} {"V":["bbbb"]}`)
		var a, b holder[jsonx.RawMessage]
		err := errors.Join(dec.Decode(&a), dec.Decode(&b))
		return outcome(string(a.V)+string(b.V), err)
	})
	add("buffered", func() string {
		dec, v := newDecoder(`{"a":1} rest of the input`), any(nil)
		err := dec.Decode(&v)
		rest, _ := io.ReadAll(dec.Buffered())
		return outcome(string(rest), err)
	})
	add("buffered/at first", func() string {
		rest, err := io.ReadAll(newDecoder(`1`).Buffered())
		return outcome(string(rest), err)
	})

	add("use number", func() string {
		dec := newDecoder(`[1, 1.50, 12345678901234567890, {"a":1e400}] 7 "1"`)
		dec.UseNumber()
		return decodeAll[any](dec)
	})
	add("use number/in a struct", func() string {
		dec := newDecoder(`{"V":{"a":1.0}}`)
		dec.UseNumber()
		return decodeAll[holder[any]](dec)
	})
	add("use number/typed fields", func() string {
		dec := newDecoder(`{"id":1,"score":1.0} {"id":1.5}`)
		dec.UseNumber()
		return decodeAll[small](dec)
	})
	add("use number/holding something", func() string {
		dec, h := newDecoder(`{"V":{"a":1.0}}`), holder[any]{&map[string]any{"b": 1}}
		dec.UseNumber()
		err := dec.Decode(&h)
		return outcome(dump(reflect.ValueOf(h)), err)
	})
	add("use number/tokens", func() string {
		dec := newDecoder(`[1.50]`)
		dec.UseNumber()
		return tokens(dec)
	})
	add("unknown fields", func() string {
		dec := newDecoder(`{"id":1} {"id":2,"x":1} {"ID":3} {"V":{"y":1}}`)
		dec.DisallowUnknownFields()
		return decodeAll[small](dec)
	})
	add("unknown fields/nested", func() string {
		dec := newDecoder(`{"V":[{"id":1},{"oops":1}]}`)
		dec.DisallowUnknownFields()
		return decodeAll[holder[[]small]](dec)
	})
	add("unknown fields/embedded", func() string {
		dec := newDecoder(`{"id":1,"Shared":2,"Extra":"x"} {"base":1}`)
		dec.DisallowUnknownFields()
		return decodeAll[embeds](dec)
	})
	add("unknown fields/in a standard part", func() string {
		dec := newDecoder(`{"V":{"Int":"1"}} {"V":{"x":1}}`)
		dec.DisallowUnknownFields()
		return decodeAll[holder[quoted]](dec)
	})
	add("unknown fields/empty struct", func() string {
		dec := newDecoder(`{} {"a":1}`)
		dec.DisallowUnknownFields()
		return decodeAll[struct{}](dec)
	})
	add("unknown fields/any and maps know all", func() string {
		dec := newDecoder(`{"V":{"a":{"b":1}}}`)
		dec.DisallowUnknownFields()
		return decodeAll[holder[any]](dec)
	})
	add("unknown fields and numbers", func() string {
		dec := newDecoder(`{"V":1.0} {"W":1.0}`)
		dec.DisallowUnknownFields()
		dec.UseNumber()
		return decodeAll[holder[any]](dec)
	})

	add(
		"tokens",
		func() string { return tokens(newDecoder(` {"a":[1, true,null],"b":{"c":"d"}} 2 `)) },
	)
	add("tokens/syntax error", func() string { return tokens(newDecoder(`{"a" 1}`)) })
	add("tokens/truncated", func() string { return tokens(newDecoder(`[1`)) })
	add("tokens/empty", func() string { return tokens(newDecoder(``)) })
	add("tokens/stray bracket", func() string { return tokens(newDecoder(`[1}`)) })
	add("tokens/elements decoded", func() string {
		dec := newDecoder(`{"items":[{"id":1},{"id":"x"},{"id":3}],"end":true}`)
		var all []string
		for range 3 {
			tok, err := dec.Token()
			all = append(all, outcome(fmt.Sprint(tok), err))
		}
		for dec.More() {
			var s small
			err := dec.Decode(&s)
			all = append(all, outcome(fmt.Sprint(s.ID), err), fmt.Sprint(dec.InputOffset()))
		}
		return strings.Join(all, "; ") + "; " + tokens(dec)
	})
	add("tokens/decode a name", func() string {
		dec := newDecoder(`{"a":1}`)
		_, err := dec.Token()
		var v any
		return outcome(fmt.Sprint(v), errors.Join(err, dec.Decode(&v)))
	})

	encode := func(name string, run func(enc *jsonx.Encoder) error) {
		add("encode/"+name, func() string {
			var buf bytes.Buffer
			err := run(jsonx.NewEncoder(&buf))
			return outcome(buf.String(), err)
		})
	}
	encode("lines", func(enc *jsonx.Encoder) error {
		return errors.Join(enc.Encode(1), enc.Encode(small{}), enc.Encode(nil))
	})
	encode("survives a bad value", func(enc *jsonx.Encoder) error {
		return errors.Join(enc.Encode([]any{1, math.NaN()}), enc.Encode("still here"))
	})
	encode("survives a failing hook", func(enc *jsonx.Encoder) error {
		return errors.Join(enc.Encode(holder[fails]{}), enc.Encode("still here"))
	})
	encode("survives invalid output", func(enc *jsonx.Encoder) error {
		return errors.Join(
			enc.Encode(holder[says]{"{"}),
			enc.Encode(says("]")),
			enc.Encode("still here"),
		)
	})
	encode("indent", func(enc *jsonx.Encoder) error {
		enc.SetIndent("> ", "\t")
		return errors.Join(
			enc.Encode(map[string]any{"a": []int{1, 2}, "b": []int{}, "c": struct{}{}}),
			enc.Encode(1),
		)
	})
	encode("indent ended", func(enc *jsonx.Encoder) error {
		enc.SetIndent("", " ")
		err := enc.Encode([]int{1})
		enc.SetIndent("", "")
		return errors.Join(err, enc.Encode([]int{1}))
	})
	encode("no HTML escapes", func(enc *jsonx.Encoder) error {
		enc.SetEscapeHTML(false)
		return errors.Join(
			enc.Encode("<&>\u2028\x01\""),
			enc.Encode(map[string]any{"<k>": says(`"<m>"`), "r": jsonx.RawMessage(`"&"`)}),
			enc.Encode(struct {
				A int `json:"<a&b>"`
			}{}),
			enc.Encode(holder[textual]{textual{1, 2}}),
			enc.Encode(holder[any]{[]any{Text("<"), "<"}}),
		)
	})
	encode("no HTML escapes, not UTF-8", func(enc *jsonx.Encoder) error {
		enc.SetEscapeHTML(false)
		return enc.Encode(map[string]string{"<": "a\xff<"})
	})
	encode("no HTML escapes, failing", func(enc *jsonx.Encoder) error {
		enc.SetEscapeHTML(false)
		return errors.Join(
			enc.Encode([]any{"<", math.NaN()}),
			enc.Encode(cyclicMap()),
			enc.Encode("<"),
		)
	})
	encode("HTML escapes again", func(enc *jsonx.Encoder) error {
		enc.SetEscapeHTML(false)
		enc.SetEscapeHTML(true)
		return enc.Encode("<")
	})
	add("encode/one write a value", func() string {
		var w writeCounter
		enc := jsonx.NewEncoder(&w)
		enc.SetIndent("", " ")
		err := errors.Join(
			enc.Encode(map[string]any{"a": strings.Repeat("x", 10000)}),
			enc.Encode(1),
		)
		return outcome(fmt.Sprint(int(w)), err)
	})
	add("encode/writer error stays", func() string {
		w := &limitedWriter{n: 5}
		enc := jsonx.NewEncoder(w)
		err := errors.Join(enc.Encode(1), enc.Encode("too long"), enc.Encode(2))
		return outcome(w.String(), err)
	})
	add("encode/short write", func() string {
		enc := jsonx.NewEncoder(shortWriter{})
		return outcome("", errors.Join(enc.Encode(1), enc.Encode(1)))
	})
	return probes
}

// shortWriter writes less than it is given and says nothing.
type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) - 1, nil }
