package policy_test

import (
	"context"
	"fmt"
	"testing"
	"time"

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
			policies := make([]*policy.Policy, n)
			for i := range policies {
				doc := tt.doc(i)
				doc.Effect = policy.Allow
				if i%10 == 0 {
					doc.Effect = policy.Deny
				}
				policies[i] = newPolicy(b, fmt.Sprintf("policy-%d", i), fmt.Sprintf("user-%d", i%tt.owners), doc)
			}
			set := newSet(policies...)
			const asked = 5003
			owner := fmt.Sprintf("user-%d", asked%tt.owners)
			r := policy.Request{Subject: fmt.Sprintf("users:u%d-x", asked), Action: "list", Resource: fmt.Sprintf("articles:a%d-7", asked)}
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour) // the context of a request has a deadline, too
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if d, err := set.Of(owner).Decide(ctx, r); err != nil || !d.Allowed {
					b.Fatal(d, err)
				}
			}
		})
	}
}

// What a change of one policy among 10,000 costs, by how many its owner has.
func BenchmarkChange(b *testing.B) {
	const n = 10_000
	for _, owners := range []int{1000, 10, 1} {
		b.Run(fmt.Sprint(n/owners, " of the owner"), func(b *testing.B) {
			policies := make([]*policy.Policy, n)
			for i := range policies {
				policies[i] = newPolicy(b, fmt.Sprintf("policy-%d", i), fmt.Sprintf("user-%d", i%owners),
					document(policy.Allow, fmt.Sprintf("users:u%d-*", i), "read list", fmt.Sprintf("articles:a%d-*", i)))
			}
			set := newSet(policies...)
			b.ReportAllocs()
			for b.Loop() {
				set.Prepare(policies[7:8], nil)()
			}
		})
	}
}
