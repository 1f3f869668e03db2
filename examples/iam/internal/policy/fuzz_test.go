package policy_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

// Whatever Parse takes, encoding/json takes too and reads the same from it; and what is written
// from it reads the same again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{good, "{}", "null", `{"effect":"deny","effect":"allow"}`, good + " {}", `{"subjects":[null,"a"]}`, `{"effect":"deny","subjects":["*"],"actions":["\u002a"],"resources":["é"]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := policy.Parse(data)
		if err != nil {
			assert.Zero(t, doc)
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		assert.NoError(t, doc.Validate())
		type plain policy.Document // without UnmarshalJSON
		var second plain
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&second))
		assert.Equal(t, second, plain(doc))

		written, err := json.Marshal(doc)
		require.NoError(t, err)
		if len(written) <= policy.MaxSize { // escapes can be longer than what they stand for
			again, err := policy.Parse(written)
			require.NoError(t, err)
			assert.Equal(t, doc, again)
		}
	})
}

// The wildcards are those of a regular expression, in each of the three places.
func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"*", ""}, {"a*", "ab"}, {"*a", "aa"}, {"*ab*ab", "abab"}, {"a**b", "ab"}, {`\*`, `\`}, {"a.c", "abc"}, {"*aab", "aaab"}, {"x*y*z", "xyyz\n"}, {`"*"`, `"a"`}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if pattern == "" || len(pattern) > policy.MaxPattern || !utf8.ValidString(pattern) || !utf8.ValidString(s) {
			t.Skip()
		}
		want := matches(pattern, s)
		for i := range 3 {
			parts := [3]string{"*", "*", "*"}
			request := [3]string{"s", "a", "r"}
			parts[i], request[i] = pattern, s
			set := newSet(newPolicy(t, "policy-1", "ann", policy.Document{
				Effect: policy.Allow, Subjects: []string{parts[0]}, Actions: []string{parts[1]}, Resources: []string{parts[2]},
			}))
			got := decide(t, set, "ann", policy.Request{Subject: request[0], Action: request[1], Resource: request[2]}).Allowed
			assert.Equal(t, want, got, "%q in place %d, %q", pattern, i, s)
		}
	})
}
