package service

import (
	"context"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// Update replaces what may change of a user: email, extend and, if there is one in it, the password; and by an admin, whether the user
// is one. With a new password all tokens of the user are void.
func (u Users) Update(ctx context.Context, caller *model.User, name string, user *model.User) (*model.User, error) {
	self := name == caller.Name
	if !caller.Admin && !self {
		return nil, ErrUserNotFound
	}
	user.ClearServerFields()
	for _, err := range []error{sameName(user.Name, name), validateUser(user)} {
		if err != nil {
			return nil, err
		}
	}
	switch {
	case user.Admin && !caller.Admin:
		return nil, response.ErrForbidden.Detail("only an admin makes another one")
	case self && caller.Admin && !user.Admin:
		return nil, ErrOwnAdmin.Detail(`an admin cannot demote itself, another one can: send "admin":true`)
	}
	user.Name = name
	columns := []string{"email", "extendShadow"}
	if caller.Admin {
		columns = append(columns, "admin")
	}
	if user.Password != "" {
		if err := validatePassword(user.Password); err != nil {
			return nil, err
		}
		hash, err := u.hash(ctx, user.Password)
		if err != nil {
			return nil, err
		}
		user.PasswordHash = string(hash)
		columns = append(columns, "passwordHash")
	}
	updated, err := u.Store.Users.Update(ctx, user, columns...)
	return updated, publicUser(err)
}

// Update replaces what may change of a secret: description, expires and extend.
func (s Secrets) Update(ctx context.Context, caller *model.User, id model.SecretID, secret *model.Secret) (*model.Secret, error) {
	is, err := s.Get(ctx, caller, id)
	if err != nil {
		return nil, err
	}
	secret.ClearServerFields()
	for _, err := range []error{sameName(secret.Name, is.Name), validateSecret(secret)} {
		if err != nil {
			return nil, err
		}
	}
	updated, version, err := s.Store.Secrets.Update(ctx, caller.ID, id, secret, "description", "expires", "extendShadow")
	if err != nil {
		return nil, publicSecret(err)
	}
	s.changed(ctx, notify.SecretChanged, version)
	return updated, nil
}

// Update replaces what may change of a policy: the document and extend.
func (p Policies) Update(ctx context.Context, caller *model.User, id model.PolicyID, policy *model.Policy) (*model.Policy, error) {
	is, err := p.Get(ctx, caller, id)
	if err != nil {
		return nil, err
	}
	policy.ClearServerFields()
	for _, err := range []error{sameName(policy.Name, is.Name), validatePolicy(policy)} {
		if err != nil {
			return nil, err
		}
	}
	updated, version, err := p.Store.Policies.Update(ctx, caller.ID, id, policy, "document", "extendShadow")
	if err != nil {
		return nil, publicPolicy(err)
	}
	p.changed(ctx, notify.PolicyChanged, version)
	return updated, nil
}
