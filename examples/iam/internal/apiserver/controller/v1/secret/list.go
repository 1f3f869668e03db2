package secret

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// List answers with a page of the caller's secrets: ?offset=20&limit=10&fieldSelector=name=ci.
func (s Controller) List(c *gin.Context) (any, error) {
	fields, page, err := controller.Listing(c)
	if err != nil {
		return nil, err
	}
	return s.Service.List(c.Request.Context(), controller.Caller(c), fields, page)
}
