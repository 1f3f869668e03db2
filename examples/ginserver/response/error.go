// Package response writes every answer of an API in one shape: the data itself on success, and
//
//	{"code":100002,"message":"no such route","reference":"…","requestID":"…"}
//
// on an error. What clients may learn and what only the log may say are kept apart: an [Error] is
// the public part, whatever is wrapped around it or joined with it is the internal one.
package response

import (
	"errors"
	"fmt"
)

// An Error is what a client is told. Declare each one once, as a package variable that nobody
// changes, and give all of them to [NewCodes]:
//
//	var ErrNoteNotFound = response.Error{Code: 110001, Status: http.StatusNotFound, Message: "there is no such note"}
//
// Code that fails returns it, with a cause for the log if there is one:
//
//	return fmt.Errorf("%w: %w", ErrNoteNotFound, err)
//
// [errors.Is] compares the code alone, so that it finds ErrNoteNotFound in what Detail made of it,
// too.
type Error struct {
	// Code is what programs branch on. It is never given a second meaning, not even after the error
	// is gone.
	Code int `json:"code"`
	// Status is the HTTP status, 400 to 599.
	Status int `json:"status"`
	// Message is for people. It must not hold anything internal.
	Message string `json:"message"`
	// Reference says where to read more, such as the URL of a page about this code. It may be
	// empty.
	Reference string `json:"reference,omitempty"`
}

func (e Error) Error() string { return e.Message }

// Is reports whether target is an Error of the same code.
func (e Error) Is(target error) bool {
	t, ok := target.(Error)
	return ok && t.Code == e.Code
}

// Detail returns the same error with a message of its own, for what is wrong this time. The client
// gets to read it.
func (e Error) Detail(format string, args ...any) Error {
	e.Message = fmt.Sprintf(format, args...)
	return e
}

// of returns the outermost Error in err.
func of(err error) (Error, bool) {
	var e Error
	ok := errors.As(err, &e)
	return e, ok
}
