package objectmeta_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestListJSON(t *testing.T) {
	list := objectmeta.List[secret]{
		ListMeta: objectmeta.ListMeta{TotalCount: 7},
		Items:    []secret{{objectmeta.ObjectMeta[secretKind]{ID: 1}, "colin"}},
	}
	data, err := json.Marshal(list)
	require.NoError(t, err)
	assert.Equal(
		t,
		`{"totalCount":7,"items":[{"metadata":{"instanceID":"secret-zpmsxh"},"username":"colin"}]}`,
		string(data),
	)
	var out objectmeta.List[secret]
	require.NoError(t, json.Unmarshal(data, &out))
	assert.Equal(t, list, out)

	data, err = json.Marshal(objectmeta.List[secret]{Items: []secret{}})
	require.NoError(t, err)
	assert.Equal(t, `{"totalCount":0,"items":[]}`, string(data))
}

func TestListOptionsPage(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	tests := map[string]struct {
		options       objectmeta.ListOptions
		offset, limit int
		err           string
	}{
		"unset":              {objectmeta.ListOptions{}, 0, 20, ""},
		"set":                {objectmeta.ListOptions{Offset: n(40), Limit: n(10)}, 40, 10, ""},
		"offset 0":           {objectmeta.ListOptions{Offset: n(0)}, 0, 20, ""},
		"limit 0 is unset":   {objectmeta.ListOptions{Limit: n(0)}, 0, 20, ""},
		"at most":            {objectmeta.ListOptions{Limit: n(100)}, 0, 100, ""},
		"more than the most": {objectmeta.ListOptions{Limit: n(101)}, 0, 100, ""},
		"greatest": {
			objectmeta.ListOptions{Offset: n(math.MaxInt64), Limit: n(math.MaxInt64)},
			math.MaxInt,
			100,
			"",
		},
		"negative limit": {
			objectmeta.ListOptions{Limit: n(-1)},
			0,
			0,
			"objectmeta: limit -1: must not be negative",
		},
		"negative offset": {
			objectmeta.ListOptions{Offset: n(-1)},
			0,
			0,
			"objectmeta: offset -1: must not be negative",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			offset, limit, err := test.options.Page(20, 100)
			assert.Equal(t, test.offset, offset)
			assert.Equal(t, test.limit, limit)
			if test.err == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, test.err)
			}
		})
	}
}

func TestKeysetPage(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	tests := map[string]struct {
		keyset objectmeta.Keyset[secretKind]
		after  secretID
		limit  int
		err    string
	}{
		"first page":         {objectmeta.Keyset[secretKind]{}, 0, 20, ""},
		"after a row":        {objectmeta.Keyset[secretKind]{After: 23, Limit: n(10)}, 23, 10, ""},
		"limit 0 is unset":   {objectmeta.Keyset[secretKind]{After: 23, Limit: n(0)}, 23, 20, ""},
		"more than the most": {objectmeta.Keyset[secretKind]{Limit: n(math.MaxInt64)}, 0, 100, ""},
		"negative limit": {
			objectmeta.Keyset[secretKind]{After: 23, Limit: n(-1)},
			0,
			0,
			"objectmeta: limit -1: must not be negative",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			after, limit, err := test.keyset.Page(20, 100)
			assert.Equal(t, test.after, after)
			assert.Equal(t, test.limit, limit)
			if test.err == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, test.err)
			}
		})
	}
}

func TestKeysetJSON(t *testing.T) {
	var k objectmeta.Keyset[secretKind]
	require.NoError(t, json.Unmarshal([]byte(`{"after":"secret-zpmsxh","limit":5}`), &k))
	assert.Equal(t, secretID(1), k.After)
	assert.Equal(t, int64(5), *k.Limit)
	require.ErrorIs(
		t,
		json.Unmarshal([]byte(`{"after":"user-j4lz3g"}`), &k),
		objectmeta.ErrInvalidID,
	)
	data, err := json.Marshal(objectmeta.Keyset[secretKind]{})
	require.NoError(t, err)
	assert.Equal(t, `{}`, string(data))
}

// Limits that a program makes no sense with panic where they are written, whatever the client
// sends.
func TestPagePanicsOnLimitsThatAreNone(t *testing.T) {
	for _, limits := range [][2]int{{0, 100}, {-1, 100}, {101, 100}, {0, 0}} {
		want := fmt.Sprintf(
			"objectmeta: Page(%d, %d): the default limit must be from 1 to the maximum",
			limits[0],
			limits[1],
		)
		assert.PanicsWithValue(
			t,
			want,
			func() { _, _, _ = objectmeta.ListOptions{}.Page(limits[0], limits[1]) },
		)
		assert.PanicsWithValue(
			t,
			want,
			func() { _, _, _ = objectmeta.Keyset[secretKind]{}.Page(limits[0], limits[1]) },
		)
	}
	_, limit, err := objectmeta.ListOptions{}.Page(100, 100)
	assert.NoError(t, err)
	assert.Equal(t, 100, limit)
}
