package user

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// Update answers with the user as it is now.
func (u Controller) Update(c *gin.Context) (any, error) {
	var b body
	if err := controller.Read(c, &b); err != nil {
		return nil, err
	}
	return u.Service.Update(c.Request.Context(), controller.Caller(c), c.Param("name"), b.UserSpec)
}
