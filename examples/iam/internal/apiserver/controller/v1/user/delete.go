package user

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// Delete answers 204.
func (u Controller) Delete(c *gin.Context) (any, error) {
	return nil, u.Service.Delete(c.Request.Context(), controller.Caller(c), c.Param("name"))
}
