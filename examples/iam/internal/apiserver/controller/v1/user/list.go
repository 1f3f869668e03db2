package user

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// List answers with a page of the users, with the number of policies of each:
// ?offset=20&limit=10&fieldSelector=disabled=true.
func (u Controller) List(c *gin.Context) (any, error) {
	fields, page, err := controller.Listing(c)
	if err != nil {
		return nil, err
	}
	return u.Service.List(c.Request.Context(), controller.Caller(c), fields, page)
}
