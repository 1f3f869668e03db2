// Package jsonx is encoding/json behind one import, with the engine chosen by a build tag:
//
//   - no tag: encoding/json, at no cost over importing it directly. From Go 1.27 on that is built
//     on encoding/json/v2.
//   - -tags jsonv2: the same, but a build in which encoding/json is not built on encoding/json/v2
//     fails. It needs Go 1.27, or Go 1.26 with GOEXPERIMENT=jsonv2.
//   - -tags jsoniter: github.com/json-iterator/go in its standard-compatible configuration,
//     corrected where that is not compatible. gin has the same tag, and with it takes json-iterator
//     uncorrected; see "With gin".
//
// A program that compiles with one engine compiles with all, and they behave alike: the functions
// and methods are those of encoding/json, [RawMessage], [Number], [Marshaler], [Unmarshaler] and
// the error types are encoding/json's own, and [Encoder] and [Decoder] are types of this package.
// What differs is listed below.
//
// The functions are safe for concurrent use and keep no reference to the data they are given. An
// [Encoder] or a [Decoder] is for one goroutine at a time.
//
// # Which engine
//
// None, at first: leave the tag out. json-iterator was archived in December 2025 and gets no more
// fixes; choose it for parity with an existing service that is built with it, not for a new one.
// Speed is no reason either: much of the work is encoding/json's under that tag too. Measure your
// own documents; the commands are in bench_test.go.
//
// What you decode into matters more than the engine:
//
//   - Structs, where you know the document. All engines are at their best here. A field you leave
//     out of the struct is skipped without an allocation, so declare what you need and no more.
//   - Unstructured data of which you need much: decode into any or map[string]any. Every value is
//     an allocation, in all engines. Integers beyond 2^53 lose digits unless the Decoder has
//     UseNumber.
//   - Unstructured data of which you need little: not a map. A struct with the few members you
//     want, or map[string]RawMessage for the level you look at, keeps the rest as bytes; of a
//     document of 1 MB that is a few thousand allocations at most instead of 130,000.
//   - Large documents: a Decoder, with Token up to the array and then More and Decode element by
//     element, holds one element at a time; values one after another, as in a log, need Decode
//     alone. Unmarshal is for what you have in memory anyway, and MarshalIndent for people.
//
// # With json-iterator
//
// json-iterator gets a call only if it treats every part of the type as encoding/json does. It
// decodes structs, slices, maps with string keys, any, strings, numbers and bools; it encodes the
// same without maps and any. All else goes to encoding/json as a whole:
//
//   - types that contain a type with methods like MarshalJSON (time.Time is one), a Number or
//     RawMessage, or a struct with tag options other than omitempty
//   - destinations that are not empty, and Decoders with UseNumber or DisallowUnknownFields
//   - documents with \u escapes, or with letters that Unicode folds to ASCII
//   - everything json-iterator fails at
//
// It finds a field of a small struct by a 64-bit hash of the member's name alone, so a name made
// for the purpose can be taken for a field's. Output is always valid JSON, and errors are
// encoding/json's. What a program registers with json-iterator globally
// (jsoniter.RegisterExtension, RegisterTypeEncoder and their like) holds for jsonx too, and voids
// this.
//
// # With gin
//
// gin encodes and binds with json-iterator as it is under the tag jsoniter: {"n":5000000000} into
// an int32 is 705032704, and no error. In gin 1.12 its engine is a variable of its package
// codec/json. Set it once, before anything is served, and gin has the engine of jsonx in every
// build:
//
//	import ginjson "github.com/gin-gonic/gin/codec/json"
//
//	type ginCodec struct{}
//
//	func (ginCodec) Marshal(v any) ([]byte, error)          { return jsonx.Marshal(v) }
//	func (ginCodec) Unmarshal(data []byte, v any) error     { return jsonx.Unmarshal(data, v) }
//	func (ginCodec) NewEncoder(w io.Writer) ginjson.Encoder { return jsonx.NewEncoder(w) }
//	func (ginCodec) NewDecoder(r io.Reader) ginjson.Decoder { return jsonx.NewDecoder(r) }
//	func (ginCodec) MarshalIndent(v any, prefix, indent string) ([]byte, error) {
//		return jsonx.MarshalIndent(v, prefix, indent)
//	}
//
//	func main() {
//		ginjson.API = ginCodec{}
//
// # Where builds differ
//
// Each row gives what encoding/json of Go 1.26 does, then the builds that differ and what they
// do. v2 is encoding/json/v2 of Go 1.27 with or without the tag jsonv2, v2exp that of Go 1.26
// with GOEXPERIMENT=jsonv2, jsoniter the tag of that name, jsoniter/v1 that tag where
// encoding/json is not v2; where it is, json-iterator leaves the cases of v2 to it. The list is
// complete in this sense: encoding/json's own tests of Go 1.26 and of Go 1.27, run against every
// build, fail nowhere else.
//
//   - Writing a string that is not valid UTF-8: each bad byte is written as the escape \ufffd.
//     v2, v2exp: each bad byte is written as the character U+FFFD itself.
//   - Maps whose key type is an interface, a float or bool: encoding gives *UnsupportedTypeError,
//     decoding gives *UnmarshalTypeError. v2, v2exp: interface and float keys work, and bool keys
//     give another error: *UnsupportedValueError in encoding.
//   - Decoding the member name "null" into a map with integer keys: gives *UnmarshalTypeError.
//     v2, v2exp: stores the value under key 0.
//   - A struct tag whose name contains a quote or another character that is not allowed: the name
//     in the tag is ignored, and the name of the Go field is used. v2, v2exp: the part of the
//     name before that character is used.
//   - Encoding a cycle of pointers and interfaces alone: gives *UnsupportedValueError. v2, v2exp:
//     the stack overflows, which ends the process.
//   - MarshalerError.Type, when the method has a value receiver: is the type itself. v2, v2exp:
//     is the pointer type.
//   - The error for an invalid Number, a map key whose MarshalText fails, bad base64, a value
//     that does not fit the tag option ",string", or an embedded pointer to an unexported struct:
//     has no type of its own. v2, v2exp: is a *MarshalerError in encoding and an
//     *UnmarshalTypeError in decoding.
//   - Decoding input that is not JSON into a destination that is not a usable pointer: gives
//     *SyntaxError. v2, v2exp: gives *InvalidUnmarshalError.
//   - What a slice or map holds after UnmarshalJSON of an element failed: a slice holds that
//     element as its last, a map does not hold it. v2, v2exp: a slice holds one more element, a
//     map holds that element.
//   - Decoding a number into an interface, when the number is too large for float64: stores nil
//     and gives an error. v2, v2exp: stores 0 (on Go 1.26 the largest float64) and gives an
//     error.
//   - Decode, called where the next token is a member name: returns *SyntaxError. v2, v2exp:
//     decodes the name.
//   - What errors say, that is their texts and the values of Offset, Field, Struct, Type and
//     Value: are those of the first implementation. v2, v2exp: are those of the second
//     implementation.
//   - UnmarshalTypeError.Offset from a Decoder: counts from the end of the value before.
//     jsoniter/v1: counts from the start of the value.
//   - Encoding a map whose key is a string type with a MarshalText method: the key is written as
//     the string it is. v2exp: MarshalText is called.
//   - Decoding a number that is too large for its float field: leaves the field alone and gives
//     an error. v2exp: stores the largest number and gives an error.
//   - Decoding null into a function: does nothing. v2exp: gives *UnmarshalTypeError.
//   - UnsupportedValueError.Value: is the value. v2exp: is the zero reflect.Value.
//   - Decode, when the reader fails in the middle of a value: returns the error of the reader.
//     v2exp: returns a *SyntaxError that only quotes the text of that error.
//   - Token and Decode, when the input ends inside an array or object: return io.EOF. v2, v2exp:
//     return *SyntaxError if More was called before.
//   - More, when the input ends inside an array or object (golang/go#81033): returns false. v2,
//     v2exp: returns true, however often it is called.
//   - InputOffset after an error of Token: is past the whitespace and the separator that were
//     read. v2, v2exp: is the end of the token before, or past the whitespace if More was called.
//   - Buffered after More, and after an error of Token or Decode: begins after the whitespace and
//     the separator that were read. v2, v2exp: begins with them.
//   - UnmarshalTypeError.Err: does not exist, so a program that uses it does not compile. v2,
//     v2exp: is the cause, which errors.Is and errors.As find.
//   - Decoding into an any that points to itself (golang/go#31740): replaces the pointer by the
//     value. v2, v2exp: the stack overflows, which ends the process.
//   - Decoding the string "null" into a string field with the tag option ",string": does nothing,
//     as null does. v2exp: gives *UnmarshalTypeError.
//   - Decoding into a complex number, a channel or a function: skips the value and gives
//     *UnmarshalTypeError. v2exp: gives *SyntaxError or panics, and decodes nothing more.
package jsonx
