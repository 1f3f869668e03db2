package secret

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Update answers with the secret as it is now.
func (s Controller) Update(c *gin.Context) (any, error) {
	id, err := controller.ID[model.SecretKind](c)
	if err != nil {
		return nil, err
	}
	var b body
	if err := controller.Read(c, &b); err != nil {
		return nil, err
	}
	return s.Service.Update(c.Request.Context(), controller.Caller(c), id, b.SecretSpec)
}
