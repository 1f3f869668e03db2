package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/buger/jsonparser"
	"github.com/bytedance/sonic"
	gojson "github.com/goccy/go-json"
	jsoniter "github.com/json-iterator/go"
	"github.com/tidwall/gjson"

	"github.com/gracekit/gracekit/jsonx"
)

// partMembers is how many members the document has of which a part is read.
const partMembers = 50

// partScenarios read 10 to 60% of a document's members, in each of the ways that libraries have
// for it. The advice to hold against it: decode into a struct if you know the document, and look
// members up one by one if you need few of them.
func partScenarios() ([]scenario, error) {
	members := map[string]string{}
	for i := range partMembers {
		members[partName(i)] = strings.Repeat("x", 20+i%10)
	}
	data, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	var all []scenario
	for percent := 10; percent <= 60; percent += 10 {
		var names []string
		for i := range partMembers * percent / 100 { // spread over the whole document
			names = append(names, partName(i*100/percent))
		}
		all = append(all, partScenario(percent, data, members, names))
	}
	return all, nil
}

func partName(i int) string { return fmt.Sprintf("Member%02d", i) }

// partScenario has each library return the values of the names, in their order.
func partScenario(percent int, data []byte, members map[string]string, names []string) scenario {
	s := scenario{
		name: fmt.Sprintf("read %d%% of the members of an object, %d bytes", percent, len(data)),
		unit: nanoseconds,
	}
	add := func(name, module, note, skip string, read func() ([]string, error)) {
		s.contestants = append(s.contestants, contestant{
			name: name, module: module, note: note, skip: skip,
			op: func() error { _, err := read(); return err },
			check: func() error {
				got, err := read()
				for i, name := range names {
					if err == nil && (len(got) != len(names) || got[i] != members[name]) {
						err = fmt.Errorf("got %.200q for %q", got, names)
					}
				}
				return err
			},
		})
	}
	typ := partStruct(names)
	intoStruct := func(unmarshal func([]byte, any) error) func() ([]string, error) {
		return func() ([]string, error) {
			v := reflect.New(typ)
			err := unmarshal(data, v.Interface())
			values := make([]string, len(names))
			for i := range values {
				values[i] = v.Elem().Field(i).String()
			}
			return values, err
		}
	}
	intoAny := func(unmarshal func([]byte, any) error) func() ([]string, error) {
		return func() ([]string, error) {
			var v any
			err := unmarshal(data, &v)
			object, _ := v.(map[string]any)
			values := make([]string, len(names))
			for i, name := range names {
				values[i], _ = object[name].(string)
			}
			return values, err
		}
	}
	add("gracekit jsonx", gracekit, "a struct", "", intoStruct(jsonx.Unmarshal))
	add("encoding/json", "", "a struct", "", intoStruct(json.Unmarshal))
	add("encoding/json into any", "", "a map", "", intoAny(json.Unmarshal))
	add("goccy/go-json", "github.com/goccy/go-json", "a struct", "", intoStruct(gojson.Unmarshal))
	add(
		"json-iterator Any",
		"github.com/json-iterator/go",
		"lookups",
		"",
		func() ([]string, error) {
			root := jsoniter.Get(data)
			values := make([]string, len(names))
			for i, name := range names {
				values[i] = root.Get(name).ToString()
			}
			return values, root.LastError()
		},
	)
	paths := make([][]string, len(names))
	for i, name := range names {
		paths[i] = []string{name}
	}
	add("jsonparser", "github.com/buger/jsonparser", "EachKey", "", func() ([]string, error) {
		values := make([]string, len(names))
		var errs error
		jsonparser.EachKey(data, func(i int, value []byte, _ jsonparser.ValueType, err error) {
			values[i], errs = string(value), errors.Join(errs, err)
		}, paths...)
		return values, errs
	})
	add("gjson", "github.com/tidwall/gjson", "GetMany", "", func() ([]string, error) {
		values := make([]string, len(names))
		for i, result := range gjson.GetManyBytes(data, names...) {
			values[i] = result.String()
		}
		return values, nil
	})
	add("sonic Get", "github.com/bytedance/sonic", "lookups", noSonic(), func() ([]string, error) {
		root, err := sonic.Get(data)
		values := make([]string, len(names))
		for i, name := range names {
			var nameErr error
			values[i], nameErr = root.Get(name).String()
			err = errors.Join(err, nameErr)
		}
		return values, err
	})
	return s
}

// partStruct is a struct with a string field for each name.
func partStruct(names []string) reflect.Type {
	fields := make([]reflect.StructField, len(names))
	for i, name := range names {
		fields[i] = reflect.StructField{Name: name, Type: reflect.TypeFor[string]()}
	}
	return reflect.StructOf(fields)
}
