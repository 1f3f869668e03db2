package reqid

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/gracekit/gracekit/internal/oneline"
)

// maxIDLength is the length of the longest valid ID, in bytes.
const maxIDLength = 128

// ErrInvalidID is returned when a string is not a request ID: [Valid] says what is.
var ErrInvalidID = errors.New("reqid: invalid request ID")

// New returns a new ID: 32 lower-case hexadecimal digits, 128 bits of crypto/rand, never all zero.
// It is also a valid trace-id of W3C Trace Context.
func New() string {
	var id [16]byte
	for id == [16]byte{} {
		rand.Read(id[:]) // never fails; it ends the program if the system has no randomness
	}
	var text [32]byte
	hex.Encode(text[:], id[:])
	return string(text[:])
}

// Valid reports whether id has 1 to 128 bytes, all of them letters and digits of ASCII or one of .
// _ : / + = @ -, which covers UUIDs, ULIDs, base64 and the IDs of the usual proxies. None of them
// needs an escape in JSON or in a header.
func Valid(id string) bool {
	if len(id) == 0 || len(id) > maxIDLength {
		return false
	}
	// Bits instead of comparisons: whether a digit or a letter comes next cannot be predicted.
	const (
		low  = (1<<(':'+1) - 1<<'-') | 1<<'+' | 1<<'=' // - . / 0-9 : + =
		high = (1<<('Z'-63) - 1<<('A'-64)) | (1<<('z'-63) - 1<<('a'-64)) | 1<<('_'-64) | 1<<('@'-64)
	)
	allowed, all := [4]uint64{low, high}, uint64(1)
	for i := range len(id) {
		all &= allowed[id[i]>>6] >> (id[i] & 63)
	}
	return all != 0
}

// single returns the only value if it is a valid ID of at most longest bytes.
func single(values []string, longest int) (id string, ok bool) {
	if len(values) != 1 || len(values[0]) > longest || !Valid(values[0]) {
		return "", false
	}
	return values[0], true
}

func invalidID(id string, longest int) error {
	return fmt.Errorf("%w: %s: want 1 to %d of A-Z a-z 0-9 . _ : / + = @ -",
		ErrInvalidID, quote(id), longest)
}

// quote makes what a peer sent fit for an error text, whatever it was.
func quote(s string) string { return oneline.Quote(s, 40) }
