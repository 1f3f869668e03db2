package objectmeta_test

import (
	"encoding/json"
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
	assert.Equal(t, `{"totalCount":7,"items":[{"metadata":{"instanceID":"secret-zpmsxh"},"username":"colin"}]}`, string(data))
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
		"not said":           {objectmeta.ListOptions{}, 0, 20, ""},
		"said":               {objectmeta.ListOptions{Offset: n(40), Limit: n(10)}, 40, 10, ""},
		"offset 0":           {objectmeta.ListOptions{Offset: n(0)}, 0, 20, ""},
		"limit 0":            {objectmeta.ListOptions{Limit: n(0)}, 0, 0, ""},
		"at most":            {objectmeta.ListOptions{Limit: n(100)}, 0, 100, ""},
		"more than the most": {objectmeta.ListOptions{Limit: n(101)}, 0, 100, ""},
		"greatest":           {objectmeta.ListOptions{Offset: n(math.MaxInt64), Limit: n(math.MaxInt64)}, math.MaxInt, 100, ""},
		"negative limit":     {objectmeta.ListOptions{Limit: n(-1)}, 0, 0, "objectmeta: limit -1: must not be negative"},
		"negative offset":    {objectmeta.ListOptions{Offset: n(-1)}, 0, 0, "objectmeta: offset -1: must not be negative"},
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
