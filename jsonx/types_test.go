package jsonx_test

//lint:file-ignore SA5008 What becomes of odd tags is what the probes ask.

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gracekit/gracekit/jsonx"
)

// The types of the probes.

type (
	small struct {
		ID     int      `json:"id"`
		Name   string   `json:"name"`
		Email  string   `json:"email,omitempty"`
		Active bool     `json:"active"`
		Score  float64  `json:"score"`
		Tags   []string `json:"tags"`
	}

	kinds struct {
		Bool    bool
		Int     int
		Int8    int8
		Int16   int16
		Int32   int32
		Int64   int64
		Uint    uint
		Uint8   uint8
		Uint16  uint16
		Uint32  uint32
		Uint64  uint64
		Uintptr uintptr
		Float32 float32
		Float64 float64
		String  string
		Bytes   []byte
		Any     any
	}

	omitEmpty struct {
		Bool   bool           `json:",omitempty"`
		Int    int            `json:",omitempty"`
		Float  float64        `json:",omitempty"`
		String string         `json:",omitempty"`
		Slice  []int          `json:",omitempty"`
		Map    map[string]int `json:",omitempty"`
		Ptr    *int           `json:",omitempty"`
		Any    any            `json:",omitempty"`
		Struct struct{}       `json:",omitempty"`
		Array  [2]int         `json:",omitempty"`
		Empty  [0]int         `json:",omitempty"`
		Time   time.Time      `json:",omitempty"`
		Number jsonx.Number   `json:",omitempty"`
	}

	omitZero struct {
		Int    int        `json:",omitzero"`
		String string     `json:",omitzero"`
		Slice  []int      `json:",omitzero"`
		Struct struct{}   `json:",omitzero"`
		Array  [2]int     `json:",omitzero"`
		Time   time.Time  `json:",omitzero"`
		Zeroer evenIsZero `json:",omitzero"`
	}

	quoted struct {
		Bool   bool         `json:",string"`
		Int    int          `json:",string"`
		Uint   uint8        `json:",string"`
		Float  float64      `json:",string"`
		String string       `json:",string"`
		Ptr    *int         `json:",string"`
		Slice  []int        `json:",string"` // no effect
		Number jsonx.Number `json:",string"`
	}

	names struct {
		Plain    int
		Renamed  int `json:"other"`
		Dash     int `json:"-"`
		DashName int `json:"-,"`
		HTML     int `json:"<a&b>"`
		Unicode  int `json:"größe"`
		Invalid  int `json:"a\"b"`
		Empty    int `json:","`
		hidden   int
	}

	base struct {
		ID   int    `json:"id"`
		Note string `json:"note,omitempty"`
	}
	Exported struct{ Shared, Own int }
	embeds   struct {
		base
		Exported
		Extra string
	}
	embedsPointer struct {
		*Exported
		Extra string
	}
	shadows struct {
		Exported
		Shared string
	}
	left      struct{ Same, L int }
	right     struct{ Same, R int }
	ambiguous struct {
		left
		right
	}
	tagWins struct {
		left
		Right2
	}
	Right2 struct {
		Same2 int `json:"Same"`
	}
	embedsNamed struct {
		Exported `json:"exp"`
	}
	Text          string
	embedsScalar  struct{ Text }
	embedsMethods struct {
		Shout
		Own int
	}
	embedsTwoMethods struct {
		fails
		panics
		Own int
	}
	embedsPointerMethods struct {
		byPointer
		Own int
	}
	embedsAny struct{ fmt.Stringer }

	list struct {
		Value int
		Next  *list `json:",omitempty"`
	}
	tree map[string]tree

	foldable struct {
		Kelvin int
		Secret string
		ID     string
	}
	foldableMany struct {
		Kelvin, Secret, ID, A, B, C, D, E, F, G, H int
	}
	caseTwins struct {
		Name string `json:"name"`
		NAME string `json:"NAME"`
	}

	capitalsFirst struct {
		NAME string `json:"NAME"`
		Name string `json:"name"`
	}

	capitalTwins  struct{ Name, NAME string }
	otherAlphabet struct {
		ä int
		B int
	}

	holder[T any] struct{ V T }
)

// evenIsZero has its own idea of zero.
type evenIsZero int

func (e evenIsZero) IsZero() bool { return e%2 == 0 }

// Shout has a MarshalJSON on the value.
type Shout string

func (s Shout) MarshalJSON() ([]byte, error) { return jsonx.Marshal(strings.ToUpper(string(s))) }
func (s *Shout) UnmarshalJSON(data []byte) error {
	*s = Shout("json:" + string(data))
	return nil
}

// byPointer has a MarshalJSON on the pointer, which counts only where the value has an address.
type byPointer struct{ N int }

func (p *byPointer) MarshalJSON() ([]byte, error) { return []byte(`"by pointer"`), nil }

// textual has text methods on the value, so it may be a map key.
type textual struct{ A, B int }

func (x textual) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d<%d", x.A, x.B), nil }
func (x *textual) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d<%d", &x.A, &x.B)
	return err
}

// textByPointer has its MarshalText on the pointer.
type textByPointer struct{ N int }

func (x *textByPointer) MarshalText() ([]byte, error) { return []byte("text by pointer"), nil }

// textString is a string with text methods.
type textString string

func (s textString) MarshalText() ([]byte, error) { return []byte("text:" + s), nil }
func (s *textString) UnmarshalText(text []byte) error {
	*s = textString("text:" + string(text))
	return nil
}

// textInt is an integer with text methods.
type textInt int

func (i textInt) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "#%d", int(i)), nil }
func (i *textInt) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "#%d", (*int)(i))
	return err
}

// says returns the text itself from MarshalJSON, whatever it is.
type says string

func (s says) MarshalJSON() ([]byte, error) { return []byte(s), nil }

// saysText returns the bytes themselves from MarshalText, whatever they are.
type saysText string

func (s saysText) MarshalText() ([]byte, error) { return []byte(s), nil }

var errHook = errors.New("hook failed")

// fails fails at everything.
type fails struct{ N int }

func (fails) MarshalJSON() ([]byte, error)  { return nil, errHook }
func (*fails) UnmarshalJSON(_ []byte) error { return errHook }

// failsText fails at text.
type failsText struct{ N int }

func (failsText) MarshalText() ([]byte, error)  { return nil, errHook }
func (*failsText) UnmarshalText(_ []byte) error { return errHook }

// counts counts its calls.
type counts struct{ calls *int }

func (c counts) MarshalJSON() ([]byte, error)     { *c.calls++; return []byte("1"), nil }
func (c *counts) UnmarshalJSON(data []byte) error { *c.calls++; return nil }

// globalCounts counts the calls of all its values, because a destination that holds a pointer is
// not blank.
type globalCounts struct{}

var globalCalls int

func (globalCounts) UnmarshalJSON([]byte) error { globalCalls++; return nil }

// panics panics at everything.
type panics struct{ N int }

func (panics) MarshalJSON() ([]byte, error)  { panic("hook panicked") }
func (*panics) UnmarshalJSON(_ []byte) error { panic("hook panicked") }

// nilSafe has a MarshalJSON that would work on nil.
type nilSafe struct{}

func (p *nilSafe) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"nil":%v}`, p == nil), nil
}

// namedByte makes a slice that is not []byte.
type namedByte byte

// textByte is a byte with a method, so that a slice of it is not base64.
type textByte byte

func (b textByte) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "b%d", byte(b)), nil }
