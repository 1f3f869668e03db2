package objectmeta_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHashidsVectors(t *testing.T) {
	for _, row := range vectors(t, "hashids.tsv", 6, 452) {
		alphabet, salt, code, reversed := row[0], row[1], row[4], row[5]
		minLength, err := strconv.Atoi(row[2])
		require.NoError(t, err)
		id, err := strconv.ParseUint(row[3], 10, 64)
		require.NoError(t, err)

		h := newHashids(
			t,
			"secret",
			salt,
			objectmeta.Alphabet(alphabet),
			objectmeta.MinLength(minLength),
		)
		forward := newHashids(
			t,
			"secret",
			salt,
			objectmeta.Alphabet(alphabet),
			objectmeta.MinLength(minLength),
			objectmeta.Forward(),
		)
		for h, code := range map[*objectmeta.Hashids]string{h: reversed, forward: code} {
			want := "secret-" + code
			assert.Equal(t, want, h.Encode(id))
			assert.Equal(t, "before "+want, string(h.AppendEncode([]byte("before "), id)))
			got, err := h.Decode(want)
			assert.NoError(t, err)
			assert.Equal(t, id, got, want)
		}
	}
}

func TestHashidsOfIAM(t *testing.T) {
	tests := map[string]struct {
		kind string
		id   uint64
		want string
	}{
		"secret": {"secret", 23, "secret-yj8m30"},
		"user":   {"user", 40, "user-j4lz3g"},
		"policy": {"policy", 59, "policy-3v18jq"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			defaults := newHashids(t, test.kind, "x20k5x")
			assert.Equal(t, test.want, defaults.Encode(test.id))
			assert.Equal(t, test.kind, defaults.Kind())
			spelled := newHashids(
				t,
				test.kind,
				"x20k5x",
				objectmeta.Alphabet("abcdefghijklmnopqrstuvwxyz1234567890"),
				objectmeta.MinLength(6),
			)
			assert.Equal(t, test.want, spelled.Encode(test.id))
		})
	}
	t.Run("six characters end at 7962623", func(t *testing.T) {
		h := newHashids(t, "secret", "x20k5x")
		assert.Len(t, h.Encode(7_962_623), len("secret-")+6)
		assert.Len(t, h.Encode(7_962_624), len("secret-")+7)
	})
}

// The smallest alphabets, where separators become letters and guards: by hashids.js 2.3.0 (npm),
// with the salt "s".
func TestHashidsOfSmallAlphabets(t *testing.T) {
	tests := map[string]struct {
		alphabet  string
		minLength int
		id        uint64
		want      string
	}{
		"two letters left":           {"cfhistuCFHISTUab", 0, 23, "ababbb"},
		"two letters left, filled":   {"cfhistuCFHISTUab", 12, 23, "bahababbbhba"},
		"three letters left":         {"cfhistuCFHISTUabd", 0, 23, "adaddd"},
		"three letters left, filled": {"cfhistuCFHISTUabd", 12, 23, "dabadadddbda"},
		"four letters left":          {"cfhistuCFHISTUabde", 0, 23, "dada"},
		"four letters left, filled":  {"cfhistuCFHISTUabde", 12, 23, "bdabedadaeda"},
		"seven letters left": {
			"cfhistuCFHISTUabdegjk",
			0,
			1<<53 - 1,
			"geekkdkkjkjjkjjkdeekgj",
		},
		"seven letters left, filled":  {"cfhistuCFHISTUabdegjk", 12, 1, "jejdbgjbkage"},
		"seven letters left, no room": {"cfhistuCFHISTUabdegjk", 12, 1 << 32, "edkkgdgegdkkge"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHashids(
				t,
				"k",
				"s",
				objectmeta.Alphabet(test.alphabet),
				objectmeta.MinLength(test.minLength),
				objectmeta.Forward(),
			)
			assert.Equal(t, "k-"+test.want, h.Encode(test.id))
			id, err := h.Decode("k-" + test.want)
			assert.NoError(t, err)
			assert.Equal(t, test.id, id)
		})
	}
}

