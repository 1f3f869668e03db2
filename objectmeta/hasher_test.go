package objectmeta_test

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newHasher(tb testing.TB, kind, secret string, opts ...objectmeta.Option) *objectmeta.Hasher {
	tb.Helper()
	h, err := objectmeta.NewHasher(kind, []byte(secret), opts...)
	require.NoError(tb, err)
	return h
}

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

// With four digits all 1,679,616 codes can be tried: each is the code of one id below 36^4, and no two ids share one.
// With the race detector only every sixteenth is.
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

// raceDetector reports whether the test runs with -race.
func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
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
		assert.Equal(t, newHasher(t, "secret", "s", objectmeta.MinLength(6)).Encode(23), newHasher(t, "secret", "s", nil).Encode(23))
	})
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

func assertRefused(t *testing.T, codec objectmeta.Codec, s string) {
	t.Helper()
	id, err := codec.Decode(s)
	assert.Zero(t, id)
	require.ErrorIs(t, err, objectmeta.ErrInvalidID)
	var idErr *objectmeta.IDError
	require.ErrorAs(t, err, &idErr)
	assert.Equal(t, objectmeta.IDError{Kind: codec.Kind(), Value: s}, *idErr)
}

// 36^13 is nine times 2^64: of the codes with 13 characters most are of no id, and none may come back as a wrapped
// one.
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

func TestIDErrorText(t *testing.T) {
	h := newHasher(t, "secret", "s")
	tests := map[string]struct{ value, want string }{
		"plain":     {"user-j4lz3g", `objectmeta: "user-j4lz3g" is not an instance ID of kind secret`},
		"empty":     {"", `objectmeta: "" is not an instance ID of kind secret`},
		"log forge": {"x\"\nlevel=error \u2028\x1b[31m", `objectmeta: "x\"\nlevel=error \u2028\x1b[31m" is not an instance ID of kind secret`},
		"long":      {strings.Repeat("a", 1<<20), `objectmeta: "` + strings.Repeat("a", 64) + `"... (1048576 bytes) is not an instance ID of kind secret`},
		"long and not UTF-8": {strings.Repeat("\xff", 65),
			`objectmeta: "` + strings.Repeat(`\xff`, 64) + `"... (65 bytes) is not an instance ID of kind secret`},
		"long and in the middle of nothing": {strings.Repeat("\x80", 65),
			`objectmeta: "` + strings.Repeat(`\x80`, 60) + `"... (65 bytes) is not an instance ID of kind secret`},
		"cut in the middle of a character": {"a" + strings.Repeat("é", 100),
			`objectmeta: "a` + strings.Repeat(`\u00e9`, 31) + `"... (201 bytes) is not an instance ID of kind secret`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := h.Decode(test.value)
			assert.EqualError(t, err, test.want)
		})
	}
	assert.False(t, errors.Is(&objectmeta.IDError{}, objectmeta.ErrInvalidName))
}

