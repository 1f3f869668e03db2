package policy

import (
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
)

// The three parts of a request, as Cedar's policies know them. They stand in the context, not as principal, action and resource:
// those are entities, which Cedar compares as a whole, while "like" is for strings.
const (
	subject  types.String = "subject"
	action   types.String = "action"
	resource types.String = "resource"
)

// cedar translates a document:
//
//	permit (principal, action, resource)
//	when { context.subject like "users:ann" || context.subject like "robots:build-*" }
//	when { context.action like "read" }
//	when { context.resource like "articles:*" };
func (d Document) cedar() *cedar.Policy {
	policy := ast.Permit()
	if d.Effect == Deny {
		policy = ast.Forbid()
	}
	return cedar.NewPolicyFromAST(policy.
		When(anyLike(subject, d.Subjects)).
		When(anyLike(action, d.Actions)).
		When(anyLike(resource, d.Resources)))
}

func anyLike(attribute types.String, patterns []string) ast.Node {
	var either ast.Node
	for i, p := range patterns {
		like := ast.Context().Access(attribute).Like(pattern(p))
		if i == 0 {
			either = like
		} else {
			either = either.Or(like)
		}
	}
	return either
}

// pattern is built from its pieces, so that nothing but * has a meaning in it: no backslash, no quote.
func pattern(s string) types.Pattern {
	var parts []any
	for i, text := range strings.Split(s, "*") {
		if i > 0 {
			parts = append(parts, types.Wildcard{})
		}
		parts = append(parts, text)
	}
	return types.NewPattern(parts...)
}