// Codes of go-hashids 2.0.1 with what its alphabets and lengths allow. Of a long code this is the
// beginning of its SHA-256.
func TestHashidsOfOtherSettings(t *testing.T) {
	const lower, greek = "abcdefghijklmnopqrstuvwxyz1234567890", "αβγδεζηθικλμνξοπρστυφχψω"
	tests := map[string]struct {
		alphabet, salt string
		minLength      int
		id             uint64
		want           string
	}{
		"hyphen at the end":      {lower + "-", "x20k5x", 6, 1, "2xqrj6"},
		"hyphen, another id":     {lower + "-", "x20k5x", 6, 23, "v1qwyg"},
		"hyphen, great id":       {lower + "-", "x20k5x", 6, 7962624, "840rdm"},
		"hyphen, no salt":        {lower + "-", "", 12, math.MaxInt64, "qzl9o1xw6nnjpmm"},
		"hyphen in the code":     {"-_ABCDEFGHIJKLMNOP", "s", 8, 4711, "-NLDJJ-N"},
		"Greek":                  {greek, "x20k5x", 6, 23, "θρπτμρ"},
		"emoji":                  {"😀😁😂😃😄😅😆😇😈😉😊😋😌😍😎😏cs", "x20k5x", 6, 23, "😆😈😉😄😎😍"},
		"mixed, salt in Chinese": {"abcdeéfghijklmnopqrstü-", "盐", 9, 1 << 40, "orgplaenklor"},
		"65 characters":          {lower, "x20k5x", 65, 23, "08a61fa4f4145c10"},
		"999 characters":         {lower, "x20k5x", 999, 23, "bb98fd49074a9625"},
		"65,536 characters":      {lower, "", 65536, math.MaxInt64, "b7a8c8be56b3b03d"},
		"999 Greek characters":   {greek, "x20k5x", 999, 23, "d1a347861576c0ac"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHashids(
				t,
				"k",
				test.salt,
				objectmeta.Alphabet(test.alphabet),
				objectmeta.MinLength(test.minLength),
				objectmeta.Forward(),
			)
			s := h.Encode(test.id)
			id, err := h.Decode(s)
			require.NoError(t, err)
			assert.Equal(t, test.id, id)
			code := strings.TrimPrefix(s, "k-")
			if test.minLength > 64 {
				assert.Equal(t, test.minLength, utf8.RuneCountInString(code))
				code = fmt.Sprintf("%x", sha256.Sum256([]byte(code)))[:16]
			}
			assert.Equal(t, test.want, code)
		})
	}
}

func TestHashidsRoundTrip(t *testing.T) {
	lower := "abcdefghijklmnopqrstuvwxyz1234567890"
	var printable strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		printable.WriteByte(c)
	}
	tests := map[string]struct {
		salt string
		opts []objectmeta.Option
	}{
		"defaults":          {"x20k5x", nil},
		"no minimum":        {"x20k5x", []objectmeta.Option{objectmeta.MinLength(0)}},
		"longest minimum":   {"x20k5x", []objectmeta.Option{objectmeta.MinLength(64)}},
		"no salt":           {"", nil},
		"non-ASCII salt":    {"sél 盐", nil},
		"salt that is long": {strings.Repeat("salt and pepper ", 10), nil},
		"two letters left": {
			"s",
			[]objectmeta.Option{objectmeta.Alphabet("cfhistuCFHISTUab"), objectmeta.MinLength(64)},
		},
		"two letters, short": {
			"s",
			[]objectmeta.Option{objectmeta.Alphabet("cfhistuCFHISTUab"), objectmeta.MinLength(0)},
		},
		"no usual separators": {"s", []objectmeta.Option{objectmeta.Alphabet("0123456789abdegj")}},
		"all of ASCII": {
			"s",
			[]objectmeta.Option{objectmeta.Alphabet(printable.String()), objectmeta.MinLength(64)},
		},
		"255 characters": {
			"s",
			[]objectmeta.Option{objectmeta.Alphabet(manyCharacters(255)), objectmeta.MinLength(80)},
		},
		"reordered": {
			"s",
			[]objectmeta.Option{objectmeta.Alphabet(reverse(lower)), objectmeta.Forward()},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHashids(t, "secret", test.salt, test.opts...)
			seen := map[string]uint64{}
			check := func(id uint64) {
				s := h.Encode(id)
				got, err := h.Decode(s)
				require.NoError(t, err, "id %d", id)
				require.Equal(t, id, got, s)
				if other, ok := seen[s]; ok && other != id {
					t.Fatalf("ids %d and %d have the same code %s", other, id, s)
				}
				seen[s] = id
			}
			for id := range uint64(5000) {
				check(id)
			}
			for shift := range 64 { // beyond MaxInt64, where go-hashids gives an error
				check(1<<shift - 1)
				check(1 << shift)
				check(math.MaxUint64 >> shift)
			}
		})
	}
}

