package jsonx_test

import (
	"reflect"
	"sync"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

// TestConcurrentFirstUse has many goroutines meet types that no call has seen before, each a new
// one.
func TestConcurrentFirstUse(t *testing.T) {
	types := []reflect.Type{
		reflect.TypeFor[struct{ A, B int }](),
		reflect.TypeFor[struct{ V struct{ C Shout } }](),
	}
	for i := range 20 {
		types = append(
			types,
			reflect.StructOf(
				[]reflect.StructField{{Name: "F" + string(rune('a'+i)), Type: types[i]}},
			),
		)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, typ := range types {
				v := reflect.New(typ)
				data, err := jsonx.Marshal(v.Interface())
				if err != nil {
					t.Errorf("Marshal of %v: %v", typ, err)
				}
				if err := jsonx.Unmarshal(data, v.Interface()); err != nil {
					t.Errorf("Unmarshal of %s into %v: %v", data, typ, err)
				}
			}
		})
	}
	wg.Wait()
}
