package jsonx_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gracekit/gracekit/jsonx"
)

// User is what goes over the wire. The tags are those of encoding/json.
type User struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since,omitzero"`
	Tags  []string  `json:"tags,omitempty"`
}

// As with encoding/json, under any engine: a document comes in, is looked at, and goes out.
func Example() {
	var user User
	if err := jsonx.Unmarshal([]byte(`{"name": "Ann", "since": "2026-01-31T12:00:00Z"}`),
		&user); err != nil {
		fmt.Println(err)
		return
	}
	user.Tags = append(user.Tags, "admin")

	data, err := jsonx.MarshalIndent(user, "", "  ")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(data))
	// Output:
	// {
	//   "name": "Ann",
	//   "since": "2026-01-31T12:00:00Z",
	//   "tags": [
	//     "admin"
	//   ]
	// }
}

// Fields that are empty and say so in their tags are left out.
func ExampleMarshal() {
	data, err := jsonx.Marshal(User{Name: "Ann"})
	fmt.Println(string(data), err)
	// Output: {"name":"Ann"} <nil>
}

// Errors are those of encoding/json, whatever the engine.
func ExampleUnmarshal() {
	var user struct {
		Name string `json:"name"`
		Age  int    `json:"age"`
	}
	err := jsonx.Unmarshal([]byte(`{"age": "forty", "name": "Ann"}`), &user)
	if e, ok := errors.AsType[*jsonx.UnmarshalTypeError](err); ok {
		fmt.Printf("%s: got a %s, want %v\n", e.Field, e.Value, e.Type)
	}
	fmt.Println(user.Name)
	// Output:
	// age: got a string, want int
	// Ann
}

// A large array is read element by element, so that one of them is in memory at a time.
func ExampleDecoder_Token() {
	dec := jsonx.NewDecoder(strings.NewReader(`[{"id":1,"x":[]}, {"id":2}, {"id":3}]`))
	if _, err := dec.Token(); err != nil { // the opening bracket
		fmt.Println(err)
		return
	}
	for dec.More() {
		var item struct{ ID int }
		if err := dec.Decode(&item); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(item.ID)
	}
	_, err := dec.Token() // the closing one
	fmt.Println(err)
	// Output:
	// 1
	// 2
	// 3
	// <nil>
}

// A stream of values ends with io.EOF, with or without a newline after the last.
func ExampleDecoder_Decode() {
	dec := jsonx.NewDecoder(strings.NewReader("{\"id\":1}\n{\"id\":2}\n"))
	dec.UseNumber()
	for {
		var item map[string]any
		err := dec.Decode(&item)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(item["id"])
	}
	// Output:
	// 1
	// 2
}

// Of a document of which little is needed the rest stays text.
func ExampleRawMessage() {
	var event struct {
		Kind string           `json:"kind"`
		Data jsonx.RawMessage `json:"data"`
	}
	err := jsonx.Unmarshal([]byte(`{"kind": "login", "data": {"user": "ann"}}`), &event)
	fmt.Println(event.Kind, string(event.Data), err)
	// Output: login {"user": "ann"} <nil>
}

// A value that cannot be encoded leaves nothing half written, and the Encoder usable.
func ExampleEncoder() {
	enc := jsonx.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	fmt.Println(enc.Encode(map[string]any{"a": 1, "f": func() {}}) != nil)
	fmt.Println(enc.Encode("<b>"))
	// Output:
	// true
	// "<b>"
	// <nil>
}
