package request

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/jsonx"
)

const maxDepth = 100

// strict refuses what encoding/json lets pass and another reader of the same document understands
// differently: {"policy":1,"policy":2} is 2 to one and 1 to the next, {"Policy":1} a policy to Go
// alone, and 1e999 no number at all where numbers are float64. data is JSON that v could be decoded
// from.
func strict(data []byte, v any) error {
	w := walker{jsonx.NewDecoder(bytes.NewReader(data))}
	w.dec.UseNumber()
	return w.value(reflect.TypeOf(v), "the body", 1)
}

type walker struct{ dec *jsonx.Decoder }

// value reads one value, which goes into a t, or nil if nobody knows what it goes into.
func (w walker) value(t reflect.Type, path string, depth int) error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch token := token.(type) {
	case jsonx.Number:
		if _, err := strconv.ParseFloat(token.String(), 64); err != nil {
			return response.ErrBadRequest.Detail("%s: %.40s is beyond the numbers that JSON readers agree on", path, token)
		}
	case jsonx.Delim:
		if depth > maxDepth {
			return response.ErrBadRequest.Detail("the body is nested more than %d deep", maxDepth)
		}
		if token == '[' {
			err = w.array(t, path, depth)
		} else {
			err = w.object(t, path, depth)
		}
		if err != nil {
			return err
		}
		_, err = w.dec.Token() // the closing one
		return err
	}
	return nil
}

func (w walker) array(t reflect.Type, path string, depth int) error {
	var element reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		element = t.Elem()
	}
	for i := 0; w.dec.More(); i++ {
		if err := w.value(element, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w walker) object(t reflect.Type, path string, depth int) error {
	fields := fieldsOf(t)
	seen := make(map[string]bool)
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // a member's name always is one
		if seen[name] {
			return response.ErrBadRequest.Detail("%s: %.40q comes twice", path, name)
		}
		seen[name] = true
		field, known := fields[name]
		for right := range fields {
			if !known && strings.EqualFold(right, name) {
				return response.ErrBadRequest.Detail("%s: %.40q must be written %q", path, name, right)
			}
		}
		if err := w.value(field, name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf returns the members of an object that goes into a t. Some that it names may be those of
// an object inside, which the decoder has refused by then.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	if t == nil || t.Kind() != reflect.Struct {
		return fields
	}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if f.IsExported() && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}
