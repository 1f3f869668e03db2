package objectmeta_test

import (
	"crypto/aes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Samples 1 to 9 of NIST's "FF1 samples": all key sizes, radix 10 and 36, with and without a tweak.
func TestFF1Samples(t *testing.T) {
	for i, row := range vectors(t, "ff1.tsv", 5, 9) {
		t.Run(fmt.Sprintf("sample %d", i+1), func(t *testing.T) {
			key, err := hex.DecodeString(row[0])
			require.NoError(t, err)
			radix, err := strconv.Atoi(row[1])
			require.NoError(t, err)
			tweak, err := hex.DecodeString(row[2])
			require.NoError(t, err)
			plain, cipher := row[3], row[4]
			block, err := aes.NewCipher(key)
			require.NoError(t, err)

			encrypt, decrypt := objectmeta.FF1(block, uint64(radix), len(plain), tweak)
			assert.Equal(t, cipher, onDigits(t, encrypt, plain, radix), "encrypted")
			assert.Equal(t, plain, onDigits(t, decrypt, cipher, radix), "decrypted")
		})
	}
}

// onDigits applies f to the halves of a numeral string.
func onDigits(t *testing.T, f func(a, b uint64) (uint64, uint64), s string, radix int) string {
	t.Helper()
	u := len(s) / 2
	a, err := strconv.ParseUint(s[:u], radix, 64)
	require.NoError(t, err)
	b, err := strconv.ParseUint(s[u:], radix, 64)
	require.NoError(t, err)
	a, b = f(a, b)
	return pad(a, radix, u) + pad(b, radix, len(s)-u)
}

// The published vectors have six digits and more; here is every MinLength, kinds of every length,
// against the standard.
func TestHasherIsFF1(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for minLength := 4; minLength <= 24; minLength++ {
		for kindLength := 1; kindLength <= 63; kindLength += 1 + rng.IntN(9) {
			kind := strings.Repeat("k", kindLength)
			secret := fmt.Sprint("secret ", rng.Uint64())
			h, err := objectmeta.NewHasher(kind, []byte(secret), objectmeta.MinLength(minLength))
			require.NoError(t, err)
			for _, id := range []uint64{0, 1, rng.Uint64() >> rng.IntN(64),
				rng.Uint64() >> rng.IntN(64), math.MaxInt64, math.MaxUint64} {
				n, offset, size := minLength, new(big.Int), new(big.Int)
				for {
					size.Exp(big.NewInt(36), big.NewInt(int64(n)), nil)
					if end := new(big.Int).Add(offset, size); new(
						big.Int,
					).SetUint64(id).
						Cmp(end) <
						0 {
						break
					}
					offset.Add(offset, size)
					n++
				}
				rest := new(big.Int).Sub(new(big.Int).SetUint64(id), offset)
				got := h.Encode(id)
				require.Equal(
					t,
					referenceCode(t, kind, secret, rest, n),
					got,
					"kind of %d characters, MinLength %d, id %d",
					kindLength,
					minLength,
					id,
				)
				back, err := h.Decode(got)
				require.NoError(t, err)
				require.Equal(t, id, back)
			}
		}
	}
}

// referenceCode is the instance ID that has the number x, encrypted, as its n digits.
func referenceCode(t *testing.T, kind, secret string, x *big.Int, n int) string {
	t.Helper()
	key := sha256.Sum256([]byte(secret))
	numerals, rest, digit := make([]byte, n), new(big.Int).Set(x), new(big.Int)
	for i := n - 1; i >= 0; i-- {
		rest.DivMod(rest, big.NewInt(36), digit)
		numerals[i] = byte(digit.Int64())
	}
	code := kind + "-"
	for _, d := range ff1Reference(t, key[:16], 36, []byte(kind), numerals) {
		code += string("0123456789abcdefghijklmnopqrstuvwxyz"[d])
	}
	return code
}

// ff1Reference follows the steps of NIST SP 800-38G, algorithm 7, to the letter, with big
// integers and no regard for speed. It shares nothing with the implementation but the standard.
func ff1Reference(t *testing.T, key []byte, radix int, tweak, X []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	num := func(x []byte) *big.Int {
		n := new(big.Int)
		for _, d := range x {
			n.Mul(n, big.NewInt(int64(radix))).Add(n, big.NewInt(int64(d)))
		}
		return n
	}
	str := func(n *big.Int, m int) []byte {
		s, n, r := make([]byte, m), new(big.Int).Set(n), new(big.Int)
		for i := m - 1; i >= 0; i-- {
			n.DivMod(n, big.NewInt(int64(radix)), r)
			s[i] = byte(r.Int64())
		}
		return s
	}
	n, tl := len(X), len(tweak)
	u := n / 2
	v := n - u
	A, B := X[:u], X[u:]
	top := new(big.Int).Exp(big.NewInt(int64(radix)), big.NewInt(int64(v)), nil)
	b := (new(big.Int).Sub(top, big.NewInt(1)).BitLen() + 7) / 8
	d := 4*((b+3)/4) + 4
	P := []byte{1, 2, 1, byte(radix >> 16), byte(radix >> 8), byte(radix), 10, byte(u)}
	P = binary.BigEndian.AppendUint32(P, uint32(n))
	P = binary.BigEndian.AppendUint32(P, uint32(tl))
	for i := range 10 {
		Q := append([]byte{}, tweak...)
		for (len(Q)+b+1)%16 != 0 {
			Q = append(Q, 0)
		}
		Q = append(Q, byte(i))
		Q = append(Q, num(B).FillBytes(make([]byte, b))...)
		R := make([]byte, 16)
		for m := append(append([]byte{}, P...), Q...); len(m) > 0; m = m[16:] {
			for j := range R {
				R[j] ^= m[j]
			}
			block.Encrypt(R, R)
		}
		S := append([]byte{}, R...)
		for j := 1; len(S) < d; j++ {
			x := append([]byte{}, R...)
			for k := range 4 {
				x[15-k] ^= byte(j >> (8 * k))
			}
			block.Encrypt(x, x)
			S = append(S, x...)
		}
		m := u
		if i%2 == 1 {
			m = v
		}
		c := new(big.Int).Add(num(A), new(big.Int).SetBytes(S[:d]))
		c.Mod(c, new(big.Int).Exp(big.NewInt(int64(radix)), big.NewInt(int64(m)), nil))
		A, B = B, str(c, m)
	}
	return append(append([]byte{}, A...), B...)
}
