package service

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
)

// What clients may be told, beyond what every API has. A resource gets a range of its own: 1301xx,
// 1302xx, …; those of the authzserver begin at 120001.
var (
	ErrInvalidField  = response.Error{Code: 130001, Status: http.StatusBadRequest, Message: "a field is not valid"}
	ErrInvalidName   = response.Error{Code: 130002, Status: http.StatusBadRequest, Message: "the name is not valid"}
	ErrInvalidID     = response.Error{Code: 130003, Status: http.StatusBadRequest, Message: "the instance ID is not valid"}
	ErrInvalidQuery  = response.Error{Code: 130004, Status: http.StatusBadRequest, Message: "the query is not valid"}
	ErrInvalidToken  = response.Error{Code: 130005, Status: http.StatusUnauthorized, Message: "the token is not valid"}
	ErrExpiredToken  = response.Error{Code: 130006, Status: http.StatusUnauthorized, Message: "the token has expired, log in again"}
	ErrWrongPassword = response.Error{Code: 130007, Status: http.StatusUnauthorized, Message: "wrong name or password"}
	ErrOldPassword   = response.Error{Code: 130008, Status: http.StatusForbidden, Message: "the old password is wrong"}

	ErrUserNotFound   = response.Error{Code: 130101, Status: http.StatusNotFound, Message: "there is no such user"}
	ErrUserExists     = response.Error{Code: 130102, Status: http.StatusConflict, Message: "there is a user of this name"}
	ErrOwnAdmin       = response.Error{Code: 130103, Status: http.StatusConflict, Message: "an admin cannot delete, demote or disable itself; another one can"}
	ErrUserDisabled   = response.Error{Code: 130104, Status: http.StatusForbidden, Message: "the user is disabled"}
	ErrSecretNotFound = response.Error{Code: 130201, Status: http.StatusNotFound, Message: "there is no such secret"}
	ErrSecretExists   = response.Error{Code: 130202, Status: http.StatusConflict, Message: "you have a secret of this name"}
	ErrSecretQuota    = response.Error{Code: 130203, Status: http.StatusForbidden, Message: "you have as many secrets as a user may have"}
	ErrPolicyNotFound = response.Error{Code: 130301, Status: http.StatusNotFound, Message: "there is no such policy"}
	ErrPolicyExists   = response.Error{Code: 130302, Status: http.StatusConflict, Message: "you have a policy of this name"}
	ErrInvalidPolicy  = response.Error{Code: 130303, Status: http.StatusBadRequest, Message: "the policy is not valid"}
	ErrPolicyQuota    = response.Error{Code: 130304, Status: http.StatusForbidden, Message: "you have as many policies, or as long ones, as a user may have"}
)

// Errors returns the errors above, for [response.NewCodes].
func Errors() []response.Error {
	return []response.Error{
		ErrInvalidField, ErrInvalidName, ErrInvalidID, ErrInvalidQuery, ErrInvalidToken, ErrExpiredToken, ErrWrongPassword, ErrOldPassword,
		ErrUserNotFound, ErrUserExists, ErrOwnAdmin, ErrUserDisabled, ErrSecretNotFound, ErrSecretExists, ErrSecretQuota,
		ErrPolicyNotFound, ErrPolicyExists, ErrInvalidPolicy, ErrPolicyQuota,
	}
}

// public says what an error of the store means for the resource, and leaves those alone that are a
// failure of ours.
func public(err error, notFound, exists, quota response.Error) error {
	for is, means := range map[error]response.Error{
		store.ErrNotFound: notFound, store.ErrExists: exists, store.ErrQuota: quota,
		store.ErrBusy:     response.ErrUnavailable,
		store.ErrNotAdmin: response.ErrForbidden.Detail("you are no admin any more"),
	} {
		if errors.Is(err, is) {
			return fmt.Errorf("%w: %w", means, err)
		}
	}
	return err
}

func publicUser(err error) error {
	return public(err, ErrUserNotFound, ErrUserExists, response.Error{})
}
