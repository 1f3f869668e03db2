package response

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The errors that every API has. The codes below 110000 are theirs; a resource takes a range of its
// own: 110001 and on, 110101 and on.
var (
	ErrInternal         = Error{Code: 100001, Status: http.StatusInternalServerError, Message: "internal error"}
	ErrNoRoute          = Error{Code: 100002, Status: http.StatusNotFound, Message: "no such route"}
	ErrMethodNotAllowed = Error{Code: 100003, Status: http.StatusMethodNotAllowed, Message: "method not allowed here"}
	ErrTooManyRequests  = Error{Code: 100004, Status: http.StatusTooManyRequests, Message: "too many requests, come again later"}
	ErrBadRequest       = Error{Code: 100005, Status: http.StatusBadRequest, Message: "bad request"}
	ErrBodyTooLarge     = Error{Code: 100006, Status: http.StatusRequestEntityTooLarge, Message: "the body is too large"}
	ErrMediaType        = Error{Code: 100007, Status: http.StatusUnsupportedMediaType, Message: "the body must be application/json"}
	ErrUnauthorized     = Error{Code: 100008, Status: http.StatusUnauthorized, Message: "authentication needed"}
	ErrForbidden        = Error{Code: 100009, Status: http.StatusForbidden, Message: "not allowed"}
	ErrUnavailable      = Error{Code: 100010, Status: http.StatusServiceUnavailable, Message: "not available now, come again later"}
	ErrTimeout          = Error{Code: 100011, Status: http.StatusGatewayTimeout, Message: "it took too long"}
	ErrClientGone       = Error{Code: 100012, Status: 499, Message: "the client has gone"} // nginx's number; nobody reads it but the log
	ErrBodyTooSlow      = Error{Code: 100013, Status: http.StatusRequestTimeout, Message: "the body came too slowly"}
)

// Common returns the errors above.
func Common() []Error {
	return []Error{
		ErrInternal, ErrNoRoute, ErrMethodNotAllowed, ErrTooManyRequests, ErrBadRequest, ErrBodyTooLarge, ErrMediaType,
		ErrUnauthorized, ErrForbidden, ErrUnavailable, ErrTimeout, ErrClientGone, ErrBodyTooSlow,
	}
}

// Codes are all the errors an API may answer with. They do not change after NewCodes.
type Codes struct{ byCode map[int]Error }

// NewCodes registers the errors of Common and these. It names everything that is wrong with them: a
// code that is taken, a code or a status that is none, a message that is missing. A program ends
// with that error at its start.
func NewCodes(own ...Error) (*Codes, error) {
	codes := &Codes{byCode: make(map[int]Error)}
	var wrong []error
	for _, e := range slices.Concat(Common(), own) {
		if err := codes.add(e); err != nil {
			wrong = append(wrong, err)
		}
	}
	return codes, errors.Join(wrong...)
}

func (c *Codes) add(e Error) error {
	first, taken := c.byCode[e.Code]
	switch {
	case e.Code <= 0:
		return fmt.Errorf("response: code %d (%q): must be positive", e.Code, e.Message)
	case e.Status < 400 || e.Status > 599:
		return fmt.Errorf("response: code %d (%q): status is %d, must be 400 to 599", e.Code, e.Message, e.Status)
	case strings.TrimSpace(e.Message) == "":
		return fmt.Errorf("response: code %d: has no message", e.Code)
	case taken:
		return fmt.Errorf("response: code %d is registered twice: %q and %q", e.Code, first.Message, e.Message)
	}
	c.byCode[e.Code] = e
	return nil
}

// All returns the errors in the order of their codes, for a page that lists them.
func (c *Codes) All() []Error {
	all := make([]Error, 0, len(c.byCode))
	for _, e := range c.byCode {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Error) int { return cmp.Compare(a.Code, b.Code) })
	return all
}
