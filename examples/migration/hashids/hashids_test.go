package hashids

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/objectmeta"
)

// asStored stands for go-hashids with iam's settings: it knows the one code that iam's documentation shows, before it is reversed.
type asStored struct{}

func (asStored) Encode(numbers []int) (string, error) {
	return map[int]string{23: "03m8jy"}[numbers[0]], nil
}

func TestTheSameCode(t *testing.T) {
	stored, err := before(asStored{}, "secret-", 23)
	require.NoError(t, err)

	codec, err := afterCodec()
	require.NoError(t, err)
	assert.Equal(t, stored, codec.Encode(23))

	secretIDs = codec
	t.Cleanup(func() { secretIDs = nil })
	row := after{ObjectMeta: objectmeta.ObjectMeta[afterKind]{ID: 23}, Username: "admin"}
	text, err := json.Marshal(row)
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"instanceID":"secret-yj8m30"},"username":"admin"}`, string(text))
	id, err := objectmeta.ParseID[afterKind](stored)
	require.NoError(t, err)
	assert.Equal(t, row.ID, id)
}

func TestBridgeKeepsOldCodes(t *testing.T) {
	legacy, err := afterCodec()
	require.NoError(t, err)
	bridge, err := afterBridge(legacy, 7_962_623, []byte("32 random bytes in a real service"))
	require.NoError(t, err)
	for _, id := range []uint64{1, 23, 7_962_623, 7_962_624, 1 << 40} {
		code := string(bridge.AppendEncode(nil, id))
		if id <= 7_962_623 {
			assert.Equal(t, legacy.Encode(id), code)
		} else {
			assert.NotEqual(t, legacy.Encode(id), code)
		}
		back, err := bridge.Decode(code)
		require.NoError(t, err)
		assert.Equal(t, id, back)
	}
}
