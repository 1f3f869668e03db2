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
		"empty": "", "code alone": "yj8m30", "other kind": "user-yj8m30", "upper case": "secret-YJ8M30",
		"too long": "secret-" + strings.Repeat("0", 14),
	} {
		t.Run(name, func(t *testing.T) { assertRefused(t, bridge, s) })
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
		"no legacy":       {nil, 1, next, "must not be nil"},
		"no next":         {legacy, 1, nil, "must not be nil"},
		"kinds":           {newHashids(t, "user", "x20k5x"), 1, next, `kind "user" of legacy and "secret" of next: must be the same`},
		"the default":     {legacy, 1, newHasher(t, "secret", "s"), "next starts with 6 characters, but legacy has 6 for id 1: build next with MinLength(7)"},
		"one id too many": {legacy, 7_962_624, next, "next starts with 7 characters, but legacy has 7 for id 7962624: build next with MinLength(8)"},
		"all of uint64":   {legacy, math.MaxUint64, next, "but legacy has 15 for id 18446744073709551615: build next with MinLength(16)"},
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
			_, err := objectmeta.NewBridge(legacy, last, newHasher(t, "secret", "s", objectmeta.MinLength(n)))
			assert.NoError(t, err)
		}
	})
	t.Run("longer than needed", func(t *testing.T) {
		_, err := objectmeta.NewBridge(legacy, 1, newHasher(t, "secret", "s", objectmeta.MinLength(24)))
		assert.NoError(t, err)
	})
}
