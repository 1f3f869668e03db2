package objectmeta_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gracekit/gracekit/objectmeta"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type secret struct {
	objectmeta.ObjectMeta[secretKind] `json:"metadata"`
	Username                          string `json:"username"`
}

func TestObjectMetaJSON(t *testing.T) {
	created := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	tests := map[string]struct {
		in   secret
		want string
	}{
		"nothing set": {secret{}, `{"metadata":{},"username":""}`},
		"all set": {
			secret{objectmeta.ObjectMeta[secretKind]{
				ID: 1, Name: "ci", Extend: objectmeta.Extend{"team": "infra"}, CreatedAt: created, UpdatedAt: created,
			}, "colin"},
			`{"metadata":{"instanceID":"secret-zpmsxh","name":"ci","extend":{"team":"infra"},` +
				`"createdAt":"2026-03-04T05:06:07Z","updatedAt":"2026-03-04T05:06:07Z"},"username":"colin"}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(test.in)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(data))
			var out secret
			require.NoError(t, json.Unmarshal(data, &out))
			assert.Equal(t, test.in, out)
		})
	}
}

func TestObjectMetaTags(t *testing.T) {
	want := map[string]string{
		"ID":        `json:"instanceID,omitzero" gorm:"column:id;primaryKey;autoIncrement"`,
		"Name":      `json:"name,omitempty" gorm:"column:name;type:varchar(64);not null"`,
		"Extend":    `json:"extend,omitempty" gorm:"column:extendShadow;type:text"`,
		"CreatedAt": `json:"createdAt,omitzero" gorm:"column:createdAt"`,
		"UpdatedAt": `json:"updatedAt,omitzero" gorm:"column:updatedAt"`,
	}
	got := map[string]string{}
	for f := range reflect.TypeFor[objectmeta.ObjectMeta[secretKind]]().Fields() {
		got[f.Name] = string(f.Tag)
	}
	assert.Equal(t, want, got)
}

func TestClearServerFields(t *testing.T) {
	body := `{"metadata":{"instanceID":"secret-zpmsxh","name":"ci","extend":{"team":"infra"},
		"createdAt":"1999-01-01T00:00:00Z","updatedAt":"1999-01-01T00:00:00Z"},"username":"colin"}`
	var s secret
	require.NoError(t, json.Unmarshal([]byte(body), &s))
	require.Equal(t, secretID(1), s.ID, "what the client would have got away with")

	s.ClearServerFields()
	assert.Equal(
		t,
		secret{
			objectmeta.ObjectMeta[secretKind]{
				Name:   "ci",
				Extend: objectmeta.Extend{"team": "infra"},
			},
			"colin",
		},
		s,
	)
}

func TestValidateName(t *testing.T) {
	valid := map[string]string{
		"letter":         "a",
		"digit":          "7",
		"upper case":     "Admin",
		"all of it":      "a-b_c.D9",
		"ends of ranges": "AZaz09",
		"dots inside":    "a..b",
		"64 characters":  strings.Repeat("a", 64),
	}
	for name, s := range valid {
		t.Run(name, func(t *testing.T) { assert.NoError(t, objectmeta.ValidateName(s)) })
	}
	invalid := map[string]string{
		"empty":           "",
		"dot":             ".",
		"two dots":        "..",
		"starts with -":   "-a",
		"ends with -":     "a-",
		"starts with _":   "_a",
		"ends with .":     "a.",
		"space":           "a b",
		"slash":           "a/b",
		"percent":         "a%2fb",
		"newline":         "a\nb",
		"NUL":             "a\x00b",
		"newline at end":  "a\n",
		"non-ASCII":       "é",
		"65 characters":   strings.Repeat("a", 65),
		"a megabyte":      strings.Repeat("a", 1<<20),
		"script":          "<script>",
		"quote":           `a"b`,
		"invalid UTF-8":   "a\xffb",
		"right-to-left":   "a\u202eb",
		"fullwidth":       "\uff41",
		"zero width join": "a\u200db",
	}
	for name, s := range invalid {
		t.Run(name, func(t *testing.T) {
			err := objectmeta.ValidateName(s)
			assert.ErrorIs(t, err, objectmeta.ErrInvalidName)
			assert.ErrorContains(
				t,
				err,
				"must be 1 to 64 of A-Z, a-z, 0-9, -, _ and ., and start and end with a letter or digit",
			)
			assert.Less(t, len(err.Error()), 500)
		})
	}
	assert.EqualError(
		t,
		objectmeta.ValidateName("a b"),
		`objectmeta: invalid name: "a b": must be 1 to 64 of A-Z, a-z, 0-9, -, _ and ., and start and end with a letter or digit`,
	)
}

// Whatever is a valid name is so to the letter of the rule.
func FuzzValidateName(f *testing.F) {
	for _, s := range []string{"", "a", "a-b_c.D9", ".a", "a.", strings.Repeat("a", 65), "é",
		"a\n"} {
		f.Add(s)
	}
	const ends = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	f.Fuzz(func(t *testing.T, s string) {
		want := s != "" && len(s) <= 64 && strings.Trim(s, ends+"-_.") == "" &&
			strings.Contains(ends, s[:1]) && strings.Contains(ends, s[len(s)-1:])
		for _, r := range s {
			want = want && strings.ContainsRune(ends+"-_.", r)
		}
		if err := objectmeta.ValidateName(s); (err == nil) != want ||
			err != nil && !errors.Is(err, objectmeta.ErrInvalidName) {
			t.Errorf("ValidateName(%q) = %v", s, err)
		}
	})
}
