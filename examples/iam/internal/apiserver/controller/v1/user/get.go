package user

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// Get answers with the user.
func (u Controller) Get(c *gin.Context) (any, error) {
	return u.Service.Get(c.Request.Context(), controller.Caller(c), c.Param("name"))
}
