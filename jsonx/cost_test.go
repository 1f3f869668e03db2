//go:build !jsoniter

package jsonx_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

// TestNoCostOverEncodingJSON counts allocations; that there is no more time to it is in the
// benchmarks, and follows from every function being inlined.
func TestNoCostOverEncodingJSON(t *testing.T) {
	v := small{1, "Ann", "a@b", true, 0.5, []string{"x"}}
	const text = `{"id":1,"name":"Ann","tags":["x"]}`
	data := []byte(text)
	for _, c := range []struct {
		name       string
		jsonx, std func()
	}{
		{"Marshal", func() { jsonx.Marshal(v) }, func() { json.Marshal(v) }},
		{"MarshalIndent", func() { jsonx.MarshalIndent(v, "", " ") }, func() {
			json.MarshalIndent(v,
				"", " ")
		}},
		{"Unmarshal", func() { var s small; jsonx.Unmarshal(data, &s) },
			func() { var s small; json.Unmarshal(data, &s) }},
		{"Valid", func() { jsonx.Valid(data) }, func() { json.Valid(data) }},
		{"Encoder", func() { jsonx.NewEncoder(io.Discard).Encode(v) },
			func() { json.NewEncoder(io.Discard).Encode(v) }},
		{"Decoder",
			func() { var s small; jsonx.NewDecoder(strings.NewReader(text)).Decode(&s) },
			func() { var s small; json.NewDecoder(strings.NewReader(text)).Decode(&s) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, want := leastAllocs(c.jsonx), leastAllocs(c.std); got > want {
				t.Errorf("got %v allocations, encoding/json makes %v", got, want)
			}
		})
	}
}

// leastAllocs returns what a call allocates when encoding/json finds its buffers pooled. The
// average would be a matter of luck: the race detector makes a sync.Pool lose some of what it is
// given.
func leastAllocs(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 200 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}
