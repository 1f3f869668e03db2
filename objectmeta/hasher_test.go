package objectmeta_test

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHasherVectors(t *testing.T) {
	for _, row := range vectors(t, "instanceid.tsv", 4, 324) {
		kind, secret, want := row[0], row[1], row[3]
		id, err := strconv.ParseUint(row[2], 10, 64)
		require.NoError(t, err)
		h := newHasher(t, kind, secret)
		assert.Equal(t, want, h.Encode(id))
		assert.Equal(t, "before "+want, string(h.AppendEncode([]byte("before "), id)))
		got, err := h.Decode(want)
		assert.NoError(t, err)
		assert.Equal(t, id, got, want)
		assert.Equal(t, kind, h.Kind())
	}
}

// With four digits all 1,679,616 codes can be tried: each is the code of one id below 36^4, and
// no two ids share one. With the race detector only every sixteenth is.
func TestHasherIsBijective(t *testing.T) {
	const size = 36 * 36 * 36 * 36
	h := newHasher(t, "k", "secret", objectmeta.MinLength(4))
	step := uint64(1)
	if raceDetector() {
		step = 16 // it makes this test take ten times as long, and there is one goroutine only
	}
	seen := make([]bool, size)
	var code []byte
	for id := uint64(0); id < size; id += step {
		code = h.AppendEncode(code[:0], id)
		n, err := strconv.ParseUint(string(code[len("k-"):]), 36, 64)
		if err != nil || len(code) != len("k-0000") || seen[n] {
			t.Fatalf("id %d: code %q: malformed or given before", id, code)
		}
		seen[n] = true
		got, err := h.Decode(string(code))
		if err != nil || got != id {
			t.Fatalf("Decode(%q) = %d, %v, want %d", code, got, err, id)
		}
	}
}

func TestHasherTiers(t *testing.T) {
	require.Equal(t, uint64(2_176_782_336), firstID(6, 7), "36^6")
	for shortest := 4; shortest <= 24; shortest++ {
		t.Run(fmt.Sprintf("MinLength(%d)", shortest), func(t *testing.T) {
			h := newHasher(t, "secret", "s", objectmeta.MinLength(shortest))
			want := map[uint64]int{0: shortest, math.MaxUint64: max(shortest, 13)}
			for n := shortest + 1; n <= 13; n++ {
				first := firstID(shortest, n)
				want[first-1], want[first] = n-1, n
			}
			for id, length := range want {
				s := h.Encode(id)
				assert.Len(t, s, len("secret-")+length, "id %d", id)
				got, err := h.Decode(s)
				assert.NoError(t, err)
				assert.Equal(t, id, got)
			}
		})
	}
	t.Run("default is 6", func(t *testing.T) {
		assert.Equal(
			t,
			newHasher(t, "secret", "s", objectmeta.MinLength(6)).Encode(23),
			newHasher(t, "secret", "s", nil).Encode(23),
		)
	})
}

// firstID is the first id whose code has n characters, if the shortest have shortest: offset(n).
func firstID(shortest, n int) uint64 {
	offset, size := uint64(0), uint64(1)
	for i := range n {
		if i >= shortest {
			offset += size
		}
		size *= 36
	}
	return offset
}

// The other tests would not notice if kind or secret did not matter.
func TestHasherDependsOnKindAndSecret(t *testing.T) {
	codes := map[string]string{}
	for _, kind := range []string{"secret", "user", "policy"} {
		for _, secret := range []string{"a", "b", strings.Repeat("a", 1000)} {
			_, code, _ := strings.Cut(newHasher(t, kind, secret).Encode(23), "-")
			assert.Empty(t, codes[code], "same code as")
			codes[code] = kind + " " + secret
		}
	}
}

func TestHasherDecodeRefuses(t *testing.T) {
	h := newHasher(t, "secret", "x20k5x")
	require.Equal(t, "secret-zpmsxh", h.Encode(1))
	require.Equal(t, "secret-0ptros", h.Encode(8), "a leading zero is a digit like others")

	tests := map[string]string{
		"empty":              "",
		"kind alone":         "secret",
		"no code":            "secret-",
		"code alone":         "zpmsxh",
		"other kind":         "user-zpmsxh",
		"longer kind":        "secrets-zpmsxh",
		"kind in upper case": "SECRET-zpmsxh",
		"code in upper case": "secret-Zpmsxh",
		"no hyphen":          "secretzpmsxh",
		"other hyphen":       "secret_zpmsxh",
		"two hyphens":        "secret--zpmsxh",
		"kind twice":         "secret-secret-zpmsxh",
		"space in front":     " secret-zpmsxh",
		"newline at the end": "secret-zpmsxh\n",
		"NUL at the end":     "secret-zpmsxh\x00",
		"five characters":    "secret-zpmsx",
		"14 characters":      "secret-0123456789abcd",
		"a megabyte":         "secret-" + strings.Repeat("0", 1<<20),
		"sign":               "secret-+pmsxh",
		"non-ASCII digits":   "secret-١٢٣",
		"non-ASCII letters":  "secret-zpmsxé",
		"fullwidth":          "secret-\uff5a\uff50\uff4d\uff53\uff58\uff48",
		"invalid UTF-8":      "secret-zpms\xff\xfe",
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) { assertRefused(t, h, s) })
	}
}

// 36^13 is nine times 2^64: of the codes with 13 characters most are of no id, and none may come
// back as a wrapped one.
func TestHasherDecodeRefusesAboveMaxUint64(t *testing.T) {
	for _, shortest := range []int{6, 13, 14, 20, 24} {
		h := newHasher(t, "secret", "s", objectmeta.MinLength(shortest))
		length := max(shortest, 13)
		refused := 0
		for i := range 200 {
			s := "secret-" + strings.Repeat("7", length-3) + pad(uint64(i), 36, 3)
			id, err := h.Decode(s)
			if err != nil {
				assertRefused(t, h, s)
				refused++
				continue
			}
			require.Equal(t, s, h.Encode(id))
		}
		assert.Greater(t, refused, 150, "MinLength(%d)", shortest)
	}
}

