package jsonx

import "encoding/json"

// These are encoding/json's own types under every build tag, so that a type with a
// RawMessage field, a MarshalJSON method or an errors.As on a *SyntaxError works
// with jsonx, with encoding/json and with every library that knows encoding/json.
type (
	// RawMessage is [json.RawMessage], a JSON value kept as it was written.
	RawMessage = json.RawMessage

	// Number is [json.Number], a JSON number kept as it was written. Its Int64 and Float64
	// convert it.
	Number = json.Number

	// Marshaler is [json.Marshaler], a type that makes its own JSON. Output that is not JSON is a
	// *[MarshalerError].
	Marshaler = json.Marshaler

	// Unmarshaler is [json.Unmarshaler], a type that reads its own JSON. It must copy what it
	// keeps of that.
	Unmarshaler = json.Unmarshaler

	// Token is [json.Token]: [Delim], bool, float64, [Number], string or nil.
	Token = json.Token

	// Delim is [json.Delim], one of [ ] { }.
	Delim = json.Delim
)

// The errors of every function here.
type (
	// SyntaxError is [json.SyntaxError]: the input is not JSON.
	SyntaxError = json.SyntaxError

	// UnmarshalTypeError is [json.UnmarshalTypeError]: a JSON value does not fit its Go type.
	UnmarshalTypeError = json.UnmarshalTypeError

	// InvalidUnmarshalError is [json.InvalidUnmarshalError]: the destination is not a non-nil
	// pointer.
	InvalidUnmarshalError = json.InvalidUnmarshalError

	// MarshalerError is [json.MarshalerError]: a MarshalJSON or MarshalText failed, or what it
	// returned is not JSON.
	MarshalerError = json.MarshalerError

	// UnsupportedTypeError is [json.UnsupportedTypeError]: no JSON for a channel, a function or a
	// complex number.
	UnsupportedTypeError = json.UnsupportedTypeError

	// UnsupportedValueError is [json.UnsupportedValueError]: no JSON for NaN, ±Inf or a value
	// that contains itself.
	UnsupportedValueError = json.UnsupportedValueError
)
