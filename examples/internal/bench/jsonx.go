package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/buger/jsonparser"
	"github.com/bytedance/sonic"
	gojson "github.com/goccy/go-json"
	jsoniter "github.com/json-iterator/go"
	"github.com/tidwall/gjson"

	"github.com/gracekit/gracekit/jsonx"
)

// jsonEngine is that of jsonx: -tags jsoniter or jsonv2 measures another one.
const jsonEngine = jsonx.Engine

type engine struct {
	name, module, note, skip string
	marshal                  func(any) ([]byte, error)
	unmarshal                func([]byte, any) error
	otherOutput              bool // than encoding/json's, on purpose
}

// The engines in the configurations that their documentation gives for a replacement of
// encoding/json; sonic's default, which is meant to be quicker, too.
func engines() []engine {
	compatible := jsoniter.ConfigCompatibleWithStandardLibrary
	return []engine{
		{name: "gracekit jsonx", module: gracekit, note: jsonEngine, marshal: jsonx.Marshal, unmarshal: jsonx.Unmarshal},
		{name: "encoding/json", marshal: json.Marshal, unmarshal: json.Unmarshal},
		{name: "json-iterator", module: "github.com/json-iterator/go", note: "archived", marshal: compatible.Marshal, unmarshal: compatible.Unmarshal},
		{name: "goccy/go-json", module: "github.com/goccy/go-json", marshal: gojson.Marshal, unmarshal: gojson.Unmarshal},
		{name: "sonic ConfigStd", module: "github.com/bytedance/sonic", skip: noSonic(), marshal: sonic.ConfigStd.Marshal, unmarshal: sonic.ConfigStd.Unmarshal},
		{name: "sonic ConfigDefault", module: "github.com/bytedance/sonic", skip: noSonic(), marshal: sonic.Marshal, unmarshal: sonic.Unmarshal, otherOutput: true},
	}
}

func noSonic() string {
	if sonic.APIKind == sonic.UseSonicJSON {
		return ""
	}
	return "it does not support this Go release or processor, and would be encoding/json"
}

// order is what is encoded and decoded.
type order struct {
	ID       int               `json:"id"`
	Customer string            `json:"customer"`
	Email    string            `json:"email,omitempty"`
	Paid     bool              `json:"paid"`
	Total    float64           `json:"total"`
	Tags     []string          `json:"tags"`
	Labels   map[string]string `json:"labels"`
	Note     string            `json:"note"`
}

func orders(n int) []order {
	all := make([]order, n)
	for i := range all {
		all[i] = order{
			ID: i, Customer: fmt.Sprintf("customer %d", i), Email: fmt.Sprintf("user%d@example.com", i), Paid: i%2 == 0, Total: float64(i) / 4,
			Tags: []string{"alpha", "beta"}, Labels: map[string]string{"app": "web", "tier": "front"}, Note: strings.Repeat("lorem ipsum ", 8),
		}
	}
	return all
}

func jsonScenarios(context.Context, config, io.Writer) ([]scenario, error) {
	one, hundred := orders(1)[0], orders(100)
	small, err := json.Marshal(one)
	if err != nil {
		return nil, err
	}
	large, err := json.Marshal(hundred)
	if err != nil {
		return nil, err
	}
	part, err := partScenarios()
	if err != nil {
		return nil, err
	}
	return append([]scenario{
		marshalScenario("write a struct", one, small),
		marshalScenario("write 100 structs", hundred, large),
		unmarshalScenario[order]("read a struct", small),
		unmarshalScenario[[]order]("read 100 structs", large),
		unmarshalScenario[any]("read 100 objects into any", large),
		extractScenario(large),
	}, part...), nil
}

func marshalScenario(name string, v any, want []byte) scenario {
	s := scenario{name: fmt.Sprintf("%s, %d bytes", name, len(want)), unit: nanoseconds}
	for _, e := range engines() {
		c := contestant{name: e.name, module: e.module, note: e.note, skip: e.skip, lacks: e.lacksInWriting}
		c.op = func() error { _, err := e.marshal(v); return err }
		c.check = func() error {
			got, err := e.marshal(v)
			if err != nil {
				return err
			}
			if !bytes.Equal(got, want) && !(e.otherOutput && sameJSON(got, want)) {
				return fmt.Errorf("got %.200s, want %.200s", got, want)
			}
			return nil
		}
		s.contestants = append(s.contestants, c)
	}
	return s
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func unmarshalScenario[T any](name string, data []byte) scenario {
	s := scenario{name: fmt.Sprintf("%s, %d bytes", name, len(data)), unit: nanoseconds}
	for _, e := range engines() {
		c := contestant{name: e.name, module: e.module, note: e.note, skip: e.skip, lacks: e.lacksInReading}
		c.op = func() error {
			var v T
			return e.unmarshal(data, &v)
		}
		c.check = func() error {
			var got, want T
			if err := errors.Join(e.unmarshal(data, &got), json.Unmarshal(data, &want)); err != nil {
				return err
			}
			if !reflect.DeepEqual(got, want) {
				return fmt.Errorf("got %.200v, want %.200v", got, want)
			}
			return nil
		}
		s.contestants = append(s.contestants, c)
	}
	return s
}

// extractScenario takes one member out of a large document. Engines decode into a struct that has
// nothing else; what only looks for the member reads no more than it must, and so does not see what
// is wrong with the rest.
func extractScenario(data []byte) scenario {
	const want = "customer 50"
	s := scenario{name: fmt.Sprintf("one member of %d bytes", len(data)), unit: nanoseconds}
	add := func(name, module, note, skip string, extract func([]byte) (string, error)) {
		s.contestants = append(s.contestants, contestant{
			name: name, module: module, note: note, skip: skip,
			op: func() error { _, err := extract(data); return err },
			check: func() error {
				if got, err := extract(data); err != nil || got != want {
					return fmt.Errorf("got %q, %v, want %q", got, err, want) //nolint:errorlint // it may be nil
				}
				return nil
			},
			lacks: func() []string {
				if _, err := extract(append(bytes.TrimSuffix(bytes.Clone(data), []byte("]")), "}"...)); err == nil {
					return []string{"validation"}
				}
				return nil
			},
		})
	}
	for _, e := range engines() {
		if e.otherOutput {
			continue
		}
		add(e.name, e.module, e.note, e.skip, func(data []byte) (string, error) {
			var v []struct {
				Customer string `json:"customer"`
			}
			if err := e.unmarshal(data, &v); err != nil {
				return "", err
			}
			return v[50].Customer, nil
		})
	}
	add("sonic Get", "github.com/bytedance/sonic", "", noSonic(), func(data []byte) (string, error) {
		node, err := sonic.Get(data, 50, "customer")
		if err != nil {
			return "", err
		}
		return node.String()
	})
	add("jsonparser", "github.com/buger/jsonparser", "", "", func(data []byte) (string, error) {
		return jsonparser.GetString(data, "[50]", "customer")
	})
	add("gjson", "github.com/tidwall/gjson", "", "", func(data []byte) (string, error) {
		return gjson.GetBytes(data, "50.customer").String(), nil
	})
	return s
}
