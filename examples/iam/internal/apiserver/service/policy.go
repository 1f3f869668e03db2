package service

import (
	"context"
	"fmt"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/examples/iam/internal/policy"
	"github.com/gracekit/gracekit/objectmeta"
)

// Policies are found by ID.
type Policies struct {
	owned[model.Policy, model.PolicyKind]
}

func newPolicies(c *core) Policies {
	return Policies{owned[model.Policy, model.PolicyKind]{
		core: c, objects: c.Store.Policies, event: notify.PolicyChanged,
		notFound: ErrPolicyNotFound, exists: ErrPolicyExists, quota: ErrPolicyQuota,
	}}
}

// A PolicySpec is what a client may set of a policy; of the metadata that is name and extend.
type PolicySpec struct {
	objectmeta.ObjectMeta[model.PolicyKind]

	Document policy.Document
}

func (s PolicySpec) policy() *model.Policy {
	policy := &model.Policy{Document: s.Document}
	policy.Name, policy.Extend = s.Name, s.Extend
	return policy
}

// Create stores a policy of the caller.
func (p Policies) Create(ctx context.Context, caller *model.User, spec PolicySpec) (*model.Policy, error) {
	policy := spec.policy()
	for _, err := range []error{validateName(policy.Name), validatePolicy(policy)} {
		if err != nil {
			return nil, err
		}
	}
	policy.OwnerID = caller.ID
	version, err := p.objects.Create(ctx, policy)
	return policy, p.done(ctx, version, err)
}

// A PolicyPage is a page by key. Next is where the one after it begins; it is 0 after the last.
type PolicyPage struct {
	Items []model.Policy
	Next  model.PolicyID
}

// ListAfter returns the page of the selected policies that follows the key.
func (p Policies) ListAfter(ctx context.Context, caller *model.User, fields Fields, key objectmeta.Keyset[model.PolicyKind]) (page PolicyPage, err error) {
	owner, conditions, err := p.whose(ctx, caller, Selection{Fields: fields})
	if err != nil {
		return page, err
	}
	after, limit, err := key.Page(defaultLimit, maxLimit)
	if err != nil {
		return page, fmt.Errorf("%w: %w", ErrInvalidQuery.Detail("limit must not be negative"), err)
	}
	page.Items, err = p.objects.After(ctx, owner, after, limit+1, conditions...) // one more tells whether there is one more
	if len(page.Items) > limit {
		page.Items = page.Items[:limit]
		page.Next = page.Items[limit-1].ID
	}
	return page, err
}

// Update replaces the document and extend of a policy of the caller.
func (p Policies) Update(ctx context.Context, caller *model.User, id model.PolicyID, spec PolicySpec) (*model.Policy, error) {
	is, err := p.objects.Get(ctx, caller.ID, id)
	if err != nil {
		return nil, p.public(err)
	}
	policy := spec.policy()
	for _, err := range []error{sameName(policy.Name, is.Name), validatePolicy(policy)} {
		if err != nil {
			return nil, err
		}
	}
	updated, version, err := p.objects.Update(ctx, caller.ID, id, policy, "document", "extendShadow")
	return updated, p.done(ctx, version, err)
}
