package service

import (
	"context"
	"crypto/rand"
	"encoding/base64"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/objectmeta"
)

// Secrets are found by ID. Their keys are shown to nobody after the creation.
type Secrets struct {
	owned[model.Secret, model.SecretKind]
}

func newSecrets(c *core) Secrets {
	return Secrets{owned[model.Secret, model.SecretKind]{
		core: c, objects: c.Store.Secrets, event: notify.SecretChanged,
		notFound: ErrSecretNotFound, exists: ErrSecretExists, quota: ErrSecretQuota,
	}}
}

// A SecretSpec is what a client may set of a secret; of the metadata that is name and extend.
type SecretSpec struct {
	objectmeta.ObjectMeta[model.SecretKind] `json:"metadata"`

	Description string `json:"description"`
	Expires     *int64 `json:"expires"` // nil in an update leaves it as it is, or a change of the description would make it eternal
}

func (s SecretSpec) secret() *model.Secret {
	secret := &model.Secret{Description: s.Description}
	secret.Name, secret.Extend = s.Name, s.Extend
	if s.Expires != nil {
		secret.Expires = *s.Expires
	}
	return secret
}

// Create stores a secret of the caller with a new key. This is the only time the key is shown.
func (s Secrets) Create(ctx context.Context, caller *model.User, spec SecretSpec) (*model.Secret, error) {
	secret := spec.secret()
	for _, err := range []error{validateName(secret.Name), validateSecret(secret), validateExpires(secret.Expires)} {
		if err != nil {
			return nil, err
		}
	}
	secret.OwnerID = caller.ID
	secret.SigningKey = newKey()
	version, err := s.objects.Create(ctx, secret)
	secret.Key = secret.SigningKey
	return secret, s.done(ctx, version, err)
}

// newKey returns 256 random bits as text. Tokens are signed with the bytes of the text, so that any
// tool can do it.
func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.RawURLEncoding.EncodeToString(key)
}

// Update replaces description and extend of a secret of the caller and, if it is there, expires.
func (s Secrets) Update(ctx context.Context, caller *model.User, id model.SecretID, spec SecretSpec) (*model.Secret, error) {
	is, err := s.objects.Get(ctx, caller.ID, id)
	if err != nil {
		return nil, s.public(err)
	}
	secret, columns := spec.secret(), []string{"description", "extendShadow"}
	for _, err := range []error{sameName(secret.Name, is.Name), validateSecret(secret)} {
		if err != nil {
			return nil, err
		}
	}
	if spec.Expires != nil && secret.Expires != is.Expires {
		if err := validateExpires(secret.Expires); err != nil {
			return nil, err
		}
		columns = append(columns, "expires")
	}
	updated, version, err := s.objects.Update(ctx, caller.ID, id, secret, columns...)
	return updated, s.done(ctx, version, err)
}
