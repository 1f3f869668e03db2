package jsonx_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

// One table with a column for each engine:
//
//	bench='go test ./jsonx -run ^$ -bench . -count 6'
//	for tag in "" jsoniter; do $bench -tags "$tag"; done >/tmp/jsonx.bench
//	GOEXPERIMENT=jsonv2 $bench -tags jsonv2 >>/tmp/jsonx.bench # Go 1.27 needs no GOEXPERIMENT
//	go run golang.org/x/perf/cmd/benchstat@latest -col /engine -row .name,/shape /tmp/jsonx.bench
//
// On Go 1.27 the column without a tag is encoding/json on v2; GOEXPERIMENT=nojsonv2 gives the
// older one.

// record is an element of the large document; the benchmark's types take a part of its ten members.
type record struct {
	ID       int               `json:"id"`
	Name     string            `json:"name"`
	Email    string            `json:"email"`
	Address  string            `json:"address"`
	Score    float64           `json:"score"`
	Active   bool              `json:"active"`
	Tags     []string          `json:"tags"`
	Labels   map[string]string `json:"labels"`
	Position []float64         `json:"position"`
	Note     string            `json:"note"`
}

type record10 struct {
	ID int `json:"id"`
}

type record30 struct {
	ID    int     `json:"id"`
	Name  string  `json:"name"`
	Score float64 `json:"score"`
}

type record60 struct {
	ID     int      `json:"id"`
	Name   string   `json:"name"`
	Email  string   `json:"email"`
	Score  float64  `json:"score"`
	Active bool     `json:"active"`
	Tags   []string `json:"tags"`
}

func records(n int) []record {
	all := make([]record, n)
	for i := range all {
		all[i] = record{
			ID: i, Name: fmt.Sprintf("name-%d", i), Email: fmt.Sprintf("user%d@example.com", i),
			Address: "1 Long Street, Springfield, 12345 Somewhere", Score: float64(i) / 7, Active: i%2 == 0,
			Tags: []string{"alpha", "beta", "gamma"}, Labels: map[string]string{"app": "web", "tier": "front"},
			Position: []float64{51.5, -0.125}, Note: strings.Repeat("lorem ipsum ", 10),
		}
	}
	return all
}

func list100() []small {
	items := make([]small, 100)
	for i := range items {
		items[i] = small{i, fmt.Sprintf("name-%d", i), "", true, float64(i) / 3, []string{"a", "b"}}
	}
	return items
}

// engine is the short name of the engine, with the implementation beneath it.
func engine() string {
	switch jsonx.Engine {
	case "encoding/json":
		return "std-" + implementation
	case "encoding/json/v2":
		return "jsonv2"
	}
	return "jsoniter-" + implementation
}

func BenchmarkMarshal(b *testing.B) {
	for _, c := range []struct {
		name string
		v    any
	}{
		{"small", small{1, "Ann", "ann@example.com", true, 0.5, []string{"x", "y"}}},
		{"list100", list100()},
		{"map", mustUnmarshal[map[string]any](b, mustMarshal(records(1)[0]))},
		{"1MB", records(2500)},
	} {
		b.Run("shape="+c.name+"/engine="+engine(), func(b *testing.B) {
			b.SetBytes(int64(len(mustMarshal(c.v))))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jsonx.Marshal(c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	large := mustMarshal(records(2500))
	benchmarkUnmarshal[small](b, "small", mustMarshal(small{1, "Ann", "ann@example.com", true, 0.5, []string{"x", "y"}}))
	benchmarkUnmarshal[[]small](b, "list100", mustMarshal(list100()))
	benchmarkUnmarshal[map[string]any](b, "map", mustMarshal(records(1)[0]))
	benchmarkUnmarshal[[]record10](b, "1MB,10%", large)
	benchmarkUnmarshal[[]record30](b, "1MB,30%", large)
	benchmarkUnmarshal[[]record60](b, "1MB,60%", large)
	benchmarkUnmarshal[any](b, "1MB,any", large)
}

func benchmarkUnmarshal[T any](b *testing.B, shape string, data []byte) {
	b.Run("shape="+shape+"/engine="+engine(), func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var v T
			if err := jsonx.Unmarshal(data, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func mustUnmarshal[T any](tb testing.TB, data []byte) (v T) {
	if err := jsonx.Unmarshal(data, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}
