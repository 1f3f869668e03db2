package user

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// ChangePassword answers 204 to the old password and a new one.
func (u Controller) ChangePassword(c *gin.Context) (any, error) {
	var body struct {
		OldPassword string `json:"oldPassword"`
		NewPassword string `json:"newPassword"`
	}
	if err := controller.Read(c, &body); err != nil {
		return nil, err
	}
	return nil, u.Service.ChangePassword(c.Request.Context(), controller.Caller(c), c.Param("name"), body.OldPassword, body.NewPassword)
}
