package policy_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/iam/internal/policy"
)

// 10,000 policies, one in ten of which denies, asked for one that is allowed:
//
//	go test -C examples -run='^$' -bench=Decide ./iam/internal/policy
func BenchmarkDecide(b *testing.B) {
	const n = 10_000
	tests := []struct {
		name   string
		owners int
		doc    func(i int) policy.Document
	}{
		{"1000 owners", 1000, func(i int) policy.Document {
			return document("", fmt.Sprintf("users:u%d-*", i), "read list", fmt.Sprintf("articles:a%d-*", i))
		}},
		{"one owner, subjects named", 1, func(i int) policy.Document {
			return document("", fmt.Sprintf("users:u%d-x", i), "read list", fmt.Sprintf("articles:a%d-*", i))
		}},
		{"one owner, wildcards only", 1, func(i int) policy.Document {
			return document("", fmt.Sprintf("users:u%d-*", i), "read list", fmt.Sprintf("articles:a%d-*", i))
		}},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			sources := make([]policy.Source, n)
			for i := range sources {
				doc := tt.doc(i)
				doc.Effect = policy.Allow
				if i%10 == 0 {
					doc.Effect = policy.Deny
				}
				sources[i] = source(b, fmt.Sprintf("policy-%d", i), fmt.Sprintf("user-%d", i%tt.owners), doc)
			}
			set, err := policy.NewSet(sources, nil)
			require.NoError(b, err)
			const asked = 5003
			owner := fmt.Sprintf("user-%d", asked%tt.owners)
			r := policy.Request{Subject: fmt.Sprintf("users:u%d-x", asked), Action: "list", Resource: fmt.Sprintf("articles:a%d-7", asked)}
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour) // the context of a request has a deadline, too
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if d, err := set.Decide(ctx, owner, r); err != nil || !d.Allowed {
					b.Fatal(d, err)
				}
			}
		})
	}
}

// What a load costs: all new, and one changed among 10,000.
func BenchmarkNewSet(b *testing.B) {
	const n = 10_000
	sources := make([]policy.Source, n)
	for i := range sources {
		sources[i] = source(b, fmt.Sprintf("policy-%d", i), fmt.Sprintf("user-%d", i%1000),
			document(policy.Allow, fmt.Sprintf("users:u%d-*", i), "read list", fmt.Sprintf("articles:a%d-*", i)))
	}
	whole, err := policy.NewSet(sources, nil)
	require.NoError(b, err)
	changed := append([]policy.Source(nil), sources...)
	changed[7] = source(b, "policy-7", "user-7", document(policy.Deny, "*", "*", "*"))
	for name, bb := range map[string]struct {
		sources  []policy.Source
		previous *policy.Set
	}{"all new": {sources, nil}, "one changed": {changed, whole}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := policy.NewSet(bb.sources, bb.previous); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
