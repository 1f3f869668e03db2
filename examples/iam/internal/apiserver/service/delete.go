package service

import (
	"context"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// Delete deletes a user with all its secrets and policies: anyone by an admin, themselves by everybody else.
func (u Users) Delete(ctx context.Context, caller *model.User, name string) error {
	self := name == caller.Name
	switch {
	case !caller.Admin && !self:
		return ErrUserNotFound
	case caller.Admin && self:
		return ErrOwnAdmin
	}
	now, err := u.Store.Users.Delete(ctx, name)
	if err != nil {
		return publicUser(err)
	}
	u.gone(ctx, now)
	return nil
}

// Delete deletes a secret of the caller. Tokens signed with it are refused from then on.
func (s Secrets) Delete(ctx context.Context, caller *model.User, id model.SecretID) error {
	version, err := s.Store.Secrets.Delete(ctx, caller.ID, id)
	if err != nil {
		return publicSecret(err)
	}
	s.changed(ctx, notify.SecretChanged, version)
	return nil
}

// Delete deletes a policy of the caller.
func (p Policies) Delete(ctx context.Context, caller *model.User, id model.PolicyID) error {
	version, err := p.Store.Policies.Delete(ctx, caller.ID, id)
	if err != nil {
		return publicPolicy(err)
	}
	p.changed(ctx, notify.PolicyChanged, version)
	return nil
}
