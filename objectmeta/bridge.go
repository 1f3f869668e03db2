package objectmeta

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// NewBridge returns the [Codec] of a service that moves from hashids to a [Hasher]. Ids up to
// lastLegacyID keep the codes that legacy gives them, later ones get those of next. The length of a
// code tells which it is. So next must start longer than the code of lastLegacyID: if that has n
// characters, with NewHasher(kind, secret, MinLength(n+1)). The package documentation goes through
// such a move step by step.
//
// It returns an error if a part is nil, the kinds differ or the lengths could meet. With legacy
// codes of 24 characters or more there is no Hasher that is longer. As with all Codecs, neither
// part nor lastLegacyID may change later.
func NewBridge(legacy *Hashids, lastLegacyID uint64, next *Hasher) (Codec, error) {
	if legacy == nil || next == nil {
		return nil, errors.New("objectmeta: NewBridge: legacy and next must not be nil")
	}
	var errs []error
	if legacy.prefix != next.prefix {
		errs = append(errs, fmt.Errorf("objectmeta: NewBridge: kind %q of legacy and %q of next: "+
			"must be the same", legacy.Kind(), next.Kind()))
	}
	switch n := legacy.codeLength(lastLegacyID); {
	case n >= longestHash:
		errs = append(errs, fmt.Errorf("objectmeta: NewBridge: legacy has %d characters "+
			"for id %d: must be fewer than the %d that a Hasher can start with",
			n, lastLegacyID, longestHash))
	case n >= next.minLength:
		errs = append(errs, fmt.Errorf("objectmeta: NewBridge: next starts with %d characters, "+
			"but legacy has %d for id %d: build next with MinLength(%d)",
			next.minLength, n, lastLegacyID, n+1))
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
	isLegacy := utf8.RuneCountInString(code) < b.next.minLength
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
