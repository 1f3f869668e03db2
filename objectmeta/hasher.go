package objectmeta

import (
	"crypto/aes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
)

// Hasher is the [Codec] to use. It encrypts the database key with a secret, into a code that is
// as short as a code for that key can be. It is the format-preserving encryption FF1 of NIST SP
// 800-38G with radix 36 (digits 0-9a-z), the first 16 bytes of SHA-256(secret) as AES key, and
// the kind as tweak.
//
// The first 36^6 = 2,176,782,336 ids have codes of six characters, the next 36^7 seven, and so on
// up to 13 characters for [math.MaxUint64] ([MinLength] moves the start). Every id has one code,
// every code is that of one id.
//
// A Hasher is immutable and safe for concurrent use. Build it once with [NewHasher], not per call.
type Hasher struct {
	prefix    string // kind and "-"
	minLength int
	tiers     []tier // by length, from minLength
	rooms     sync.Pool
}

// A tier holds the ids with codes of one length.
type tier struct {
	offset uint64 // its first id
	cipher *ff1
}

const (
	radix = 36

	// The shortest length with a million codes, the fewest that SP 800-38G Rev. 1 admits: with
	// fewer, all inputs of FF1 can be tried.
	shortestHash = 4
	// The longest whose halves fit ff1.
	longestHash = 24
	// The first length at which one tier holds all of uint64: 36^13 > 2^64 > 36^12.
	fullLength = 13
)

// NewHasher returns the [Hasher] of a kind under a secret. The secret may be of any length above
// zero and is not kept; 32 random bytes are plenty, and one secret serves all kinds. Secret, kind
// and options decide every instance ID ever given: the package documentation says why they must
// never change.
//
// The kind is 1 to 63 of a-z, 0-9 and "-", starts with a letter and does not end with "-". The only
// option is [MinLength], from 4 to 24; the default is 6. Anything else is an error that names all
// that is wrong.
func NewHasher(kind string, secret []byte, opts ...Option) (*Hasher, error) {
	c := newConfig(opts)
	var errs []error
	errs = append(errs, validateKind(kind))
	if len(secret) == 0 {
		errs = append(errs, errors.New("objectmeta: NewHasher: the secret is empty"))
	}
	if c.minLength < shortestHash || c.minLength > longestHash {
		errs = append(errs, fmt.Errorf("objectmeta: NewHasher: MinLength(%d): "+
			"must be from %d to %d", c.minLength, shortestHash, longestHash))
	}
	if c.alphabetSet {
		errs = append(errs, errors.New("objectmeta: NewHasher: Alphabet is for Hashids only"))
	}
	if c.forward {
		errs = append(errs, errors.New("objectmeta: NewHasher: Forward is for Hashids only"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	key := sha256.Sum256(secret)
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil, fmt.Errorf("objectmeta: NewHasher: %w", err)
	}
	h := &Hasher{prefix: kind + "-", minLength: c.minLength}
	h.rooms.New = func() any { return new(ff1Block) }
	offset := uint64(0)
	for n := c.minLength; ; n++ {
		cipher := newFF1(block, radix, n, []byte(kind))
		h.tiers = append(h.tiers, tier{offset: offset, cipher: cipher})
		if n >= fullLength {
			return h, nil
		}
		offset += power(radix, n)
	}
}

// Kind returns the kind that NewHasher was given.
func (h *Hasher) Kind() string { return strings.TrimSuffix(h.prefix, "-") }

// Encode returns the instance ID of id: kind, "-" and code.
func (h *Hasher) Encode(id uint64) string {
	var room [maxKindLength + 1 + longestHash]byte
	return string(h.AppendEncode(room[:0], id))
}

// AppendEncode appends the instance ID of id to dst. It allocates nothing if dst has the capacity.
func (h *Hasher) AppendEncode(dst []byte, id uint64) []byte {
	i := 0
	for i+1 < len(h.tiers) && id >= h.tiers[i+1].offset {
		i++
	}
	f := h.tiers[i].cipher
	id -= h.tiers[i].offset

	room := h.rooms.Get().(*ff1Block)
	a, b := f.encrypt(room, id/f.modV, id%f.modV)
	h.rooms.Put(room)

	dst = slices.Grow(dst, len(h.prefix)+f.u+f.v)
	dst = append(dst, h.prefix...)
	dst = appendDigits(dst, a, f.u)
	return appendDigits(dst, b, f.v)
}

// Decode returns the id of an instance ID that Encode gave. Any other string is an *[IDError].
func (h *Hasher) Decode(s string) (uint64, error) {
	code, ok := strings.CutPrefix(s, h.prefix)
	if !ok || len(code) < h.minLength || len(code) >= h.minLength+len(h.tiers) {
		return 0, &IDError{Kind: h.Kind(), Value: s}
	}
	t := h.tiers[len(code)-h.minLength]
	f := t.cipher
	a, okA := parseDigits(code[:f.u])
	b, okB := parseDigits(code[f.u:])
	if !okA || !okB {
		return 0, &IDError{Kind: h.Kind(), Value: s}
	}

	room := h.rooms.Get().(*ff1Block)
	a, b = f.decrypt(room, a, b)
	h.rooms.Put(room)

	// From 13 digits on there are more codes than ids.
	high, id := bits.Mul64(a, f.modV)
	id, carry := bits.Add64(id, b, 0)
	if high != 0 || carry != 0 || id > math.MaxUint64-t.offset {
		return 0, &IDError{Kind: h.Kind(), Value: s}
	}
	return t.offset + id, nil
}

const digits = "0123456789abcdefghijklmnopqrstuvwxyz"

// appendDigits appends x < 36^n as n digits.
func appendDigits(dst []byte, x uint64, n int) []byte {
	end := len(dst) + n
	dst = dst[:end]
	for i := range n {
		dst[end-1-i] = digits[x%radix]
		x /= radix
	}
	return dst
}

// parseDigits is the inverse of appendDigits; twelve digits fit.
func parseDigits(s string) (x uint64, ok bool) {
	for i := range len(s) {
		var digit byte
		switch c := s[i]; {
		case isDigit(c):
			digit = c - '0'
		case isLower(c):
			digit = c - 'a' + 10
		default:
			return 0, false
		}
		x = x*radix + uint64(digit)
	}
	return x, true
}
