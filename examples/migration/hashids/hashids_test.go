package hashids

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/objectmeta"
)

// asStored stands for go-hashids with iam's settings: it knows the codes that go-hashids made of
// some hundred numbers.
type asStored map[int]string

func (codes asStored) Encode(numbers []int) (string, error) {
	if code, ok := codes[numbers[0]]; ok {
		return code, nil
	}
	return "", fmt.Errorf("no code is known for %d", numbers[0])
}

func readStored(t *testing.T) asStored {
	t.Helper()
	text, err := os.ReadFile("../../../objectmeta/testdata/hashids.tsv")
	require.NoError(t, err)
	codes := make(asStored)
	for line := range strings.Lines(string(text)) {
		// alphabet, salt, min_length, id, code, reversed_code
		column := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if column[0] != "abcdefghijklmnopqrstuvwxyz1234567890" || column[1] != "x20k5x" || column[2] != "6" {
			continue
		}
		if id, err := strconv.Atoi(column[3]); err == nil { // beyond math.MaxInt64 go-hashids has none
			codes[id] = column[4]
		}
	}
	require.Greater(t, len(codes), 100)
	return codes
}

func TestTheSameCodes(t *testing.T) {
	codes := readStored(t)
	codec, err := afterCodec()
	require.NoError(t, err)
	for id := range codes {
		stored, err := before(codes, "secret-", uint64(id))
		require.NoError(t, err)
		assert.Equal(t, stored, codec.Encode(uint64(id)))
		back, err := codec.Decode(stored)
		require.NoError(t, err)
		assert.EqualValues(t, id, back)
	}
}

func TestTheSameRow(t *testing.T) {
	stored, err := before(readStored(t), "secret-", 23)
	require.NoError(t, err)
	secretIDs, err = afterCodec()
	require.NoError(t, err)
	t.Cleanup(func() { secretIDs = nil })

	row := after{ObjectMeta: objectmeta.ObjectMeta[afterKind]{ID: 23}, Username: "admin"}
	text, err := json.Marshal(row)
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"instanceID":"`+stored+`"},"username":"admin"}`, string(text))
	id, err := objectmeta.ParseID[afterKind](stored)
	require.NoError(t, err)
	assert.Equal(t, row.ID, id)
	for _, other := range []string{"user-yj8m30", "", "secret-aaaaaa"} {
		_, err = objectmeta.ParseID[afterKind](other)
		assert.ErrorIs(t, err, objectmeta.ErrInvalidID, other)
	}
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

// MinLength(7) is right up to the greatest key whose legacy code has six characters.
func TestBridgeRefusesWhatCouldMeet(t *testing.T) {
	legacy, err := afterCodec()
	require.NoError(t, err)
	_, err = afterBridge(legacy, 7_962_624, []byte("32 random bytes in a real service"))
	require.ErrorContains(t, err, "MinLength(8)")
}
