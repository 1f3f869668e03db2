// Package jsonx is encoding/json behind one import, with the engine chosen by a build tag:
//
//   - no tag: encoding/json, at no cost over importing it directly. From Go 1.27 on that is built on encoding/json/v2.
//   - -tags jsonv2: the same, but a build in which encoding/json is not built on encoding/json/v2 fails.
//     It needs Go 1.27, or Go 1.26 with GOEXPERIMENT=jsonv2.
//   - -tags jsoniter: github.com/json-iterator/go in its standard-compatible configuration,
//     corrected where that is not compatible. It is the tag that gin uses, so both switch together.
//
// A program that compiles with one engine compiles with all, and they behave alike: the functions and methods are
// those of encoding/json, [RawMessage], [Number], [Marshaler], [Unmarshaler] and the error types are encoding/json's own,
// and [Encoder] and [Decoder] are types of this package. What differs is listed below.
//
// # Which engine
//
// None, at first: leave the tag away. json-iterator was archived in December 2025 and gets no more fixes; choose it for
// parity with an existing service that is built with it, not for a new one. Speed is not the reason either: with the
// checks that keep it to the contract, json-iterator decodes structs in roughly two thirds of the time of encoding/json
// and takes more than half as long again to encode maps, while encoding/json itself got twice as fast at decoding
// with Go 1.27. Measure your own documents; the commands are in bench_test.go.
//
// What you decode into matters more than the engine:
//
//   - Structs, where you know the document. All engines are at their best here. A field you leave out of the struct
//     is skipped without an allocation, so declare what you need and no more.
//   - Unstructured data of which you need much: decode into any or map[string]any. Every value is an allocation,
//     in all engines. Integers beyond 2^53 lose digits unless the Decoder has UseNumber.
//   - Unstructured data of which you need little: not a map. A struct with the few members you want, or
//     map[string]RawMessage for the level you look at, keeps the rest as bytes; of a document of 1 MB that is a
//     few thousand allocations at most instead of 130,000.
//   - Large documents: a Decoder, with Token up to the array and then More and Decode element by element,
//     holds one element at a time; values one after another, as in a log, need Decode alone. Unmarshal is for
//     what you have in memory anyway, and MarshalIndent for people.
//
// # With json-iterator
//
// json-iterator gets the types that it handles as encoding/json does; encoding/json does the others, those parts of
// a value that have methods like MarshalJSON or tag options other than omitempty, destinations that are not
// empty, documents with \u escapes or with letters that Unicode folds to ASCII, and everything json-iterator fails at.
// It finds a field of a small struct by a 64-bit hash of the member's name alone, so that a name made for the purpose can be
// taken for a field's. Output is always valid JSON, a value that contains itself is an error (but for one case below), and errors are encoding/json's.
// What a program registers with json-iterator globally (jsoniter.RegisterExtension, RegisterTypeEncoder and their like)
// holds for jsonx too, and voids this.
//
// # Where builds differ
//
// From encoding/json of Go 1.26, that is. v2 is encoding/json/v2 of Go 1.27 with or without the tag jsonv2, v2exp that of
// Go 1.26 with GOEXPERIMENT=jsonv2, jsoniter the tag of that name, jsoniter/v1 that tag where encoding/json is not v2;
// where it is, json-iterator leaves the cases of v2 to it.
//
//   - Text that is not UTF-8, when it is written: each bad byte becomes the escape \ufffd. v2, v2exp: the
//     character U+FFFD itself.
//   - Maps with keys of an interface, float or bool type: *UnsupportedTypeError, *UnmarshalTypeError. v2,
//     v2exp: interface and float keys work, bool keys are another error.
//   - The member name "null" for a map with integer keys: *UnmarshalTypeError. v2, v2exp: key 0.
//   - A struct tag whose name has a quote or another character that is not allowed: the name in the tag is
//     ignored. v2, v2exp: the name ends before that character.
//   - Pointers and interfaces that form a circle with no array, map or struct in it: *UnsupportedValueError.
//     v2, v2exp: stack overflow, which ends the process.
//   - MarshalerError.Type for a method on the value: the type. v2, v2exp: the pointer type.
//   - An invalid Number, a MarshalText of a map key that fails, bad base64, misused ",string", an embedded
//     pointer to an unexported struct: an error of no particular type. v2, v2exp: *MarshalerError,
//     *UnmarshalTypeError.
//   - Input that is not JSON for a destination that is not a pointer: *SyntaxError. v2, v2exp:
//     *InvalidUnmarshalError.
//   - A slice or map, when UnmarshalJSON of an element fails: ends before the next element of a slice, before
//     that one of a map. v2, v2exp: has one element more.
//   - A number out of range for the float64 in an interface: nil. v2, v2exp: 0 (Go 1.26: the largest number).
//   - Token, when the input ends inside an array: io.EOF. v2, v2exp: *SyntaxError.
//   - Decode, where Token would return a member name: *SyntaxError. v2, v2exp: the name.
//   - What errors say: texts, offsets, Field and Struct: those of the first implementation. v2, v2exp: those of
//     the second.
//   - UnmarshalTypeError.Offset in a stream: counted from the end of the value before. jsoniter/v1: counted
//     from the start of the value.
//   - A string type with MarshalText as a map key: the string. v2exp: MarshalText.
//   - A number out of range for a float field: the field stays. v2exp: the largest number.
//   - null for a function: nothing. v2exp: *UnmarshalTypeError.
//   - UnsupportedValueError.Value: the value. v2exp: no value.
//   - An error of the reader inside a value: itself. v2exp: its text in a *SyntaxError.
//   - Methods like MarshalJSON and UnmarshalJSON, in a call that returns an error: are called once for a value.
//     jsoniter: may be called a second time.
package jsonx
