package service

import (
	"context"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Get returns a user: anyone to an admin, themselves to everybody else, to whom the others do not exist.
func (u Users) Get(ctx context.Context, caller *model.User, name string) (*model.User, error) {
	if !caller.Admin && name != caller.Name {
		return nil, ErrUserNotFound
	}
	user, err := u.Store.Users.Get(ctx, name)
	return user, publicUser(err)
}

// Get returns a secret of the caller, without its key.
func (s Secrets) Get(ctx context.Context, caller *model.User, id model.SecretID) (*model.Secret, error) {
	secret, err := s.Store.Secrets.Get(ctx, caller.ID, id)
	return secret, publicSecret(err)
}

// Get returns a policy of the caller.
func (p Policies) Get(ctx context.Context, caller *model.User, id model.PolicyID) (*model.Policy, error) {
	policy, err := p.Store.Policies.Get(ctx, caller.ID, id)
	return policy, publicPolicy(err)
}
