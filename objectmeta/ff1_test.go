package objectmeta_test

import (
	"crypto/aes"
	"encoding/hex"
	"fmt"
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

func pad(x uint64, radix, n int) string {
	s := strconv.FormatUint(x, radix)
	return strings.Repeat("0", n-len(s)) + s
}
