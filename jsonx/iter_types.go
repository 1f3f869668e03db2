//go:build jsoniter && !jsonv2

package jsonx

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// The functions of this file look at one type, and not at what it is made of, unless they say so:
// json-iterator asks again for each part.

// marshalsAlike reports whether json-iterator encodes values of type t as encoding/json does.
func marshalsAlike(t reflect.Type) bool {
	return !hasMarshalMethod(t) && !containsItself(t) && builtAlike(t) && (t.Kind() != reflect.Map || plainKey(t.Key()))
}

// unmarshalsAlike reports whether json-iterator decodes values of type t, into a zero value, as encoding/json does.
func unmarshalsAlike(t reflect.Type) bool {
	if hasUnmarshalMethod(t) || hasUnmarshalMethod(reflect.PointerTo(t)) {
		return false
	}
	switch t.Kind() {
	case reflect.Array: // a shorter JSON array zeroes the rest
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	case reflect.Map: // json-iterator takes null and spaces for an integer key
		return t.Key().Kind() == reflect.String && plainKey(t.Key())
	}
	return builtAlike(t)
}

// hasJSON reports whether values of type t have JSON at all.
func hasJSON(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return hasMarshalMethod(t)
	}
	return true
}

// builtAlike reports whether the engines agree on what a type of this form is in JSON.
func builtAlike(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String:
		return t != reflect.TypeFor[json.Number]()
	case reflect.Slice: // of bytes is base64, unless the bytes have methods
		return t.Elem().Kind() != reflect.Uint8 || t.Elem() == reflect.TypeFor[byte]()
	case reflect.Struct:
		return plainFields(t, map[string]bool{})
	}
	return true
}

// plainKey reports whether a map key is its text or its digits in both engines.
func plainKey(t reflect.Type) bool {
	if hasMarshalMethod(t) || hasUnmarshalMethod(t) || hasUnmarshalMethod(reflect.PointerTo(t)) {
		return false
	}
	switch t.Kind() {
	case reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	}
	return false
}

// plainFields reports whether the fields of struct type t, with those of the structs it embeds, have names
// and tags that both engines understand alike and no two names that differ in case only.
// It adds the names to seen.
func plainFields(t reflect.Type, seen map[string]bool) bool {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if options != "" && options != "omitempty" {
			return false
		}
		if f.Anonymous {
			if tag != "" || f.Type.Kind() != reflect.Struct || !plainFields(f.Type, seen) {
				return false
			}
			continue
		}
		if !plainName(f.Name) { // even if unexported: json-iterator looks at the first byte to tell
			return false
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		folded := strings.ToLower(name)
		if !plainName(name) || seen[folded] {
			return false
		}
		seen[folded] = true
	}
	return true
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

// The names MarshalJSONTo and UnmarshalJSONFrom are those of encoding/json/v2, whose interfaces
// not every build has.

func hasMarshalMethod(t reflect.Type) bool {
	if t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return true
	}
	_, ok := t.MethodByName("MarshalJSONTo")
	return ok
}

func hasUnmarshalMethod(t reflect.Type) bool {
	if t.Implements(reflect.TypeFor[json.Unmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	_, ok := t.MethodByName("UnmarshalJSONFrom")
	return ok
}

// dependsOnAddress reports whether a part of t has its marshal methods on the pointer: encoding/json calls
// those only where the part has an address, so that it makes a difference whether the whole was passed
// as a value or by a pointer. What lies behind an interface is another whole.
func dependsOnAddress(t reflect.Type) bool {
	return anyPart(t, func(part reflect.Type) bool {
		return !hasMarshalMethod(part) && hasMarshalMethod(reflect.PointerTo(part))
	})
}

// containsItself reports whether values of type t can contain values of type t, and so perhaps themselves,
// without an interface in between.
func containsItself(t reflect.Type) bool {
	again := false // the first visit is t itself
	return anyPart(t, func(part reflect.Type) bool {
		found := again && part == t
		again = true
		return found
	})
}

// anyPart reports whether is holds for t or for a type that t is made of. It does not look into types
// that have a marshal method.
func anyPart(t reflect.Type, is func(reflect.Type) bool) bool {
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type) bool
	visit = func(t reflect.Type) bool {
		if is(t) {
			return true
		}
		if seen[t] || hasMarshalMethod(t) {
			return false
		}
		seen[t] = true
		switch t.Kind() {
		case reflect.Array, reflect.Map, reflect.Pointer, reflect.Slice:
			return visit(t.Elem())
		case reflect.Struct:
			for f := range t.Fields() {
				if visit(f.Type) {
					return true
				}
			}
		}
		return false
	}
	return visit(t)
}