// go-hashids up to version 1 decodes codes that no number has. Each change of one character gives
// either another id's own code or nothing.
func TestHashidsDecodeRefusesWhatIsNotCanonical(t *testing.T) {
	h := newHashids(t, "secret", "x20k5x")
	refused := 0
	for id := range uint64(200) {
		s := []byte(h.Encode(id))
		for i := len("secret-"); i < len(s); i++ {
			for _, c := range []byte("abcdefghijklmnopqrstuvwxyz1234567890") {
				changed := append([]byte(nil), s...)
				changed[i] = c
				got, err := h.Decode(string(changed))
				if err != nil {
					refused++
					continue
				}
				require.Equal(t, string(changed), h.Encode(got))
			}
		}
	}
	assert.Greater(t, refused, 1000)
}

func TestHashidsDecodeRefuses(t *testing.T) {
	h := newHashids(t, "secret", "x20k5x")
	// The code of MaxUint64 with its last digit, which stands in front, one more or otherwise.
	tests := map[string]string{
		"empty":              "",
		"no code":            "secret-",
		"code alone":         "yj8m30",
		"other kind":         "user-yj8m30",
		"code in upper case": "secret-YJ8M30",
		"kind in upper case": "Secret-yj8m30",
		"not reversed":       "secret-03m8jy",
		"too short":          "secret-yj8m3",
		"too long":           "secret-yj8m300",
		"filling alone":      "secret-jj",
		"non-ASCII":          "secret-yj8m3é",
		"invalid UTF-8":      "secret-yj8m\xff\xfe",
		"above MaxUint64":    "secret-" + strings.Repeat("v", 64),
		"a megabyte":         "secret-" + strings.Repeat("y", 1<<20),
		"several numbers":    "secret-" + reverse("o2fXhV"),
		"newline at the end": "secret-yj8m30\n",
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) { assertRefused(t, h, s) })
	}
	t.Run("every length of one character", func(t *testing.T) {
		short := newHashids(t, "secret", "x20k5x", objectmeta.MinLength(0))
		for _, c := range "abcdefghijklmnopqrstuvwxyz1234567890" {
			for n := range 70 {
				s := "secret-" + strings.Repeat(string(c), n)
				if id, err := short.Decode(s); err == nil {
					assert.Equal(t, s, short.Encode(id))
				} else {
					assertRefused(t, short, s)
				}
			}
		}
	})
}

func TestNewHashidsErrors(t *testing.T) {
	tests := map[string]struct {
		kind string
		opts []objectmeta.Option
		want []string
	}{
		"kind": {"Secret", nil, []string{`kind "Secret"`}},
		"too long": {
			"a",
			[]objectmeta.Option{objectmeta.MinLength(65537)},
			[]string{"MinLength(65537): must be from 0 to 65536"},
		},
		"no alphabet": {
			"a",
			[]objectmeta.Option{objectmeta.Alphabet("")},
			[]string{`Alphabet(""): must have from 16 to 255 characters`},
		},
		"15 characters": {
			"a",
			[]objectmeta.Option{objectmeta.Alphabet("0123456789abcde")},
			[]string{`Alphabet("0123456789abcde"): must have from 16`},
		},
		"twice": {
			"a",
			[]objectmeta.Option{objectmeta.Alphabet("0123456789abcdea")},
			[]string{`'a' stands there twice`},
		},
		"space": {
			"a",
			[]objectmeta.Option{objectmeta.Alphabet("0123456789abcde ")},
			[]string{`' ': must be a printable character, not a space`},
		},
		"not UTF-8": {
			"a",
			[]objectmeta.Option{objectmeta.Alphabet("0123456789abcde\xff")},
			[]string{`'\ufffd': must be a printable character`},
		},
		"line separator": {
			"a",
			[]objectmeta.Option{objectmeta.Alphabet("0123456789abcde\u2028")},
			[]string{`'\u2028': must be a printable character`},
		},
		"256 characters": {
			"a",
			[]objectmeta.Option{objectmeta.Alphabet(manyCharacters(256))},
			[]string{`must have from 16 to 255 characters`},
		},
		"DEL": {
			"a",
			[]objectmeta.Option{objectmeta.Alphabet("0123456789abcde\x7f")},
			[]string{`'\x7f': must be a printable character`},
		},
		"several faults": {
			"A",
			[]objectmeta.Option{objectmeta.Alphabet("a"), objectmeta.MinLength(99999)},
			[]string{`kind "A"`, `Alphabet("a")`, "MinLength(99999)"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := objectmeta.NewHashids(test.kind, "salt", test.opts...)
			assert.Nil(t, h)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

func manyCharacters(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune('一' + rune(i))
	}
	return b.String()
}