func TestNewHasherErrors(t *testing.T) {
	ok := []byte("s")
	tests := map[string]struct {
		kind   string
		secret []byte
		opts   []objectmeta.Option
		want   []string
	}{
		"no kind":           {"", ok, nil, []string{`kind "": must be 1 to 63 of a-z, 0-9 and -, start with a letter`}},
		"upper case":        {"Secret", ok, nil, []string{`kind "Secret"`}},
		"starts with digit": {"2fa", ok, nil, []string{`kind "2fa"`}},
		"starts with -":     {"-a", ok, nil, []string{`kind "-a"`}},
		"ends with -":       {"a-", ok, nil, []string{`kind "a-"`}},
		"slash":             {"a/b", ok, nil, []string{`kind "a/b"`}},
		"non-ASCII":         {"é", ok, nil, []string{`kind "\u00e9"`}},
		"64 characters":     {strings.Repeat("a", 64), ok, nil, []string{`kind "aaaa`}},
		"nil secret":        {"a", nil, nil, []string{"the secret is empty"}},
		"empty secret":      {"a", []byte{}, nil, []string{"the secret is empty"}},
		"too short":         {"a", ok, []objectmeta.Option{objectmeta.MinLength(3)}, []string{"MinLength(3): must be from 4 to 24"}},
		"too long":          {"a", ok, []objectmeta.Option{objectmeta.MinLength(25)}, []string{"MinLength(25): must be from 4 to 24"}},
		"alphabet":          {"a", ok, []objectmeta.Option{objectmeta.Alphabet("0123456789abcdef")}, []string{"Alphabet is an option of Hashids only"}},
		"reversed":          {"a", ok, []objectmeta.Option{objectmeta.Reversed(false)}, []string{"Reversed is an option of Hashids only"}},
		"all at once":       {"A", nil, []objectmeta.Option{objectmeta.MinLength(0)}, []string{`kind "A"`, "secret is empty", "MinLength(0)"}},
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
		assert.PanicsWithValue(t, "objectmeta: MinLength(-1): must not be negative", func() { objectmeta.MinLength(-1) })
	})
	for _, kind := range []string{"a", "a1", "z09", "a--b", "load-balancer-listener", strings.Repeat("a", 63)} {
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

// An instance ID tells its kind also where one kind is the beginning of another.
func TestKindsWithHyphens(t *testing.T) {
	short, long := newHasher(t, "a", "s"), newHasher(t, "a-b", "s")
	for id := range uint64(1000) {
		assertRefused(t, short, long.Encode(id))
		assertRefused(t, long, short.Encode(id))
	}
}

// Some implementations share the state of the block mode among callers and give wrong codes under load.
func TestCodecsAreSafeForConcurrentUse(t *testing.T) {
	for name, codec := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			const ids = 1000
			want := make([]string, ids)
			for id := range want {
				want[id] = string(codec.AppendEncode(nil, uint64(id)))
			}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for id, want := range want {
						if got := string(codec.AppendEncode(nil, uint64(id))); got != want {
							t.Errorf("id %d: got %s, want %s", id, got, want)
						}
						if got, err := codec.Decode(want); err != nil || got != uint64(id) {
							t.Errorf("Decode(%s) = %d, %v, want %d", want, got, err, id)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func codecs(tb testing.TB) map[string]objectmeta.Codec {
	legacy := newHashids(tb, "secret", "x20k5x")
	bridge, err := objectmeta.NewBridge(legacy, 500, newHasher(tb, "secret", "s", objectmeta.MinLength(7)))
	require.NoError(tb, err)
	return map[string]objectmeta.Codec{
		"Hasher":  newHasher(tb, "secret", "x20k5x"),
		"Hashids": legacy,
		"Bridge":  bridge,
	}
}

func TestCodecAllocations(t *testing.T) {
	for name, codec := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			for _, id := range []uint64{23, 1000, 3_000_000_000, math.MaxUint64} {
				code := string(codec.AppendEncode(nil, id))
				dst := make([]byte, 0, len(code))
				assert.Zero(t, testing.AllocsPerRun(1000, func() { dst = codec.AppendEncode(dst[:0], id) }), "AppendEncode(dst, %d)", id)
				assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { codec.AppendEncode(nil, id) }), 1.0, "AppendEncode(nil, %d)", id)
				encoder := codec.(interface{ Encode(uint64) string })
				assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { encoder.Encode(id) }), 1.0, "Encode(%d)", id)
				assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = codec.Decode(code) }), "Decode(%s)", code)
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, codec := range codecs(b) {
		b.Run(name, func(b *testing.B) {
			encoder := codec.(interface{ Encode(uint64) string })
			b.ReportAllocs()
			for id := uint64(0); b.Loop(); id++ {
				encoder.Encode(id)
			}
		})
	}
}

func BenchmarkAppendEncode(b *testing.B) {
	for name, codec := range codecs(b) {
		b.Run(name, func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for id := uint64(0); b.Loop(); id++ {
				dst = codec.AppendEncode(dst[:0], id)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, codec := range codecs(b) {
		b.Run(name, func(b *testing.B) {
			code := string(codec.AppendEncode(nil, 7_000_000))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.Decode(code); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
