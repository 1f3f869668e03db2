package jsonx_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

// A probe is one small thing a program does with jsonx and a description of what came of it: the JSON,
// the Go value, the error with its type and fields, or the panic. testdata/probes.tsv has what
// encoding/json of Go 1.26 makes of each; testdata/divergences.txt names where a build may differ, and how.
type probe struct {
	name string
	run  func() string
}

func allProbes() []probe {
	return slices.Concat(marshalProbes(), hookProbes(), unmarshalProbes(), errorProbes(), streamProbes(), textProbes())
}

// marshal is the probe of Marshal(v).
func marshal(name string, v any) probe {
	return probe{"marshal/" + name, func() string { return output(jsonx.Marshal(v)) }}
}

// unmarshal is the probe of Unmarshal into a new T.
func unmarshal[T any](name, data string) probe {
	return unmarshalInto(name, data, func() *T { return new(T) })
}

// unmarshalInto is the probe of Unmarshal into a T that dst prepares.
func unmarshalInto[T any](name, data string, dst func() *T) probe {
	return probe{"unmarshal/" + name, func() string {
		v := dst()
		err := jsonx.Unmarshal([]byte(data), v)
		return outcome(dump(reflect.ValueOf(v).Elem()), err)
	}}
}

// output describes a result of Marshal or MarshalIndent.
func output(data []byte, err error) string {
	if err != nil {
		return outcome(string(data), err)
	}
	if !json.Valid(data) {
		return "NOT JSON: " + string(data)
	}
	return string(data)
}

// outcome describes a result and the error that came with it.
func outcome(result string, err error) string {
	if err == nil {
		return result
	}
	if result == "" {
		return describe(err)
	}
	return result + " and " + describe(err)
}

// describe gives the type of an error, and the types inside it that callers look for. What it says is left out:
// encoding/json does not promise texts and offsets, and changed them with its second implementation.
func describe(err error) string {
	s := fmt.Sprintf("%T", err)
	if e, ok := errors.AsType[*jsonx.SyntaxError](err); ok && e != err {
		s += " with *json.SyntaxError"
	}
	if e, ok := errors.AsType[*jsonx.UnmarshalTypeError](err); ok {
		s += fmt.Sprintf(" for %v", e.Type)
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, errFull, errHook} {
		if errors.Is(err, known) {
			s += fmt.Sprintf(" (%v)", known)
		}
	}
	return s
}

// detail gives all of an error.
func detail(err error) string {
	s := fmt.Sprintf("%T %q", err, err)
	if e, ok := errors.AsType[*jsonx.SyntaxError](err); ok {
		s += fmt.Sprintf(" Offset=%d", e.Offset)
	}
	if e, ok := errors.AsType[*jsonx.UnmarshalTypeError](err); ok {
		s += fmt.Sprintf(" Value=%q Struct=%q Field=%q Offset=%d", e.Value, e.Struct, e.Field, e.Offset)
	}
	return s
}

// describePanic runs f and describes how it ended.
func describePanic(f func() string) (s string) {
	defer func() {
		if r := recover(); r != nil {
			s = fmt.Sprintf("panic: %v", r)
		}
	}()
	return f()
}

// dump writes a value in Go's notation, with what pointers point to.
func dump(v reflect.Value) string {
	if !v.IsValid() {
		return "nil"
	}
	list := func(n int, item func(i int) string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = item(i)
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return "&" + dump(v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return v.Elem().Type().String() + "(" + dump(v.Elem()) + ")"
	case reflect.Struct:
		if s, ok := v.Interface().(fmt.Stringer); ok {
			return s.String()
		}
		return list(v.NumField(), func(i int) string {
			f := v.Type().Field(i)
			if !f.IsExported() {
				return f.Name
			}
			return f.Name + ":" + dump(v.Field(i))
		})
	case reflect.Slice:
		if v.IsNil() {
			return "nil"
		}
		fallthrough
	case reflect.Array:
		return list(v.Len(), func(i int) string { return dump(v.Index(i)) })
	case reflect.Map:
		if v.IsNil() {
			return "nil"
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(dump(a), dump(b)) })
		return list(len(keys), func(i int) string { return dump(keys[i]) + ":" + dump(v.MapIndex(keys[i])) })
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	}
	return fmt.Sprint(v)
}

// line makes an outcome fit into one line of a table.
func line(s string) string {
	s = strconv.Quote(s)
	return strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
}

// TestContract compares what this build does with what encoding/json of Go 1.26 does.
func TestContract(t *testing.T) {
	got := map[string]string{}
	var names []string
	add := func(name string, run func() string) {
		name = line(name)
		if _, ok := got[name]; ok {
			t.Fatalf("two probes named %q", name)
		}
		names = append(names, name)
		got[name] = line(describePanic(run))
	}
	probes, documents := allProbes(), readCorpus(t)
	for _, p := range probes {
		add(p.name, p.run)
	}
	for _, doc := range documents {
		add("document/"+doc.name, func() string { return doc.verdict(t) })
	}
	for _, p := range probes {
		if strings.HasPrefix(got[line(p.name)], "NOT JSON") {
			t.Errorf("%s: %s", p.name, got[line(p.name)])
		}
	}
	if *update {
		writeContract(t, names, got)
	}
	checkContract(t, names, got)
}

// verdict is what the ways into jsonx make of one document: they agree on whether it is JSON.
func (c document) verdict(t *testing.T) string {
	var v, streamed any
	err := jsonx.Unmarshal(c.data, &v)
	if valid := jsonx.Valid(c.data); valid != (err == nil) {
		if _, ok := errors.AsType[*jsonx.SyntaxError](err); ok || valid == false {
			t.Errorf("%s: Valid = %v, but Unmarshal: %v", c.name, valid, err)
		}
	}
	dec := jsonx.NewDecoder(bytes.NewReader(c.data))
	streamErr := dec.Decode(&streamed)
	if err == nil && (streamErr != nil || !reflect.DeepEqual(v, streamed)) {
		t.Errorf("%s: Decode = %v, %v, want what Unmarshal gives: %v", c.name, streamed, streamErr, v)
	}
	var raw jsonx.RawMessage
	if rawErr := jsonx.Unmarshal(c.data, &raw); (rawErr == nil) != jsonx.Valid(c.data) {
		t.Errorf("%s: Unmarshal into a RawMessage = %v", c.name, rawErr)
	}
	if err != nil {
		return "reject " + describe(err)
	}
	value := dump(reflect.ValueOf(&v).Elem())
	if len(value) > 200 {
		value = fmt.Sprintf("%s… (%d bytes)", value[:200], len(value))
	}
	return "accept " + value
}
