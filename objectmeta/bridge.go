package objectmeta

import (
	"errors"
	"fmt"
	"strings"
)

// NewBridge returns the [Codec] of a service that moves from hashids to a [Hasher]: ids up to lastLegacyID keep the codes
// that legacy gives them, later ones get next's. Which of the two a code is, its length says; hence next must start
// longer than the code of lastLegacyID: with NewHasher(kind, secret, MinLength(n+1)) where that has n characters. The
// package documentation goes through such a move step by step.
//
// It returns an error if a part is nil, the kinds differ or the lengths could meet. Legacy codes of 24 characters or more leave no
// Hasher to go on with. As with all Codecs, neither part nor lastLegacyID may change later.
func NewBridge(legacy *Hashids, lastLegacyID uint64, next *Hasher) (Codec, error) {
	if legacy == nil || next == nil {
		return nil, errors.New("objectmeta: NewBridge: legacy and next must not be nil")
	}
	var errs []error
	if legacy.prefix != next.prefix {
		errs = append(errs, fmt.Errorf("objectmeta: NewBridge: kind %q of legacy and %q of next: must be the same",
			legacy.Kind(), next.Kind()))
	}
	if n := legacy.codeLength(lastLegacyID); n >= next.minLength {
		errs = append(errs, fmt.Errorf("objectmeta: NewBridge: next starts with %d characters, but legacy has %d for id %d: "+
			"build next with MinLength(%d)", next.minLength, n, lastLegacyID, n+1))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &bridge{legacy: legacy, lastLegacyID: lastLegacyID, next: next}, nil
}

type bridge struct {
	legacy       *Hashids
	lastLegacyID uint64
	next         *Hasher
}

func (b *bridge) Kind() string { return b.next.Kind() }

func (b *bridge) Encode(id uint64) string {
	if id <= b.lastLegacyID {
		return b.legacy.Encode(id)
	}
	return b.next.Encode(id)
}

func (b *bridge) AppendEncode(dst []byte, id uint64) []byte {
	if id <= b.lastLegacyID {
		return b.legacy.AppendEncode(dst, id)
	}
	return b.next.AppendEncode(dst, id)
}

// Decode refuses the codes that each part has for the ids of the other: an id has one code.
func (b *bridge) Decode(s string) (uint64, error) {
	code := strings.TrimPrefix(s, b.next.prefix)
	isLegacy := len(code) < b.next.minLength
	decode := b.next.Decode
	if isLegacy {
		decode = b.legacy.Decode
	}
	id, err := decode(s)
	if err != nil {
		return 0, err
	}
	if isLegacy != (id <= b.lastLegacyID) {
		return 0, &IDError{Kind: b.Kind(), Value: s}
	}
	return id, nil
}
