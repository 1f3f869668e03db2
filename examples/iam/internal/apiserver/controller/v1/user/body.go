package user

import (
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/jsonx"
)

// A body may also be an answer of ours with a change: what only the server says in it is ignored.
type body struct {
	service.UserSpec
	Policies jsonx.RawMessage `json:"policies"`
}
