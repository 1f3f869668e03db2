package objectmeta

import "crypto/cipher"

// FF1 gives the tests the cipher of Hasher under the keys, radices and tweaks of NIST's samples.
// It takes and returns the halves of the numeral string as numbers.
func FF1(
	block cipher.Block,
	radix uint64,
	n int,
	tweak []byte,
) (encrypt, decrypt func(a, b uint64) (uint64, uint64)) {
	f := newFF1(block, radix, n, tweak)
	return func(a, b uint64) (uint64, uint64) { return f.encrypt(new(ff1Block), a, b) },
		func(a, b uint64) (uint64, uint64) { return f.decrypt(new(ff1Block), a, b) }
}
