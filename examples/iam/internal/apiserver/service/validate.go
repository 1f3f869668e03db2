package service

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/jsonx"
	"github.com/gracekit/gracekit/objectmeta"
)

// Bounds that fit the columns of all databases.
const (
	maxEmail       = 254
	maxDescription = 256
	maxExtend      = 8 << 10 // bytes of JSON

	minPassword = 8
	maxPassword = 72 // what bcrypt looks at
)

func validateName(name string) error {
	if err := objectmeta.ValidateName(name); err != nil {
		return ErrInvalidName.Detail("metadata.name is %.80q, must be 1 to 64 of A-Z a-z 0-9 - _ . and begin and end with a letter or digit", name)
	}
	return nil
}

// validateText keeps out what a column cannot hold, among it the character 0, which PostgreSQL
// refuses.
func validateText(field, text string, maxBytes int) error {
	if len(text) > maxBytes {
		return ErrInvalidField.Detail("%s has %d bytes, at most %d are allowed", field, len(text), maxBytes)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return ErrInvalidField.Detail("%s must be UTF-8 without control characters", field)
	}
	return nil
}

func validateExtend(extend objectmeta.Extend) error {
	data, err := jsonx.Marshal(extend)
	if err != nil {
		return err
	}
	if len(data) > maxExtend {
		return ErrInvalidField.Detail("metadata.extend has %d bytes of JSON, at most %d are allowed", len(data), maxExtend)
	}
	return nil
}

func validateUser(user *model.User) error {
	if err := validateText("email", user.Email, maxEmail); err != nil {
		return err
	}
	if user.Email != "" && !strings.Contains(user.Email, "@") {
		return ErrInvalidField.Detail("email is %.80q, must have an @", user.Email)
	}
	return validateExtend(user.Extend)
}

func validatePassword(password string) error {
	if len(password) < minPassword || len(password) > maxPassword {
		return ErrInvalidField.Detail("password has %d bytes, must have %d to %d", len(password), minPassword, maxPassword)
	}
	if !toldApart(password) {
		return ErrInvalidField.Detail("password must not have the character 0")
	}
	return nil
}

func validateSecret(secret *model.Secret) error {
	if err := validateText("description", secret.Description, maxDescription); err != nil {
		return err
	}
	return validateExtend(secret.Extend)
}

// lastSecond is the end of the year 9999, beyond which a time has no form in RFC 3339.
const lastSecond = 253402300799

func validateExpires(expires int64) error {
	if now := time.Now().Unix(); expires != 0 && (expires <= now || expires > lastSecond) {
		return ErrInvalidField.Detail("expires is %d, must be seconds since 1970 between now, %d, and the year 9999, or 0 for never", expires, now)
	}
	return nil
}

func validatePolicy(policy *model.Policy) error {
	if err := policy.Document.Validate(); err != nil {
		return ErrInvalidPolicy.Detail("%v", err) // its text is made for its author
	}
	return validateExtend(policy.Extend)
}

// sameName lets a client send back what it got, but not rename anything: names are in the hands of
// others.
func sameName(sent, is string) error {
	if sent != "" && sent != is {
		return ErrInvalidName.Detail("metadata.name is %.80q, but a name never changes: leave it out or send %q", sent, is)
	}
	return nil
}
