package jsonx

import "io"

// An Encoder writes JSON values to a stream, one a line. Make one with [NewEncoder].
// It is not safe for concurrent use.
type Encoder struct{ engine streamEncoder }

// NewEncoder returns an Encoder that writes to w. It does not close w.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{newEncoder(w)} }

// Encode writes the JSON encoding of v and a newline, in one Write. If v has no JSON encoding
// nothing is written, the error is that of [Marshal], and the Encoder stays usable; an error of
// the writer is returned by every later call too, since the stream may have half a value in it.
func (e *Encoder) Encode(v any) error { return e.engine.Encode(v) }

// SetIndent makes later values indented as [Indent] does it; two empty strings, the default, end
// that.
func (e *Encoder) SetIndent(prefix, indent string) { e.engine.SetIndent(prefix, indent) }

// SetEscapeHTML says whether <, > and & inside strings are escaped. The default is true.
func (e *Encoder) SetEscapeHTML(on bool) { e.engine.SetEscapeHTML(on) }
