//go:build jsoniter && !jsonv2

package jsonx

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"

	jsoniter "github.com/json-iterator/go"
)

// The configurations of json-iterator. Each is jsoniter.ConfigCompatibleWithStandardLibrary, except that
// what EscapeHTML and ValidateJsonRawMessage do is done, and done as encoding/json does it, by the extension.
// They are made on first use and, but for the caches inside them, never change.
var (
	escapingEncoder = sync.OnceValue(func() jsoniter.API { return encoderAPI(true) })
	verbatimEncoder = sync.OnceValue(func() jsoniter.API { return encoderAPI(false) })

	plainDecoder        = sync.OnceValue(func() jsoniter.API { return decoderAPI(decodeOptions{}) })
	numberDecoder       = sync.OnceValue(func() jsoniter.API { return decoderAPI(decodeOptions{useNumber: true}) })
	strictDecoder       = sync.OnceValue(func() jsoniter.API { return decoderAPI(decodeOptions{disallowUnknownFields: true}) })
	strictNumberDecoder = sync.OnceValue(func() jsoniter.API { return decoderAPI(decodeOptions{true, true}) })
)

func iterEncoder(escapeHTML bool) jsoniter.API {
	if escapeHTML {
		return escapingEncoder()
	}
	return verbatimEncoder()
}

func iterDecoder(opts decodeOptions) jsoniter.API {
	switch opts {
	case decodeOptions{useNumber: true}:
		return numberDecoder()
	case decodeOptions{disallowUnknownFields: true}:
		return strictDecoder()
	case decodeOptions{true, true}:
		return strictNumberDecoder()
	}
	return plainDecoder()
}

func encoderAPI(escapeHTML bool) jsoniter.API {
	api := jsoniter.Config{SortMapKeys: true}.Froze()
	register(api, jsoniter.API.EncoderOf, extensionOptions{escapeHTML: escapeHTML})
	return api
}

func decoderAPI(opts decodeOptions) jsoniter.API {
	api := jsoniter.Config{
		UseNumber:             opts.useNumber,
		DisallowUnknownFields: opts.disallowUnknownFields,
	}.Froze()
	register(api, jsoniter.API.EncoderOf, extensionOptions{decode: opts})
	return api
}

type extensionOptions struct {
	escapeHTML bool
	decode     decodeOptions
}

// extension chooses for each type who encodes and decodes it. T is always reflect2.Type, which occurs in the
// signatures of jsoniter.Extension but not in json-iterator's own module: register infers it from one of
// those signatures, so that this module need not require reflect2 in a version of its own.
type extension[T reflectType] struct {
	jsoniter.DummyExtension
	extensionOptions
}

type reflectType interface{ Type1() reflect.Type }

func register[T reflectType](api jsoniter.API, _ func(jsoniter.API, T) jsoniter.ValEncoder, opts extensionOptions) {
	var e any = &extension[T]{extensionOptions: opts}
	api.RegisterExtension(e.(jsoniter.Extension))
}

// CreateEncoder returns nil for the types that json-iterator encodes as encoding/json does.
func (x *extension[T]) CreateEncoder(typ T) jsoniter.ValEncoder {
	t := typ.Type1()
	switch {
	case !hasJSON(t):
		return noEncoder{}
	case t == reflect.TypeFor[string]():
		return stringEncoder{x.escapeHTML}
	case t == reflect.TypeFor[float64]():
		return floatEncoder[float64]{}
	case t == reflect.TypeFor[float32]():
		return floatEncoder[float32]{}
	case dependsOnAddress(t):
		return stdEncoder{t, x.escapeHTML, true}
	case !marshalsAlike(t):
		return stdEncoder{t, x.escapeHTML, false}
	}
	return nil
}

// DecorateEncoder counts how deep interface values are nested, the only way left to a value that contains itself.
func (x *extension[T]) DecorateEncoder(typ T, enc jsoniter.ValEncoder) jsoniter.ValEncoder {
	if typ.Type1().Kind() == reflect.Interface {
		return interfaceEncoder{enc}
	}
	return enc
}

// CreateDecoder returns nil for the types that json-iterator decodes as encoding/json does.
func (x *extension[T]) CreateDecoder(typ T) jsoniter.ValDecoder {
	t := typ.Type1()
	switch {
	case t == reflect.TypeFor[string]():
		return stringDecoder{}
	case t == reflect.TypeFor[float32]():
		return float32Decoder{}
	case !unmarshalsAlike(t):
		return stdDecoder{t, x.decode}
	}
	return nil
}

// errStandard ends an encoding that encoding/json must do again from the start. Nobody sees it.
var errStandard = errors.New("jsonx: left to encoding/json")

// stdEncoder has encoding/json encode values of type t.
type stdEncoder struct {
	t          reflect.Type
	escapeHTML bool
	byValue    bool // as a value that has no address, like everything an interface holds
}