// The last number that an id can be, and the next ones, exactly at each place where the sum could
// wrap.
func TestHasherEndsWithUint64(t *testing.T) {
	for _, minLength := range []int{6, 12, 13, 14, 20, 24} {
		h, err := objectmeta.NewHasher("pod", []byte("s"), objectmeta.MinLength(minLength))
		require.NoError(t, err)
		n, end := max(minLength, 13), new(big.Int).Lsh(big.NewInt(1), 64)
		for shorter := minLength; shorter < n; shorter++ { // the tiers before that of MaxUint64
			end.Sub(end, new(big.Int).Exp(big.NewInt(36), big.NewInt(int64(shorter)), nil))
		}
		last := referenceCode(t, "pod", "s", new(big.Int).Sub(end, big.NewInt(1)), n)
		require.Equal(t, h.Encode(math.MaxUint64), last)
		id, err := h.Decode(last)
		require.NoError(t, err)
		require.Equal(t, uint64(math.MaxUint64), id)

		all := new(big.Int).Exp(big.NewInt(36), big.NewInt(int64(n)), nil)
		for _, x := range []*big.Int{end, new(big.Int).Add(end, big.NewInt(1)),
			new(big.Int).Lsh(big.NewInt(1), 64),
			new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 64),
				big.NewInt(7)), new(big.Int).Sub(all, big.NewInt(1))} {
			_, err := h.Decode(referenceCode(t, "pod", "s", x, n))
			require.ErrorIs(
				t,
				err,
				objectmeta.ErrInvalidID,
				"MinLength(%d), number %v",
				minLength,
				x,
			)
		}
	}
}

func TestNewHasherErrors(t *testing.T) {
	ok := []byte("s")
	tests := map[string]struct {
		kind   string
		secret []byte
		opts   []objectmeta.Option
		want   []string
	}{
		"no kind": {
			"",
			ok,
			nil,
			[]string{`kind "": must be 1 to 63 of a-z, 0-9 and -, start with a letter`},
		},
		"upper case":        {"Secret", ok, nil, []string{`kind "Secret"`}},
		"starts with digit": {"2fa", ok, nil, []string{`kind "2fa"`}},
		"starts with -":     {"-a", ok, nil, []string{`kind "-a"`}},
		"ends with -":       {"a-", ok, nil, []string{`kind "a-"`}},
		"slash":             {"a/b", ok, nil, []string{`kind "a/b"`}},
		"non-ASCII":         {"é", ok, nil, []string{`kind "\u00e9"`}},
		"64 characters":     {strings.Repeat("a", 64), ok, nil, []string{`kind "aaaa`}},
		"nil secret":        {"a", nil, nil, []string{"the secret is empty"}},
		"empty secret":      {"a", []byte{}, nil, []string{"the secret is empty"}},
		"too short": {
			"a",
			ok,
			[]objectmeta.Option{objectmeta.MinLength(3)},
			[]string{"MinLength(3): must be from 4 to 24"},
		},
		"too long": {
			"a",
			ok,
			[]objectmeta.Option{objectmeta.MinLength(25)},
			[]string{"MinLength(25): must be from 4 to 24"},
		},
		"alphabet": {
			"a",
			ok,
			[]objectmeta.Option{objectmeta.Alphabet("0123456789abcdef")},
			[]string{"Alphabet is for Hashids only"},
		},
		"forward": {
			"a",
			ok,
			[]objectmeta.Option{objectmeta.Forward()},
			[]string{"Forward is for Hashids only"},
		},
		"all at once": {
			"A",
			nil,
			[]objectmeta.Option{objectmeta.MinLength(0)},
			[]string{`kind "A"`, "secret is empty", "MinLength(0)"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := objectmeta.NewHasher(test.kind, test.secret, test.opts...)
			assert.Nil(t, h)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
	t.Run("negative MinLength", func(t *testing.T) {
		assert.PanicsWithValue(
			t,
			"objectmeta: MinLength(-1): must not be negative",
			func() { objectmeta.MinLength(-1) },
		)
	})
	for _, kind := range []string{"a", "a1", "z09", "a--b", "load-balancer-listener",
		strings.Repeat("a", 63)} {
		s := newHasher(t, kind, "s").Encode(math.MaxUint64)
		assert.True(t, strings.HasPrefix(s, kind+"-"), s)
	}
}

// The caller may wipe the secret, and the constructor must have made its own of it.
func TestNewHasherDoesNotKeepTheSecret(t *testing.T) {
	secret := []byte("x20k5x")
	h, err := objectmeta.NewHasher("secret", secret)
	require.NoError(t, err)
	clear(secret)
	assert.Equal(t, "secret-zpmsxh", h.Encode(1))
}

func TestHasherShowsItsSecretNowhere(t *testing.T) {
	h, err := objectmeta.NewHasher("pod", []byte("hunter2"))
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", h, h, h), "hunter2")
	_, err = objectmeta.NewHasher("Bad", []byte("hunter2"))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
}

// An instance ID tells its kind also where one kind is the beginning of another.
func TestKindsWithHyphens(t *testing.T) {
	short, long := newHasher(t, "a", "s"), newHasher(t, "a-b", "s")
	for id := range uint64(1000) {
		assertRefused(t, short, long.Encode(id))
		assertRefused(t, long, short.Encode(id))
	}
}
