package policy

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Update answers with the policy as it is now.
func (p Controller) Update(c *gin.Context) (any, error) {
	id, err := controller.ID[model.PolicyKind](c)
	if err != nil {
		return nil, err
	}
	spec, err := read(c)
	if err != nil {
		return nil, err
	}
	return p.Service.Update(c.Request.Context(), controller.Caller(c), id, spec)
}
