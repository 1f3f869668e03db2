package jsonx_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

// generator writes JSON that mostly fits a type, which a fuzzer that knows bytes only seldom
// does: member names of its fields in any case, twice, escaped; nulls, numbers at the limits,
// strings with everything in them.
type generator struct{ *rand.Rand }

// fitting writes a value for a type, and now and then another one.
func (g generator) fitting(t reflect.Type, depth int) string {
	if g.IntN(12) == 0 || depth < 0 {
		return g.value(depth)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.fitting(t.Elem(), depth)
	case reflect.Bool:
		return pick(g, "true", "false")
	case reflect.String:
		return g.text()
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return g.value(0)
		}
		return "[" + g.list(depth, func() string { return g.fitting(t.Elem(), depth-1) }) + "]"
	case reflect.Map:
		return "{" + g.list(depth, func() string {
			return g.name(pick(g, "a", "k", "1", "-7", "300", "null", " 1",
				"1<2")) + ":" + g.fitting(t.Elem(), depth-1)
		}) + "}"
	case reflect.Struct:
		return "{" + g.list(depth+4, func() string {
			fields := reflect.VisibleFields(t)
			if len(fields) == 0 {
				return `"x":1`
			}
			f := pick(g, fields...)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				name = f.Name
			}
			value := g.fitting(f.Type, depth-1)
			if options == "string" && g.IntN(4) > 0 {
				value = strconv.Quote(value)
			}
			return g.name(name) + g.space() + ":" + g.space() + value
		}) + "}"
	case reflect.Interface:
		return g.value(depth)
	}
	return g.number()
}

func pick[T any](g generator, choices ...T) T { return choices[g.IntN(len(choices))] }

func (g generator) value(depth int) string {
	kind := g.IntN(10)
	if depth <= 0 {
		kind = g.IntN(6)
	}
	switch kind {
	case 0:
		return pick(g, "null", "true", "false")
	case 1, 2:
		return g.number()
	case 3, 4, 5:
		return g.text()
	case 6, 7:
		return "[" + g.list(depth, func() string { return g.value(depth - 1) }) + "]"
	default:
		return "{" + g.list(depth, func() string {
			return g.name("x") + g.space() + ":" + g.space() +
				g.value(depth-1)
		}) + "}"
	}
}

func (g generator) list(depth int, item func() string) string {
	items := make([]string, g.IntN(depth+3))
	for i := range items {
		items[i] = g.space() + item() + g.space()
	}
	return strings.Join(items, ",")
}

func (g generator) space() string { return pick(g, "", "", "", "", " ", "\n", "\r\n\t") }

func (g generator) number() string {
	switch g.IntN(6) {
	case 0:
		return strconv.Itoa(g.IntN(600) - 300)
	case 1:
		return strconv.FormatInt(int64(g.Uint64()), 10)
	case 2:
		return strconv.FormatUint(g.Uint64(), 10)
	case 3:
		f := math.Float64frombits(g.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			f = 0.5
		}
		return strconv.FormatFloat(f, pick[byte](g, 'e', 'g', 'E'), -1, 64)
	case 4:
		return strconv.FormatFloat(g.NormFloat64(), 'f', g.IntN(20), 64)
	}
	return pick(g, "0", "-0", "0.0", "1e3", "1E+2", "1e400", "-1e-400", "9223372036854775808",
		"16777217", "0.1", "1.0", "5000000000", "-5000000000", "21000000000000000000",
		"7.038531e-26", "3.5e38")
}

func (g generator) text() string {
	var b strings.Builder
	for range g.IntN(6) {
		b.WriteString(pick(g, "a", "B", "7", " ", "é", "世", "🎉", `\n`, `\"`, `\\`, `\/`, `\u0041`,
			`\ud83c\udf89`, `\ud800`, `\udc00`, `\u2028`, "\u2028", "<", "&", "\x7f", "\xff", "\xed\xa0\x80", "AAAA", "true"))
	}
	return `"` + b.String() + `"`
}

func (g generator) name(name string) string {
	switch g.IntN(12) {
	case 0:
		name = strings.ToLower(name)
	case 1:
		name = strings.ToUpper(name)
	case 2:
		name = fmt.Sprintf(`\u%04x`, name[0]) + name[1:]
	case 3:
		name = pick(g, "unknown", "\u212aelvin", "\u017fecret", "\u0130D", "", "\xff")
	}
	return `"` + name + `"`
}

// TestGenerated is the fuzz targets' comparison on generated documents, some of them broken by
// one byte.
func TestGenerated(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	g, accepted := generator{rand.New(rand.NewPCG(1, 2))}, 0
	for i := range rounds {
		for _, typ := range destinations {
			data := []byte(g.space() + g.fitting(typ, 3) + g.space())
			if i%16 == 0 {
				data[g.IntN(len(data))] = byte(g.Uint32())
			}
			got, want := reflect.New(typ), reflect.New(typ)
			if json.Unmarshal(data, reflect.New(typ).Interface()) == nil {
				accepted++
			}
			for range 2 { // the second time into what is there
				compare(t, typ, jsonx.Unmarshal(data, got.Interface()), json.Unmarshal(data,
					want.Interface()), got, want)
			}
			gotJSON, gotErr := jsonx.Marshal(got.Interface())
			wantJSON, wantErr := json.Marshal(want.Interface())
			if string(gotJSON) != string(wantJSON) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Errorf("Marshal of %v: got %s, %v\nwant %s, %v", typ, gotJSON, gotErr, wantJSON,
					wantErr)
			}
			if t.Failed() {
				t.Fatalf("the document for %v was %s", typ, data)
			}
		}
	}
	if all := rounds * len(destinations); accepted < all/3 {
		t.Errorf("%d of %d documents fit, too few to compare values", accepted, all)
	}
}
