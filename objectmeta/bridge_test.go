package objectmeta_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBridge(t *testing.T) {
	const last = 1000
	legacy := newHashids(t, "secret", "x20k5x")
	next := newHasher(t, "secret", "s", objectmeta.MinLength(7))
	bridge, err := objectmeta.NewBridge(legacy, last, next)
	require.NoError(t, err)

	assert.Equal(t, "secret", bridge.Kind())
	tests := map[string]struct {
		id          uint64
		mine, other objectmeta.Codec
	}{
		"first":          {0, legacy, next},
		"known":          {23, legacy, next},
		"last legacy":    {last, legacy, next},
		"first of next":  {last + 1, next, legacy},
		"greatest":       {math.MaxUint64, next, legacy},
		"greatest int64": {math.MaxInt64, next, legacy},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := string(test.mine.AppendEncode(nil, test.id))
			assert.Equal(t, want, string(bridge.AppendEncode(nil, test.id)))
			got, err := bridge.Decode(want)
			assert.NoError(t, err)
			assert.Equal(t, test.id, got)
			assertRefused(t, bridge, string(test.other.AppendEncode(nil, test.id)))
		})
	}
	for name, s := range map[string]string{
		"empty": "", "code alone": "yj8m30", "other kind": "user-yj8m30",
		"upper case": "secret-YJ8M30",
		"too long":   "secret-" + strings.Repeat("0", 14),
	} {
		t.Run(name, func(t *testing.T) { assertRefused(t, bridge, s) })
	}
}

func TestBridgeOfEveryLastID(t *testing.T) {
	for _, last := range []uint64{0, 1, 7962623, 7962624, 1 << 40, math.MaxInt64,
		math.MaxUint64 - 1, math.MaxUint64} {
		legacy := newHashids(t, "secret", "x20k5x")
		n := len(legacy.Encode(last)) - len("secret-")
		for short := max(4, n-2); short <= n; short++ {
			_, err := objectmeta.NewBridge(
				legacy,
				last,
				newHasher(t, "secret", "s", objectmeta.MinLength(short)),
			)
			require.Error(t, err, "last %d of %d characters, Hasher from %d", last, n, short)
		}
		next := newHasher(t, "secret", "s", objectmeta.MinLength(n+1))
		b, err := objectmeta.NewBridge(legacy, last, next)
		require.NoError(t, err)
		assert.Equal(t, "secret", b.Kind())
		for _, id := range append([]uint64{last - 1, last, last + 1, last + 2}, edges...) {
			want, other := next.Encode(id), legacy.Encode(id)
			if id <= last {
				want, other = other, want
			}
			require.Equal(t, want, string(b.AppendEncode(nil, id)), id)
			require.Equal(
				t,
				want,
				b.(interface{ Encode(uint64) string }).Encode(id),
				"what ID.String takes",
			)
			got, err := b.Decode(want)
			require.NoError(t, err, want)
			require.Equal(t, id, got)
			// Never for this id; the legacy code of a later id can be the code that next has for
			// another one.
			if stranger, err := b.Decode(other); err == nil {
				require.NotEqual(t, id, stranger)
				require.Equal(
					t,
					other,
					string(b.AppendEncode(nil, stranger)),
					"last %d, id %d",
					last,
					id,
				)
			}
		}
	}
}

// A legacy code is told by its number of characters, not of bytes.
func TestBridgeWithCharactersOfSeveralBytes(t *testing.T) {
	legacy := newHashids(t, "secret", "s", objectmeta.Alphabet("αβγδεζηθικλμνξοπρστυφχψω"))
	bridge, err := objectmeta.NewBridge(
		legacy,
		1000,
		newHasher(t, "secret", "s", objectmeta.MinLength(7)),
	)
	require.NoError(t, err)
	for _, id := range []uint64{1, 1000, 1001} {
		got, err := bridge.Decode(string(bridge.AppendEncode(nil, id)))
		require.NoError(t, err)
		assert.Equal(t, id, got)
	}
}

func TestNewBridgeErrors(t *testing.T) {
	legacy := newHashids(t, "secret", "x20k5x")
	next := newHasher(t, "secret", "s", objectmeta.MinLength(7))
	tests := map[string]struct {
		legacy *objectmeta.Hashids
		last   uint64
		next   *objectmeta.Hasher
		want   string
	}{
		"no legacy": {nil, 1, next, "must not be nil"},
		"no next":   {legacy, 1, nil, "must not be nil"},
		"kinds": {
			newHashids(t, "user", "x20k5x"),
			1,
			next,
			`kind "user" of legacy and "secret" of next: must be the same`,
		},
		"the default": {
			legacy,
			1,
			newHasher(t, "secret", "s"),
			"next starts with 6 characters, but legacy has 6 for id 1: build next with MinLength(7)",
		},
		"one id too many": {
			legacy,
			7_962_624,
			next,
			"next starts with 7 characters, but legacy has 7 for id 7962624: build next with MinLength(8)",
		},
		"no Hasher is longer": {
			newHashids(t, "secret", "s", objectmeta.MinLength(24)), 1, next,
			"legacy has 24 characters for id 1: must be fewer than the 24 that a Hasher can start with",
		},
		"all of uint64": {
			legacy,
			math.MaxUint64,
			next,
			"but legacy has 15 for id 18446744073709551615: build next with MinLength(16)",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			codec, err := objectmeta.NewBridge(test.legacy, test.last, test.next)
			assert.Nil(t, codec)
			assert.ErrorContains(t, err, test.want)
		})
	}
	t.Run("what the errors advise", func(t *testing.T) {
		for last, n := range map[uint64]int{7_962_623: 7, 7_962_624: 8, math.MaxUint64: 16} {
			_, err := objectmeta.NewBridge(
				legacy,
				last,
				newHasher(t, "secret", "s", objectmeta.MinLength(n)),
			)
			assert.NoError(t, err)
		}
	})
	t.Run("longer than needed", func(t *testing.T) {
		_, err := objectmeta.NewBridge(
			legacy,
			1,
			newHasher(t, "secret", "s", objectmeta.MinLength(24)),
		)
		assert.NoError(t, err)
	})
}
