package policy

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/policy"
	"github.com/gracekit/gracekit/jsonx"
	"github.com/gracekit/gracekit/objectmeta"
)

// A body may also be an answer of ours with a change: what only the server says in it is ignored.
// The document stays as it came, so that its own parser can say what is wrong with it.
type body struct {
	objectmeta.ObjectMeta[model.PolicyKind] `json:"metadata"`

	Document jsonx.RawMessage `json:"policy"`
	OwnerID  jsonx.RawMessage `json:"ownerID"`
}

func read(c *gin.Context) (spec service.PolicySpec, err error) {
	var b body
	if err := controller.Read(c, &b); err != nil {
		return spec, err
	}
	if len(b.Document) == 0 {
		return spec, service.ErrInvalidPolicy.Detail("policy is missing")
	}
	document, err := policy.Parse(b.Document)
	if err != nil {
		return spec, service.ErrInvalidPolicy.Detail("%v", err) // its text is made for its author
	}
	return service.PolicySpec{ObjectMeta: b.ObjectMeta, Document: document}, nil
}
