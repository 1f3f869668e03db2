package authzserver

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gracekit/gracekit/examples/ginserver/response"
)

// What this server answers to a token that does not count, and to a user who asks too much.
var (
	ErrTokenMissing  = response.Error{Code: 121001, Status: http.StatusUnauthorized, Message: "the token is missing: want it in the header Authorization, after the word Bearer"}
	ErrTokenInvalid  = response.Error{Code: 121002, Status: http.StatusUnauthorized, Message: "the token is not valid"}
	ErrTokenExpired  = response.Error{Code: 121003, Status: http.StatusUnauthorized, Message: "the token has expired"}
	ErrTokenLifetime = response.Error{Code: 121004, Status: http.StatusUnauthorized, Message: "the token must have an expiry (exp), at most an hour ahead"}
	ErrSecretExpired = response.Error{Code: 121005, Status: http.StatusUnauthorized, Message: "the secret that signed the token has expired"}
	ErrBusy          = response.Error{Code: 121006, Status: http.StatusTooManyRequests, Message: "too many decisions of this user at once that ask thousands of patterns"}
)

// Errors returns the errors above, for [response.NewCodes].
func Errors() []response.Error {
	return []response.Error{ErrTokenMissing, ErrTokenInvalid, ErrTokenExpired, ErrTokenLifetime, ErrSecretExpired, ErrBusy}
}

const (
	audience = "iam.authz" // so that a token made for the apiserver does not open this one

	// maxLifetime bounds what a token that got into wrong hands is worth. The clock of who made it
	// may be ahead.
	maxLifetime = time.Hour + clockSkew
	clockSkew   = time.Minute
)

// A verifier checks tokens: HS256, signed with the key of the secret whose ID is in the header kid.
type verifier struct {
	parser *jwt.Parser
}

func newVerifier() *verifier {
	return &verifier{jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), // whatever the header alg says, "none" above all
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithLeeway(clockSkew), // for nbf; one that has expired is refused below all the same
	)}
}

// verify returns the ID of the secret that signed the token, as lookup has it. Only who holds the
// key learns more than that a token is not valid: the signature is checked before everything else.
func (v *verifier) verify(header string, lookup func(id string) (s secret, found bool)) (id string, err error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", ErrTokenMissing
	}
	var signed secret
	var claims jwt.RegisteredClaims
	_, err = v.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		id, _ = t.Header["kid"].(string)
		var known bool
		if signed, known = lookup(id); !known {
			return nil, errors.New("no secret has the ID in kid")
		}
		return signed.key, nil
	})
	now := time.Now()
	switch {
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && claims.ExpiresAt == nil:
		return "", fmt.Errorf("%w: %w", ErrTokenLifetime, err)
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", fmt.Errorf("%w: %w", ErrTokenExpired, err)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrTokenInvalid, err)
	case !now.Before(claims.ExpiresAt.Time):
		return "", ErrTokenExpired
	case claims.ExpiresAt.Sub(now) > maxLifetime:
		return "", fmt.Errorf("%w: it expires in %v", ErrTokenLifetime, claims.ExpiresAt.Sub(now))
	case !signed.expires.IsZero() && !now.Before(signed.expires):
		return "", ErrSecretExpired
	}
	return id, nil
}
