package secret

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Get answers with the secret.
func (s Controller) Get(c *gin.Context) (any, error) {
	id, err := controller.ID[model.SecretKind](c)
	if err != nil {
		return nil, err
	}
	return s.Service.Get(c.Request.Context(), controller.Caller(c), id)
}
