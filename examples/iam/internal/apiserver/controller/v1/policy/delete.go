package policy

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Delete answers 204.
func (p Controller) Delete(c *gin.Context) (any, error) {
	id, err := controller.ID[model.PolicyKind](c)
	if err != nil {
		return nil, err
	}
	return nil, p.Service.Delete(c.Request.Context(), controller.Caller(c), id)
}
