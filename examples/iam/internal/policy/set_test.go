package policy_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

func source(t testing.TB, id, owner string, doc policy.Document) policy.Source {
	data, err := json.Marshal(doc)
	require.NoError(t, err)
	return policy.Source{ID: id, Owner: owner, Document: data}
}

func document(effect policy.Effect, subjects, actions, resources string) policy.Document {
	return policy.Document{Effect: effect, Subjects: strings.Fields(subjects), Actions: strings.Fields(actions), Resources: strings.Fields(resources)}
}

// decide is Decide without an end.
func decide(t testing.TB, set *policy.Set, owner string, r policy.Request) policy.Decision {
	d, err := set.Decide(t.Context(), owner, r)
	require.NoError(t, err)
	return d
}

func TestDecide(t *testing.T) {
	set, err := policy.NewSet([]policy.Source{
		source(t, "policy-1", "ann", document(policy.Allow, "users:ben users:cem", "read list", "articles:*")),
		source(t, "policy-2", "ann", document(policy.Deny, "*", "*", "articles:secret")),
		source(t, "policy-3", "ann", document(policy.Allow, "robots:*-ci", "*", "builds:1 builds:2")),
		source(t, "policy-4", "ann", document(policy.Deny, "users:cem", "list", "*")),
		source(t, "policy-5", "dan", document(policy.Allow, "*", "*", "*")),
	}, nil)
	require.NoError(t, err)
	assert.Equal(t, 5, set.Len())
	tests := []struct {
		name    string
		owner   string
		request policy.Request
		allowed bool
		reason  string
	}{
		{"allowed", "ann", policy.Request{"users:ben", "read", "articles:7"}, true, "allowed by policy-1"},
		{"the other subject and action", "ann", policy.Request{"users:ben", "list", "articles:"}, true, "allowed by policy-1"},
		{"a subject that nobody names", "ann", policy.Request{"users:eve", "read", "articles:7"}, false, "no policy allows it"},
		{"a longer subject", "ann", policy.Request{"users:ben2", "read", "articles:7"}, false, "no policy allows it"},
		{"another action", "ann", policy.Request{"users:ben", "write", "articles:7"}, false, "no policy allows it"},
		{"another case", "ann", policy.Request{"users:ben", "Read", "articles:7"}, false, "no policy allows it"},
		{"deny with * wins", "ann", policy.Request{"users:ben", "read", "articles:secret"}, false, "denied by policy-2"},
		{"deny for one subject wins", "ann", policy.Request{"users:cem", "list", "articles:7"}, false, "denied by policy-4"},
		{"and leaves the rest", "ann", policy.Request{"users:cem", "read", "articles:7"}, true, "allowed by policy-1"},
		{"found by its resource", "ann", policy.Request{"robots:a-ci", "x", "builds:2"}, true, "allowed by policy-3"},
		{"* in a request is no wildcard", "ann", policy.Request{"users:*", "read", "articles:7"}, false, "no policy allows it"},
		{"another owner's policies", "dan", policy.Request{"users:eve", "read", "articles:secret"}, true, "allowed by policy-5"},
		{"an owner without policies", "eve", policy.Request{"users:ben", "read", "articles:7"}, false, "no policy allows it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, policy.Decision{Allowed: tt.allowed, Reason: tt.reason}, decide(t, set, tt.owner, tt.request))
		})
	}
}

// What cannot be read may be a denial.
func TestUnreadableDocumentDeniesItsOwner(t *testing.T) {
	all := document(policy.Allow, "*", "*", "*")
	sources := []policy.Source{
		source(t, "policy-1", "ann", all), source(t, "policy-2", "ben", all),
		{ID: "policy-3", Owner: "ann", Document: []byte(`{"effect":"perhaps"}`)},
	}
	set, err := policy.NewSet(sources, nil)
	assert.EqualError(t, err, `policy-3 of ann: policy: effect "perhaps", want "allow" or "deny"`)
	assert.Equal(t, policy.Decision{Reason: "policy-3 cannot be read, and could be one that denies"}, decide(t, set, "ann", policy.Request{"a", "b", "c"}))
	assert.True(t, decide(t, set, "ben", policy.Request{"a", "b", "c"}).Allowed)

	set, err = policy.NewSet(sources[:2], set)
	assert.NoError(t, err)
	assert.True(t, decide(t, set, "ann", policy.Request{"a", "b", "c"}).Allowed, "mended")
}

