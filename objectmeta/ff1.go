package objectmeta

import (
	"crypto/cipher"
	"encoding/binary"
	"math/bits"
)

// ff1 is the format-preserving encryption FF1 of NIST SP 800-38G (algorithms 7 and 8) for numeral
// strings of one length, under one key and tweak. It is a Feistel network of ten rounds over the
// two halves A and B of the numeral string, with AES in CBC-MAC mode as its round function. Names
// in comments are those of the standard.
//
// Both halves must fit in 63 bits, which strings of up to 24 digits in radix 36 do. All but one
// of the AES calls of a round depend on nothing but key, tweak and length, and are made in
// newFF1.
//
// An ff1 is immutable and safe for concurrent use.
type ff1 struct {
	block cipher.Block

	u, v       int    // number of digits of A and of B
	modU, modV uint64 // radix^u, radix^v
	wide       bool   // d is 12 bytes instead of 8: y has 96 bits instead of 64

	// What goes into the last AES call of each round but NUM(B), which is xored into the second
	// word.
	rounds [ff1Rounds][2]uint64
}

const ff1Rounds = 10

// ff1Block is room for one AES block. It is handed in since the call through cipher.Block
// makes it escape: one on the stack of the caller would be an allocation each time.
type ff1Block [16]byte

// newFF1 prepares for strings of n ≥ 2 digits in the radix.
func newFF1(block cipher.Block, radix uint64, n int, tweak []byte) *ff1 {
	f := &ff1{block: block, u: n / 2, v: n - n/2}
	f.modU, f.modV = power(radix, f.u), power(radix, f.v)

	b := (bits.Len64(f.modV-1) + 7) / 8 // bytes that hold NUM(B); at most 8
	f.wide = b > 4                      // d = 4⌈b/4⌉+4

	// P, step 5.
	p := []byte{1, 2, 1, 0, 0, 0, ff1Rounds, byte(f.u)}
	p[3], p[4], p[5] = byte(radix>>16), byte(radix>>8), byte(radix)
	p = binary.BigEndian.AppendUint32(p, uint32(n))
	p = binary.BigEndian.AppendUint32(p, uint32(len(tweak)))

	// P || Q of step 6.i, with zeros for the round's number and NUM(B). Since these take at most
	// 9 bytes and stand at the end, they fall in the last block.
	pq := append(p, tweak...)
	for len(pq)%16 != 16-b-1 {
		pq = append(pq, 0)
	}
	pq = append(pq, make([]byte, 1+b)...)

	// PRF, up to where the last block is xored in.
	var mac ff1Block
	for len(pq) > 16 {
		xor(&mac, pq[:16])
		block.Encrypt(mac[:], mac[:])
		pq = pq[16:]
	}
	xor(&mac, pq)

	for i := range f.rounds {
		last := mac
		last[16-b-1] ^= byte(i)
		f.rounds[i][0] = binary.BigEndian.Uint64(last[:8])
		f.rounds[i][1] = binary.BigEndian.Uint64(last[8:])
	}
	return f
}

func xor(dst *ff1Block, src []byte) {
	for i := range dst {
		dst[i] ^= src[i]
	}
}

func power(base uint64, exponent int) uint64 {
	p := uint64(1)
	for range exponent {
		p *= base
	}
	return p
}

// encrypt takes NUM(A) < radix^u and NUM(B) < radix^v and returns those of the ciphertext.
func (f *ff1) encrypt(room *ff1Block, a, b uint64) (uint64, uint64) {
	for i := 0; i < ff1Rounds; i += 2 {
		a = add(a, f.round(room, i, b, f.modU), f.modU)
		b = add(b, f.round(room, i+1, a, f.modV), f.modV)
	}
	return a, b
}

// decrypt is the inverse of encrypt.
func (f *ff1) decrypt(room *ff1Block, a, b uint64) (uint64, uint64) {
	for i := ff1Rounds - 2; i >= 0; i -= 2 {
		b = sub(b, f.round(room, i+1, a, f.modV), f.modV)
		a = sub(a, f.round(room, i, b, f.modU), f.modU)
	}
	return a, b
}

// round is y mod radix^m of steps 6.i to 6.vi, where x is the half that this round leaves as it
// is. Since d is at most 12 bytes, S of step 6.iii is the beginning of the one block R.
func (f *ff1) round(room *ff1Block, i int, x, mod uint64) uint64 {
	binary.BigEndian.PutUint64(room[:8], f.rounds[i][0])
	binary.BigEndian.PutUint64(room[8:], f.rounds[i][1]^x)
	f.block.Encrypt(room[:], room[:])
	if !f.wide {
		return binary.BigEndian.Uint64(room[:8]) % mod
	}
	high := uint64(binary.BigEndian.Uint32(room[:4]))
	return bits.Rem64(high, binary.BigEndian.Uint64(room[4:12]), mod)
}

// add and sub work on numbers below mod ≤ 2^63.

func add(x, y, mod uint64) uint64 {
	if x += y; x >= mod {
		x -= mod
	}
	return x
}

func sub(x, y, mod uint64) uint64 {
	if x < y {
		x += mod
	}
	return x - y
}
