package service

import (
	"context"
	"crypto/rand"
	"encoding/base64"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
)

// Create stores a user, for admins. The password is hashed and gone afterwards.
func (u Users) Create(ctx context.Context, caller, user *model.User) error {
	if !caller.Admin {
		return response.ErrForbidden.Detail("only an admin creates users")
	}
	user.ClearServerFields()
	for _, err := range []error{validateName(user.Name), validateUser(user), validatePassword(user.Password)} {
		if err != nil {
			return err
		}
	}
	hash, err := u.hash(ctx, user.Password)
	if err != nil {
		return err
	}
	user.PasswordHash, user.Password, user.Policies = string(hash), "", nil
	return publicUser(u.Store.Users.Create(ctx, user))
}

// Create stores a secret of the caller with a new key. This is the only time the key is shown.
func (s Secrets) Create(ctx context.Context, caller *model.User, secret *model.Secret) error {
	secret.ClearServerFields()
	for _, err := range []error{validateName(secret.Name), validateSecret(secret)} {
		if err != nil {
			return err
		}
	}
	secret.OwnerID = caller.ID
	secret.SigningKey = newKey()
	secret.Key = secret.SigningKey
	version, err := s.Store.Secrets.Create(ctx, secret)
	if err != nil {
		return publicSecret(err)
	}
	s.changed(ctx, notify.SecretChanged, version)
	return nil
}

// newKey returns 256 random bits as text. Tokens are signed with the bytes of the text, so that any tool can do it.
func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.RawURLEncoding.EncodeToString(key)
}

// Create stores a policy of the caller.
func (p Policies) Create(ctx context.Context, caller *model.User, policy *model.Policy) error {
	policy.ClearServerFields()
	for _, err := range []error{validateName(policy.Name), validatePolicy(policy)} {
		if err != nil {
			return err
		}
	}
	policy.OwnerID = caller.ID
	version, err := p.Store.Policies.Create(ctx, policy)
	if err != nil {
		return publicPolicy(err)
	}
	p.changed(ctx, notify.PolicyChanged, version)
	return nil
}
