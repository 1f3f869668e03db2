package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// Audience is who the tokens of Login are for. Those that clients sign for the authzservers have
// another one, so that neither passes for the other.
const Audience = "iam.api"

// loginClaims are what is in a token of Login. Its subject is the user's instance ID and not its
// name, which somebody else may have one day.
type loginClaims struct {
	jwt.RegisteredClaims
	// Password is a fingerprint of the stored hash: with a new password the tokens from before are
	// void.
	Password string `json:"pwd"`
}

// Login returns a token for the user, and until when it is valid. from is the address that the
// request came from: those of one address wait for each other, those of one name do not, or anybody
// could lock it out.
func (u Users) Login(ctx context.Context, from, name, password string) (token string, expires time.Time, err error) {
	user, err := u.Store.Users.Get(ctx, name)
	hash := u.noHash // so that a name nobody has takes as long as a wrong password
	switch {
	case err == nil:
		hash = []byte(user.PasswordHash)
	case !errors.Is(err, store.ErrNotFound):
		return "", time.Time{}, err
	}
	same, hashErr := u.matches(ctx, from, hash, password)
	switch {
	case hashErr != nil:
		return "", time.Time{}, hashErr
	case err != nil || !same:
		return "", time.Time{}, ErrWrongPassword
	case user.Disabled:
		return "", time.Time{}, ErrUserDisabled
	}
	now := time.Now()
	expires = now.Add(u.LoginTTL)
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, loginClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject:   user.ID.String(),
			Audience:  jwt.ClaimStrings{Audience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(expires),
		},
		Password: fingerprint(user.PasswordHash),
	}).SignedString(u.LoginKey)
	return token, expires, err
}

// Authenticate returns the user of a token that Login gave. The user is read anew each time, so
// that whoever is deleted, demoted, disabled or has a new password is so at once.
func (u Users) Authenticate(ctx context.Context, token string) (*model.User, error) {
	var claims loginClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return u.LoginKey, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), // and none of those the token may ask for
		jwt.WithAudience(Audience), jwt.WithExpirationRequired())
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, fmt.Errorf("%w: %w", ErrExpiredToken, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	id, err := objectmeta.ParseID[model.UserKind](claims.Subject)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	user, err := u.Store.Users.GetByID(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	case err != nil:
		return nil, err
	case subtle.ConstantTimeCompare([]byte(claims.Password), []byte(fingerprint(user.PasswordHash))) != 1:
		return nil, fmt.Errorf("%w: the password has changed", ErrInvalidToken)
	case user.Disabled:
		return nil, ErrUserDisabled
	}
	return user, nil
}

// fingerprint says nothing of the password to whoever does not have the hash with its salt.
func fingerprint(passwordHash string) string {
	sum := sha256.Sum256([]byte(passwordHash))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// AdminName is who EnsureAdmin creates.
const AdminName = "admin"

// EnsureAdmin creates an admin if there is none, as in a new database, and reports whether it did.
// One that was deleted by another admin does not come back. Several apiservers may do so at once:
// one of them creates it.
func (u Users) EnsureAdmin(ctx context.Context, password string) (created bool, err error) {
	if some, err := u.Store.Users.SomeAdmin(ctx); err != nil || some {
		return false, err
	}
	if err := validatePassword(password); err != nil {
		return false, err
	}
	hash, err := u.hash(ctx, "", password)
	if err != nil {
		return false, err
	}
	admin := &model.User{Admin: true, PasswordHash: string(hash)}
	admin.Name = AdminName
	err = u.Store.Users.Create(ctx, admin)
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}
