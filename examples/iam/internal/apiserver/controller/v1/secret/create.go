package secret

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// Create answers 201 with the secret and, this once, its key.
func (s Controller) Create(c *gin.Context) (any, error) {
	var b body
	if err := controller.Read(c, &b); err != nil {
		return nil, err
	}
	return s.Service.Create(c.Request.Context(), controller.Caller(c), b.SecretSpec)
}
