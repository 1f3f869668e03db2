package objectmeta

import (
	"errors"
	"fmt"

	"github.com/gracekit/gracekit/internal/oneline"
)

// A Codec turns database keys of one kind into instance IDs and back, without looking anything up.
// *[Hasher], *[Hashids] and what [NewBridge] returns are Codecs.
//
// A Codec must be safe for concurrent use, and must never change: instance IDs are not stored
// anywhere, so Decode must always return for one what it returns today.
type Codec interface {
	// Kind is the part of the instance ID before the last "-": "secret".
	Kind() string
	// AppendEncode appends the instance ID of id to dst and returns the extended slice.
	AppendEncode(dst []byte, id uint64) []byte
	// Decode is the inverse of AppendEncode. It accepts only what AppendEncode gives; anything else
	// is an *IDError. It never panics, however strange or long s is.
	Decode(s string) (uint64, error)
}

// ErrInvalidID is what every *[IDError] Is. It is returned when a string is not the instance ID of
// any object of the kind that was asked for. An HTTP service answers it as it answers an ID that it
// does not know: 404 (or 400).
var ErrInvalidID = errors.New("objectmeta: invalid instance ID")

// IDError says which string was refused and which kind had been expected. It Is [ErrInvalidID].
type IDError struct {
	Kind  string // the kind of the codec that refused
	Value string // the string as it came, in full, however long
}

// Error quotes the value and cuts a long one short, so that it can go to a log or to a client as
// it is.
func (e *IDError) Error() string {
	return fmt.Sprintf("objectmeta: %s is not an instance ID of kind %s", quote(e.Value), e.Kind)
}

// Is reports whether target is [ErrInvalidID].
func (e *IDError) Is(target error) bool { return target == ErrInvalidID }

// maxKindLength is that of a DNS label.
const maxKindLength = 63

// validateKind holds kinds to the form of a DNS label that starts with a letter (RFC 1035,
// section 2.3.1). The codes of a Hasher contain no "-", so the last one of an instance ID ends
// its kind, also where kinds contain some.
func validateKind(kind string) error {
	valid := len(kind) >= 1 && len(kind) <= maxKindLength &&
		isLower(kind[0]) && kind[len(kind)-1] != '-'
	for i := 0; i < len(kind) && valid; i++ {
		valid = isLower(kind[i]) || isDigit(kind[i]) || kind[i] == '-'
	}
	if !valid {
		return fmt.Errorf("objectmeta: kind %s: must be 1 to %d of a-z, 0-9 and -, "+
			"start with a letter and not end with -", quote(kind), maxKindLength)
	}
	return nil
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// quote makes a value of unknown origin fit for an error text.
func quote(s string) string { return oneline.Quote(s, 64) }
