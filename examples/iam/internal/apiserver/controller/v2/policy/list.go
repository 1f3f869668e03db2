package policy

import (
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
)

// A list has no next if it is the last page.
type list struct {
	Items []model.Policy `json:"items"`
	Next  string         `json:"next,omitempty"` // the query of the next page
}

// List answers with a page of the caller's policies:
// ?after=policy-3v18jq&limit=10&fieldSelector=name=readers.
func (p Controller) List(c *gin.Context) (any, error) {
	fields, err := controller.Fields(c)
	if err != nil {
		return nil, err
	}
	var key objectmeta.Keyset[model.PolicyKind]
	if err := c.ShouldBindQuery(&key); err != nil {
		return nil, fmt.Errorf("%w: %w",
			service.ErrInvalidQuery.Detail("after must be the instance ID of a policy, and limit a whole number"), err)
	}
	page, err := p.Service.ListAfter(c.Request.Context(), controller.Caller(c), fields, key)
	if err != nil {
		return nil, err
	}
	answer := list{Items: page.Items}
	if page.Next != 0 {
		answer.Next = page.Next.String()
	}
	return answer, nil
}
