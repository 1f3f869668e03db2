package service

import (
	"context"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// DeleteCollection deletes all users who are not admins, with all that they own, by an admin.
func (u Users) DeleteCollection(ctx context.Context, caller *model.User) error {
	if !caller.Admin {
		return response.ErrForbidden.Detail("only an admin deletes all users")
	}
	now, err := u.Store.Users.DeleteCollection(ctx)
	if err != nil {
		return err
	}
	u.gone(ctx, now)
	return nil
}

// DeleteCollection deletes all secrets of the caller.
func (s Secrets) DeleteCollection(ctx context.Context, caller *model.User) error {
	version, err := s.Store.Secrets.DeleteCollection(ctx, caller.ID)
	if err != nil {
		return err
	}
	s.changed(ctx, notify.SecretChanged, version)
	return nil
}

// DeleteCollection deletes all policies of the caller.
func (p Policies) DeleteCollection(ctx context.Context, caller *model.User) error {
	version, err := p.Store.Policies.DeleteCollection(ctx, caller.ID)
	if err != nil {
		return err
	}
	p.changed(ctx, notify.PolicyChanged, version)
	return nil
}
