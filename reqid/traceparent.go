package reqid

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalidTraceParent is returned when a traceparent is not one that W3C Trace Context lets a
// receiver use.
var ErrInvalidTraceParent = errors.New("reqid: invalid traceparent")

// A TraceParent is the content of a traceparent header. Its values are comparable; the zero value
// is no trace.
type TraceParent struct {
	traceID  string
	parentID string
	flags    byte
}

const (
	flagSampled = 0x01
	flagRandom  = 0x02

	// 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
	traceParentLength = 55
)

// ParseTraceParent parses a traceparent header by the rules of [W3C Trace Context] (level 2, which
// includes level 1). Version 00 has exactly 55 characters. A higher version is read as far as 00
// goes and may continue after a dash; of its flags only "sampled" is read. Hexadecimal digits are
// in lower case, the two IDs are not zero, and ff is no version. Unknown flags are ignored, not
// refused.
//
// The error Is [ErrInvalidTraceParent] and says what was wrong.
//
// [W3C Trace Context]: https://www.w3.org/TR/trace-context-2/#versioning-of-traceparent
func ParseTraceParent(s string) (TraceParent, error) {
	t, problem := parseTraceParent(s)
	if problem != "" {
		return TraceParent{}, fmt.Errorf("%w: %s: %s", ErrInvalidTraceParent, quote(s), problem)
	}
	return t, nil
}

// parseTraceParent names the problem instead of making an error, since most callers drop it.
func parseTraceParent(s string) (t TraceParent, problem string) {
	if len(s) < traceParentLength {
		return t, "want at least 55 characters"
	}
	version, traceID, parentID, flags := s[0:2], s[3:35], s[36:52], s[53:55]
	switch {
	case s[2] != '-' || s[35] != '-' || s[52] != '-':
		return t, "want version-traceid-parentid-flags of 2, 32, 16 and 2 digits"
	case !isLowerHex(version):
		return t, "the version is not 2 lower-case hexadecimal digits"
	case version == "ff":
		return t, "version ff is forbidden"
	case version == "00" && len(s) != traceParentLength:
		return t, "version 00 has exactly 55 characters"
	case len(s) > traceParentLength && s[traceParentLength] != '-':
		return t, "want the end or a dash after the flags"
	case !isLowerHex(traceID):
		return t, "the trace-id is not 32 lower-case hexadecimal digits"
	case isZero(traceID):
		return t, "the trace-id is zero"
	case !isLowerHex(parentID):
		return t, "the parent-id is not 16 lower-case hexadecimal digits"
	case isZero(parentID):
		return t, "the parent-id is zero"
	case !isLowerHex(flags):
		return t, "the flags are not 2 lower-case hexadecimal digits"
	}
	known := byte(flagSampled | flagRandom)
	if version != "00" {
		known = flagSampled
	}
	return TraceParent{traceID: traceID, parentID: parentID, flags: hexDigit(flags[1]) & known}, ""
}

// TraceID returns the 32 hexadecimal digits that all parts of the trace share, or "" for the zero
// value.
func (t TraceParent) TraceID() string { return t.traceID }

// ParentID returns the 16 hexadecimal digits that name the caller's span, or "" for the zero value.
func (t TraceParent) ParentID() string { return t.parentID }

// Sampled reports whether the caller may have recorded the trace.
func (t TraceParent) Sampled() bool { return t.flags&flagSampled != 0 }

// Random reports whether the caller says that at least the last 7 bytes of the trace-id are random.
func (t TraceParent) Random() bool { return t.flags&flagRandom != 0 }

// String returns t as a traceparent of version 00 with the flags that version knows, which is what
// a service sends that has read a higher version. It is "" for the zero value.
func (t TraceParent) String() string {
	if t.traceID == "" {
		return ""
	}
	return "00-" + t.traceID + "-" + t.parentID + "-0" + string('0'+rune(t.flags))
}

// MarshalText returns String, for JSON and logs. It never fails.
func (t TraceParent) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || '9' < c) && (c < 'a' || 'f' < c) {
			return false
		}
	}
	return true
}

func isZero(s string) bool { return strings.Trim(s, "0") == "" }

func hexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
