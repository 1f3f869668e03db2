package policy

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// DeleteCollection answers 204, also if nothing was there: ?name=a&name=b, ?fieldSelector=…, or
// ?all=true.
func (p Controller) DeleteCollection(c *gin.Context) (any, error) {
	selection, err := controller.Selection(c)
	if err != nil {
		return nil, err
	}
	return nil, p.Service.DeleteCollection(c.Request.Context(), controller.Caller(c), selection)
}
