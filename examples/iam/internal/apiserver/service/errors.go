package service

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
)

// What clients may be told, beyond what every API has. A resource gets a range of its own: 1301xx, 1302xx, …; those of the authzserver
// begin at 120001.
var (
	ErrInvalidField  = response.Error{Code: 130001, Status: http.StatusBadRequest, Message: "a field is not valid"}
	ErrInvalidName   = response.Error{Code: 130002, Status: http.StatusBadRequest, Message: "the name is not valid"}
	ErrInvalidID     = response.Error{Code: 130003, Status: http.StatusBadRequest, Message: "the instance ID is not valid"}
	ErrInvalidPage   = response.Error{Code: 130004, Status: http.StatusBadRequest, Message: "offset or limit is not valid"}
	ErrInvalidToken  = response.Error{Code: 130005, Status: http.StatusUnauthorized, Message: "the token is not valid"}
	ErrExpiredToken  = response.Error{Code: 130006, Status: http.StatusUnauthorized, Message: "the token has expired, log in again"}
	ErrWrongPassword = response.Error{Code: 130007, Status: http.StatusUnauthorized, Message: "wrong name or password"}

	ErrUserNotFound   = response.Error{Code: 130101, Status: http.StatusNotFound, Message: "there is no such user"}
	ErrUserExists     = response.Error{Code: 130102, Status: http.StatusConflict, Message: "there is a user of this name"}
	ErrOwnAdmin       = response.Error{Code: 130103, Status: http.StatusConflict, Message: "an admin cannot delete or demote itself; another one can"}
	ErrSecretNotFound = response.Error{Code: 130201, Status: http.StatusNotFound, Message: "there is no such secret"}
	ErrSecretExists   = response.Error{Code: 130202, Status: http.StatusConflict, Message: "you have a secret of this name"}
	ErrPolicyNotFound = response.Error{Code: 130301, Status: http.StatusNotFound, Message: "there is no such policy"}
	ErrPolicyExists   = response.Error{Code: 130302, Status: http.StatusConflict, Message: "you have a policy of this name"}
	ErrInvalidPolicy  = response.Error{Code: 130303, Status: http.StatusBadRequest, Message: "the policy is not valid"}
)

// Errors returns the errors above, for [response.NewCodes].
func Errors() []response.Error {
	return []response.Error{
		ErrInvalidField, ErrInvalidName, ErrInvalidID, ErrInvalidPage, ErrInvalidToken, ErrExpiredToken, ErrWrongPassword,
		ErrUserNotFound, ErrUserExists, ErrOwnAdmin, ErrSecretNotFound, ErrSecretExists, ErrPolicyNotFound, ErrPolicyExists, ErrInvalidPolicy,
	}
}

// public says what an error of the store means for the resource, and leaves those alone that are a failure of ours.
func public(err error, notFound, exists response.Error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %w", notFound, err)
	case errors.Is(err, store.ErrExists):
		return fmt.Errorf("%w: %w", exists, err)
	}
	return err
}

func publicUser(err error) error   { return public(err, ErrUserNotFound, ErrUserExists) }
func publicSecret(err error) error { return public(err, ErrSecretNotFound, ErrSecretExists) }
func publicPolicy(err error) error { return public(err, ErrPolicyNotFound, ErrPolicyExists) }
