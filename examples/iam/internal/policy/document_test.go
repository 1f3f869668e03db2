package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

const good = `{"description":"d","effect":"allow","subjects":["users:ann"],"actions":["read","list"],"resources":["articles:*"]}`

func TestParse(t *testing.T) {
	doc, err := policy.Parse([]byte(" \n" + good + "\n"))
	require.NoError(t, err)
	assert.Equal(t, policy.Document{
		Description: "d", Effect: policy.Allow,
		Subjects: []string{"users:ann"}, Actions: []string{"read", "list"}, Resources: []string{"articles:*"},
	}, doc)

	var inside struct{ Policy policy.Document }
	require.NoError(t, json.Unmarshal([]byte(`{"policy":`+good+`}`), &inside))
	assert.Equal(t, doc, inside.Policy)
	written, err := json.Marshal(doc)
	require.NoError(t, err)
	assert.Equal(t, good, string(written))
}

func TestParseRefuses(t *testing.T) {
	with := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	many := func(n int) string { return `["` + strings.Join(make([]string, n), `a","`) + `a"]` }
	tests := []struct{ name, document, want string }{
		{"nothing", "", "policy: the document ends in the middle"},
		{"half", good[:60], "policy: the document ends in the middle"},
		{"half, after a member", `{"effect":"allow"`, "policy: the document ends in the middle"},
		{"a list", "[]", "policy: the document is not a JSON object"},
		{"null", "null", "policy: the document is not a JSON object"},
		{"empty", "{}", `policy: effect "", want "allow" or "deny"`},
		{"two documents", good + good, "policy: something follows the document"},
		{"rubbish after it", good + "}", "policy: something follows the document"},
		{"unknown member", with(`"effect"`, `"permit":1,"effect"`), `policy: unknown member "permit", want description, effect, subjects, actions or resources`},
		{"other case", with(`"effect"`, `"Effect"`), `policy: unknown member "Effect", want description, effect, subjects, actions or resources`},
		{"member twice", with(`"effect"`, `"effect":"deny","effect"`), `policy: member "effect" comes twice`},
		{"unknown effect", with("allow", "permit"), `policy: effect "permit", want "allow" or "deny"`},
		{"effect in capitals", with("allow", "Allow"), `policy: effect "Allow", want "allow" or "deny"`},
		{"no subjects", with(`["users:ann"]`, `[]`), `policy: subjects is empty, so that nothing could match; "*" stands for all`},
		{"null actions", with(`["read","list"]`, `null`), `policy: actions is empty, so that nothing could match; "*" stands for all`},
		{"empty pattern", with(`"list"`, `""`), `policy: actions[1] is empty`},
		{"long pattern", with("articles:*", strings.Repeat("x", 257)), `policy: resources[0] "` + strings.Repeat("x", 40) + `…" has 257 bytes, at most 256 are allowed`},
		{"many patterns", with(`["users:ann"]`, many(129)), "policy: subjects has 129 patterns, at most 128 are allowed"},
		{"long description", with(`"d"`, `"`+strings.Repeat("x", 1025)+`"`), "policy: description has 1025 bytes, at most 1024 are allowed"},
		{"not UTF-8", with("ann", "\xff"), "policy: the document is not valid UTF-8"},
		{"large", strings.Repeat(" ", 32<<10) + good, "policy: the document has 32882 bytes, at most 32768 are allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Parse([]byte(tt.document))
			assert.EqualError(t, err, tt.want)
		})
	}
	for name, document := range map[string]string{
		"string for a list": with(`["users:ann"]`, `"users:ann"`),
		"number as pattern": with(`"users:ann"`, `1`),
		"a comma too many":  with(`"effect"`, `,"effect"`),
		"no comma":          with(`"d",`, `"d"`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Parse([]byte(document))
			assert.ErrorContains(t, err, "policy: ")
		})
	}
}
