//go:build jsoniter && !jsonv2

package jsonx

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// How json-iterator is kept to the contract of encoding/json
//
// json-iterator gets a call only if it does with every part of the value's type what
// encoding/json does. This file decides that, once for each type. jsoniter_codecs.go mends strings
// and floats. All other calls go to encoding/json, and so does a call at which json-iterator
// fails: only encoding/json has the right error.

// A route says what json-iterator may do with the values of a type.
type route struct{ encode, decode bool }

// routes is a cache of findRoute, which depends on nothing but the type.
var routes sync.Map // of route, by reflect.Type

func routeOf(v any) route {
	t := reflect.TypeOf(v)
	if r, ok := routes.Load(t); ok {
		return r.(route)
	}
	r := findRoute(t)
	routes.Store(t, r)
	return r
}

func findRoute(t reflect.Type) route {
	if t == nil {
		return route{}
	}
	f := routeFinder{route{encode: true, decode: true}, map[reflect.Type]bool{}}
	f.visit(t)
	return f.route
}

// A routeFinder visits all types that a type is made of and takes away what json-iterator may not
// do.
type routeFinder struct {
	route
	inside map[reflect.Type]bool // true while visiting that type or its parts, false afterwards
}

func (f *routeFinder) visit(t reflect.Type) {
	if inside, visited := f.inside[t]; visited {
		if inside {
			f.encode = false // a value can contain itself, and json-iterator would not notice
		}
		return
	}
	f.inside[t] = true
	defer func() { f.inside[t] = false }()

	if hasMethods(t) || t == reflect.TypeFor[json.Number]() {
		f.route = route{}
		return
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Float32, reflect.Float64, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Uintptr:
	case reflect.Pointer, reflect.Slice:
		f.visit(t.Elem())
	case reflect.Array:
		f.decode = false // json-iterator leaves the rest alone when the JSON array is shorter
		f.visit(t.Elem())
	case reflect.Map:
		// json-iterator sorts what it has encoded, so it is slower than encoding/json.
		f.encode = false
		if t.Key().Kind() != reflect.String {
			f.decode = false // json-iterator takes null and spaces for an integer
		}
		f.visit(t.Key())
		f.visit(t.Elem())
	case reflect.Interface:
		f.encode = false // what it holds can be of any type
	case reflect.Struct:
		f.visitFields(t, map[string]bool{})
	default: // has no JSON
		f.route = route{}
	}
}

// visitFields visits the fields of struct type t and of the structs it embeds. It allows nothing
// if some have names or tags that json-iterator does not understand as encoding/json does. It
// adds the names to seen.
func (f *routeFinder) visitFields(t reflect.Type, seen map[string]bool) {
	for field := range t.Fields() {
		tag := field.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if options != "" && options != "omitempty" {
			f.route = route{}
			return
		}
		if field.Anonymous {
			if tag != "" || field.Type.Kind() != reflect.Struct {
				f.route = route{}
				return
			}
			f.visitFields(field.Type, seen)
			continue
		}
		if !plainName(
			field.Name,
		) { // even if unexported: json-iterator looks at the first byte to tell
			f.route = route{}
			return
		}
		if !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		folded := strings.ToLower(name)
		if !plainName(name) || seen[folded] {
			f.route = route{}
			return
		}
		seen[folded] = true
		f.visit(field.Type)
	}
}

// plainName reports whether a name is what both engines make of it, in a tag and in the output.
func plainName(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("_-.:/@$", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// hasMethods reports whether t, or a pointer to t, has one of the methods with which a type makes
// its own JSON. MarshalJSONTo and UnmarshalJSONFrom are those of encoding/json/v2, whose
// interfaces not every build has.
func hasMethods(t reflect.Type) bool {
	ptr := reflect.PointerTo(t)
	_, marshalTo := ptr.MethodByName("MarshalJSONTo")
	_, unmarshalFrom := ptr.MethodByName("UnmarshalJSONFrom")
	return marshalTo || unmarshalFrom ||
		ptr.Implements(reflect.TypeFor[json.Marshaler]()) ||
		ptr.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		ptr.Implements(reflect.TypeFor[encoding.TextMarshaler]()) ||
		ptr.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