func (e stdEncoder) Encode(ptr unsafe.Pointer, stream *jsoniter.Stream) {
	v := reflect.NewAt(e.t, ptr)
	if e.byValue {
		v = v.Elem()
	}
	data, err := stdMarshal(v.Interface(), e.escapeHTML)
	if err != nil {
		stream.Error = errStandard
		return
	}
	stream.Write(data)
}

// IsEmpty is what omitempty means in encoding/json.
func (e stdEncoder) IsEmpty(ptr unsafe.Pointer) bool {
	v := reflect.NewAt(e.t, ptr).Elem()
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Float32, reflect.Float64:
		return v.Float() == 0 // -0 too
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// noEncoder is for the types that have no JSON. It does not touch the pointer, which for a channel or a function
// is the value itself.
type noEncoder struct{}

func (noEncoder) Encode(_ unsafe.Pointer, stream *jsoniter.Stream) { stream.Error = errStandard }

func (noEncoder) IsEmpty(unsafe.Pointer) bool { return false }

// interfaceEncoder counts in the stream's Attachment how many interface values it is inside of;
// json-iterator hands the Attachment on to the streams it makes for maps.
type interfaceEncoder struct{ jsoniter.ValEncoder }

// depth is one byte, because one byte becomes an interface value without an allocation.
type depth uint8

func (e interfaceEncoder) Encode(ptr unsafe.Pointer, stream *jsoniter.Stream) {
	d, _ := stream.Attachment.(depth)
	if d == math.MaxUint8 {
		stream.Error = errStandard // encoding/json tells a cycle from mere depth
		return
	}
	stream.Attachment = d + 1
	e.ValEncoder.Encode(ptr, stream)
	stream.Attachment = d
}

type stringEncoder struct{ escapeHTML bool }

func (e stringEncoder) IsEmpty(ptr unsafe.Pointer) bool { return *(*string)(ptr) == "" }

func (e stringEncoder) Encode(ptr unsafe.Pointer, stream *jsoniter.Stream) {
	s := *(*string)(ptr)
	if e.verbatim(s) {
		buf := append(stream.Buffer(), '"')
		buf = append(buf, s...)
		stream.SetBuffer(append(buf, '"'))
		return
	}
	if !utf8.ValidString(s) {
		stream.Error = errStandard // a map key must be sorted by its bytes, which json-iterator would not see
		return
	}
	data, err := stdMarshal(s, e.escapeHTML)
	if err != nil {
		stream.Error = errStandard
		return
	}
	stream.Write(data)
}

// verbatim reports whether s needs no escape.
func (e stringEncoder) verbatim(s string) bool {
	ascii := true
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == '"', c == '\\':
			return false
		case c == '<', c == '>', c == '&':
			if e.escapeHTML {
				return false
			}
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.ValidString(s) && !strings.ContainsAny(s, "\u2028\u2029")
}

// floatEncoder writes the numbers whose form is a matter of taste, 1e-07 or 1e-7, as encoding/json does.
type floatEncoder[F float32 | float64] struct{}

func (floatEncoder[F]) IsEmpty(ptr unsafe.Pointer) bool { return *(*F)(ptr) == 0 }

func (floatEncoder[F]) Encode(ptr unsafe.Pointer, stream *jsoniter.Stream) {
	f := *(*F)(ptr)
	abs := math.Abs(float64(f))
	if abs == 0 || 1e-5 <= abs && abs < 1e20 {
		bits := 8 * int(unsafe.Sizeof(f))
		stream.SetBuffer(strconv.AppendFloat(stream.Buffer(), float64(f), 'f', -1, bits))
		return
	}
	data, err := json.Marshal(f)
	if err != nil {
		stream.Error = errStandard
		return
	}
	stream.Write(data)
}

// stdDecoder has encoding/json decode values of type t.
type stdDecoder struct {
	t    reflect.Type
	opts decodeOptions
}

func (d stdDecoder) Decode(ptr unsafe.Pointer, iter *jsoniter.Iterator) {
	data := iter.SkipAndReturnBytes()
	if err := stdUnmarshal(data, reflect.NewAt(d.t, ptr).Interface(), d.opts); err != nil {
		iter.ReportError("encoding/json", err.Error())
	}
}

// stringDecoder leaves the string alone when it reads null.
type stringDecoder struct{}

func (stringDecoder) Decode(ptr unsafe.Pointer, iter *jsoniter.Iterator) {
	if !iter.ReadNil() {
		*(*string)(ptr) = iter.ReadString()
	}
}

// float32Decoder rounds once; json-iterator rounds to a float64 and then to a float32.
type float32Decoder struct{}

func (float32Decoder) Decode(ptr unsafe.Pointer, iter *jsoniter.Iterator) {
	if iter.ReadNil() {
		return
	}
	f, err := strconv.ParseFloat(string(iter.ReadNumber()), 32)
	if err != nil {
		iter.ReportError("float32", err.Error())
		return
	}
	*(*float32)(ptr) = float32(f)
}
