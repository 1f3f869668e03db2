package jsonx

import "io"

// A Decoder reads JSON values from a stream. Make one with [NewDecoder].
// It is not safe for concurrent use.
type Decoder struct{ engine streamDecoder }

// NewDecoder returns a Decoder that reads from r.
// It reads ahead; [Decoder.Buffered] has what it read beyond the last value. It does not close r.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{newDecoder(r)} }

// Decode reads the next JSON value into what v points to. After the last value it returns [io.EOF],
// whatever whitespace follows, and in the middle of one [io.ErrUnexpectedEOF].
// After a *[SyntaxError] or an error of the reader every later call fails;
// after a value that does not fit v, an *[UnmarshalTypeError], the next call reads the next value.
func (d *Decoder) Decode(v any) error { return d.engine.Decode(v) }

// More reports whether the current array or object, or the stream, has another element.
func (d *Decoder) More() bool { return d.engine.More() }

// Token returns the next token, or [io.EOF] after the last one. Token and Decode may be mixed
// to read the elements of a large array one by one.
func (d *Decoder) Token() (Token, error) { return d.engine.Token() }

// Buffered returns what was read beyond the last value. It is valid until the next call of Decode.
func (d *Decoder) Buffered() io.Reader { return d.engine.Buffered() }

// InputOffset returns the position in bytes after the token or value returned last.
func (d *Decoder) InputOffset() int64 { return d.engine.InputOffset() }

// UseNumber makes numbers in an interface value a [Number] instead of a float64,
// which keeps every digit. It holds for later calls of Decode and Token, and cannot be undone.
func (d *Decoder) UseNumber() { d.engine.UseNumber() }

// DisallowUnknownFields makes a member that no field of the destination struct takes an error.
// It holds for later calls of Decode, and cannot be undone.
func (d *Decoder) DisallowUnknownFields() { d.engine.DisallowUnknownFields() }