func TestSetFromPrevious(t *testing.T) {
	any := policy.Request{"a", "b", "c"}
	allow, deny := document(policy.Allow, "*", "*", "*"), document(policy.Deny, "*", "*", "*")
	first, err := policy.NewSet([]policy.Source{source(t, "policy-1", "ann", allow), source(t, "policy-2", "ben", allow)}, nil)
	require.NoError(t, err)
	second, err := policy.NewSet([]policy.Source{source(t, "policy-1", "ann", deny), source(t, "policy-2", "cem", allow)}, first)
	require.NoError(t, err)
	assert.False(t, decide(t, second, "ann", any).Allowed, "changed")
	assert.False(t, decide(t, second, "ben", any).Allowed, "given to somebody else")
	assert.True(t, decide(t, second, "cem", any).Allowed, "by ben")
	assert.True(t, decide(t, first, "ann", any).Allowed, "the first set is as it was")
	assert.True(t, decide(t, first, "ben", any).Allowed, "the first set is as it was")
}

// reference decides by regular expressions and without an index.
func reference(docs []policy.Document, r policy.Request) bool {
	anyOf := func(patterns []string, s string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, s) })
	}
	allowed := false
	for _, d := range docs {
		if anyOf(d.Subjects, r.Subject) && anyOf(d.Actions, r.Action) && anyOf(d.Resources, r.Resource) {
			if d.Effect == policy.Deny {
				return false
			}
			allowed = true
		}
	}
	return allowed
}

func matches(pattern, s string) bool {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	return regexp.MustCompile(`(?s)\A` + quoted + `\z`).MatchString(s)
}

func TestDecideAsTheReference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := func(letters string, n int) []string { // over so few letters that much of it matches
		list := make([]string, 1+random.IntN(n))
		for i := range list {
			b := make([]byte, 1+random.IntN(3))
			for j := range b {
				b[j] = letters[random.IntN(len(letters))]
			}
			list[i] = string(b)
		}
		return list
	}
	decisions := map[bool]int{}
	for range 2000 {
		docs := make([]policy.Document, random.IntN(6))
		sources := make([]policy.Source, len(docs))
		for i := range docs {
			docs[i] = policy.Document{Effect: policy.Allow, Subjects: words("ab*", 3), Actions: words("ab*", 3), Resources: words("ab*", 3)}
			if random.IntN(5) == 0 {
				docs[i].Effect = policy.Deny
			}
			sources[i] = source(t, "policy-"+strconv.Itoa(i), "ann", docs[i])
		}
		set, err := policy.NewSet(sources, nil)
		require.NoError(t, err)
		for range 5 {
			r := policy.Request{words("ab", 1)[0], words("ab", 1)[0], words("ab", 1)[0]}
			want := reference(docs, r)
			require.Equal(t, want, decide(t, set, "ann", r).Allowed, "%v of %v", r, docs)
			decisions[want]++
		}
	}
	assert.Greater(t, decisions[true], 500)
	assert.Greater(t, decisions[false], 500)
}

// The end of a request is the end of its deciding, in the middle of the policies, and then there is no decision.
func TestDecideEndsWithItsContext(t *testing.T) {
	sources := make([]policy.Source, 100)
	for i := range sources {
		sources[i] = source(t, "policy-"+strconv.Itoa(i), "ann", document(policy.Allow, "*", "*", "*"))
	}
	sources[99] = source(t, "policy-99", "ann", document(policy.Deny, "*", "*", "*"))
	set, err := policy.NewSet(sources, nil)
	require.NoError(t, err)
	ctx := &endingContext{Context: t.Context(), after: 10}
	d, err := set.Decide(ctx, "ann", policy.Request{"a", "b", "c"})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Zero(t, d)
	assert.Less(t, ctx.asked, 20, "it went on")
}

// An endingContext ends when it has been asked so often whether it has.
type endingContext struct {
	context.Context
	after, asked int
}

func (c *endingContext) Err() error {
	c.asked++
	if c.asked > c.after {
		return context.DeadlineExceeded
	}
	return nil
}
