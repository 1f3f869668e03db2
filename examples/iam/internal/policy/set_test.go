package policy_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

func newPolicy(t testing.TB, id, owner string, doc policy.Document) *policy.Policy {
	data, err := json.Marshal(doc)
	require.NoError(t, err)
	p := policy.New(id, owner, data)
	require.NoError(t, p.Err())
	return p
}

func newSet(policies ...*policy.Policy) *policy.Set {
	set := policy.NewSet()
	set.Prepare(policies, nil)()
	return set
}

func document(effect policy.Effect, subjects, actions, resources string) policy.Document {
	return policy.Document{Effect: effect, Subjects: strings.Fields(subjects), Actions: strings.Fields(actions), Resources: strings.Fields(resources)}
}

// decide is Decide without an end.
func decide(t testing.TB, set *policy.Set, owner string, r policy.Request) policy.Decision {
	d, err := set.Of(owner).Decide(t.Context(), r)
	require.NoError(t, err)
	return d
}

func TestDecide(t *testing.T) {
	set := newSet(
		newPolicy(t, "policy-1", "ann", document(policy.Allow, "users:ben users:cem", "read list", "articles:*")),
		newPolicy(t, "policy-2", "ann", document(policy.Deny, "*", "*", "articles:secret")),
		newPolicy(t, "policy-3", "ann", document(policy.Allow, "robots:*-ci", "*", "builds:1 builds:2")),
		newPolicy(t, "policy-4", "ann", document(policy.Deny, "users:cem", "list", "*")),
		newPolicy(t, "policy-5", "dan", document(policy.Allow, "*", "*", "*")),
	)
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
			got := decide(t, set, tt.owner, tt.request)
			assert.Equal(t, tt.allowed, got.Allowed)
			assert.Equal(t, tt.reason, got.Reason)
			if got.Policy != "" {
				assert.Contains(t, got.Reason, " by "+got.Policy)
			}
		})
	}
}

// What cannot be read may be a denial.
func TestUnreadableDocumentDeniesItsOwner(t *testing.T) {
	all := document(policy.Allow, "*", "*", "*")
	broken := policy.New("policy-3", "ann", []byte(`{"effect":"perhaps"}`))
	assert.EqualError(t, broken.Err(), `policy-3 of ann: policy: effect "perhaps", want "allow" or "deny"`)
	set := newSet(newPolicy(t, "policy-1", "ann", all), newPolicy(t, "policy-2", "ben", all), broken)
	assert.Equal(t, policy.Decision{Reason: "policy-3 cannot be read, and could be one that denies", Policy: "policy-3"},
		decide(t, set, "ann", policy.Request{"a", "b", "c"}))
	assert.True(t, decide(t, set, "ben", policy.Request{"a", "b", "c"}).Allowed)

	set.Prepare(nil, []string{"policy-3"})()
	assert.True(t, decide(t, set, "ann", policy.Request{"a", "b", "c"}).Allowed, "mended")
}

func TestSetChanges(t *testing.T) {
	request := policy.Request{"a", "b", "c"}
	allow, deny := document(policy.Allow, "*", "*", "*"), document(policy.Deny, "*", "*", "*")
	set := newSet(newPolicy(t, "policy-1", "ann", allow), newPolicy(t, "policy-2", "ben", allow), newPolicy(t, "policy-3", "ben", allow))
	before := set.Of("ann")
	commit := set.Prepare([]*policy.Policy{newPolicy(t, "policy-1", "ann", deny), newPolicy(t, "policy-4", "cem", allow)},
		[]string{"policy-2", "policy-5"})
	assert.True(t, decide(t, set, "ann", request).Allowed, "not yet")
	commit()
	assert.Equal(t, 3, set.Len())
	assert.False(t, decide(t, set, "ann", request).Allowed, "changed")
	assert.Equal(t, "allowed by policy-3", decide(t, set, "ben", request).Reason, "of two one is left")
	assert.True(t, decide(t, set, "cem", request).Allowed, "new")
	old, err := before.Decide(t.Context(), request)
	require.NoError(t, err)
	assert.True(t, old.Allowed, "what was looked up before stays as it was")
	set.Prepare(nil, []string{"policy-1", "policy-3", "policy-4"})()
	assert.Zero(t, set.Len())
	assert.Nil(t, set.Of("ann"))
}

// A user's costly decisions take turns and leave half of the processors to others; others' do not
// wait for them.
func TestCostlyDecisionsTakeTurns(t *testing.T) {
	var costly []*policy.Policy
	for i := range 100 {
		costly = append(costly, newPolicy(t, "policy-"+strconv.Itoa(i), "ann", document(policy.Allow, strings.Repeat("x* ", 120), "*", "*")))
	}
	synctest.Test(t, func(t *testing.T) {
		set := newSet(append(costly, newPolicy(t, "policy-ben", "ben", document(policy.Allow, "*", "*", "*")))...)
		ctx := &gate{Context: t.Context(), entered: make(chan struct{}), open: make(chan struct{})}
		request := policy.Request{"a", "b", "c"}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := set.Of("ann").Decide(ctx, request)
			assert.NoError(t, err)
		}()
		<-ctx.entered
		assert.True(t, decide(t, set, "ben", request).Allowed)
		set.Prepare(costly[:1], nil)() // a change does not give her a second turn
		_, err := set.Of("ann").Decide(t.Context(), request)
		assert.ErrorIs(t, err, policy.ErrBusy)
		close(ctx.open)
		<-done
		assert.False(t, decide(t, set, "ann", request).Allowed, "and then it is her turn again")
	})
}

// A gate stops a decision in the middle of the policies, until it is open.
type gate struct {
	context.Context
	entered, open chan struct{}
	once          sync.Once
}

func (g *gate) Err() error {
	g.once.Do(func() { close(g.entered) })
	<-g.open
	return nil
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
		policies := make([]*policy.Policy, len(docs))
		for i := range docs {
			docs[i] = policy.Document{Effect: policy.Allow, Subjects: words("ab*", 3), Actions: words("ab*", 3), Resources: words("ab*", 3)}
			if random.IntN(5) == 0 {
				docs[i].Effect = policy.Deny
			}
			policies[i] = newPolicy(t, "policy-"+strconv.Itoa(i), "ann", docs[i])
		}
		set := newSet(policies...)
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

// The end of a request is the end of its deciding, in the middle of the policies, and then there is
// no decision.
func TestDecideEndsWithItsContext(t *testing.T) {
	policies := make([]*policy.Policy, 100)
	for i := range policies {
		policies[i] = newPolicy(t, "policy-"+strconv.Itoa(i), "ann", document(policy.Allow, "*", "*", "*"))
	}
	policies[99] = newPolicy(t, "policy-99", "ann", document(policy.Deny, "*", "*", "*"))
	set := newSet(policies...)
	ctx := &endingContext{Context: t.Context(), after: 10}
	d, err := set.Of("ann").Decide(ctx, policy.Request{"a", "b", "c"})
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
