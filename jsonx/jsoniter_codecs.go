//go:build jsoniter && !jsonv2

package jsonx

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"

	jsoniter "github.com/json-iterator/go"
)

// iterator is json-iterator, with the codecs of this file for strings and floats wherever they
// occur. It is made on first use and, but for the caches inside it, never changes.
var iterator = sync.OnceValue(func() jsoniter.API {
	api := jsoniter.Config{}.Froze()
	registerCodecs(api, jsoniter.API.EncoderOf)
	return api
})

// codecs replaces json-iterator's own encoders and decoders of some types.
//
// T is always reflect2.Type, which occurs in the signatures of jsoniter.Extension but not in
// json-iterator's own module: registerCodecs infers it from one of those signatures, so that this
// module need not require reflect2 in a version of its own.
type codecs[T interface{ Type1() reflect.Type }] struct{ jsoniter.DummyExtension }

func registerCodecs[T interface{ Type1() reflect.Type }](
	api jsoniter.API,
	_ func(jsoniter.API, T) jsoniter.ValEncoder,
) {
	var extension any = &codecs[T]{}
	api.RegisterExtension(extension.(jsoniter.Extension))
}

// CreateEncoder returns nil for the types that json-iterator encodes as encoding/json does.
func (*codecs[T]) CreateEncoder(t T) jsoniter.ValEncoder {
	switch t.Type1() {
	case reflect.TypeFor[string]():
		return stringEncoder{}
	case reflect.TypeFor[float64]():
		return floatEncoder[float64]{}
	case reflect.TypeFor[float32]():
		return floatEncoder[float32]{}
	}
	return nil
}

// CreateDecoder returns nil for the types that json-iterator decodes as encoding/json does.
func (*codecs[T]) CreateDecoder(t T) jsoniter.ValDecoder {
	switch t.Type1() {
	case reflect.TypeFor[string]():
		return stringDecoder{}
	case reflect.TypeFor[float32]():
		return float32Decoder{}
	case reflect.TypeFor[int32]():
		return signedDecoder[int32]{}
	case reflect.TypeFor[int]():
		return signedDecoder[int]{}
	case reflect.TypeFor[uint32]():
		return unsignedDecoder[uint32]{}
	case reflect.TypeFor[uint]():
		return unsignedDecoder[uint]{}
	case reflect.TypeFor[uintptr]():
		return unsignedDecoder[uintptr]{}
	}
	return nil
}

// stringEncoder escapes what encoding/json escapes.
type stringEncoder struct{}

func (stringEncoder) IsEmpty(ptr unsafe.Pointer) bool { return *(*string)(ptr) == "" }

func (stringEncoder) Encode(ptr unsafe.Pointer, stream *jsoniter.Stream) {
	s, ascii, escape := *(*string)(ptr), true, false
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == '"', c == '\\', c == '<', c == '>', c == '&':
			escape = true
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if !ascii && (!utf8.ValidString(s) || strings.ContainsAny(s, "\u2028\u2029")) {
		writeStandard(stream, s)
		return
	}
	if escape {
		s = escaper().Replace(s)
	}
	buf := append(stream.Buffer(), '"')
	buf = append(buf, s...)
	stream.SetBuffer(append(buf, '"'))
}

// escaper replaces each ASCII character by what encoding/json makes of it.
var escaper = sync.OnceValue(func() *strings.Replacer {
	var pairs []string
	for c := range rune(utf8.RuneSelf) {
		quoted, err := json.Marshal(string(c))
		if err != nil {
			panic(err) // a string of ASCII always has JSON
		}
		if escaped := string(quoted[1 : len(quoted)-1]); escaped != string(c) {
			pairs = append(pairs, string(c), escaped)
		}
	}
	return strings.NewReplacer(pairs...)
})

// floatEncoder leaves the numbers that are written with an exponent, or near to that, to
// encoding/json: 1e-7 is 1e-07 in json-iterator.
type floatEncoder[F float32 | float64] struct{}

func (floatEncoder[F]) IsEmpty(ptr unsafe.Pointer) bool { return *(*F)(ptr) == 0 }

func (floatEncoder[F]) Encode(ptr unsafe.Pointer, stream *jsoniter.Stream) {
	f := *(*F)(ptr)
	if abs := math.Abs(float64(f)); abs != 0 && !(1e-5 <= abs && abs < 1e20) { // NaN too
		writeStandard(stream, f)
		return
	}
	bits := 8 * int(unsafe.Sizeof(f))
	stream.SetBuffer(strconv.AppendFloat(stream.Buffer(), float64(f), 'f', -1, bits))
}

func writeStandard(stream *jsoniter.Stream, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		stream.Error = err
		return
	}
	stream.Write(data)
}

// stringDecoder leaves the string alone when it reads null, where json-iterator empties it.
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

// signedDecoder and unsignedDecoder read 64 bits and compare. In 32 bits json-iterator notices
// only some numbers that are too large: 5000000000 becomes 705032704. About 64 bits see
// [longNumber].
type (
	signedDecoder[I int | int32]               struct{}
	unsignedDecoder[U uint | uint32 | uintptr] struct{}
)

func (signedDecoder[I]) Decode(ptr unsafe.Pointer, iter *jsoniter.Iterator) {
	if iter.ReadNil() {
		return
	}
	wide := iter.ReadInt64()
	if int64(I(wide)) != wide {
		iter.ReportError("integer", "overflow")
		return
	}
	*(*I)(ptr) = I(wide)
}

func (unsignedDecoder[U]) Decode(ptr unsafe.Pointer, iter *jsoniter.Iterator) {
	if iter.ReadNil() {
		return
	}
	wide := iter.ReadUint64()
	if uint64(U(wide)) != wide {
		iter.ReportError("integer", "overflow")
		return
	}
	*(*U)(ptr) = U(wide)
}
