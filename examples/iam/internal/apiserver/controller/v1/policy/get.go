package policy

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Get answers with the policy.
func (p Controller) Get(c *gin.Context) (any, error) {
	id, err := controller.ID[model.PolicyKind](c)
	if err != nil {
		return nil, err
	}
	return p.Service.Get(c.Request.Context(), controller.Caller(c), id)
}
