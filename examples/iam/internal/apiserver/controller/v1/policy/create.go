package policy

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// Create answers 201 with the policy.
func (p Controller) Create(c *gin.Context) (any, error) {
	spec, err := read(c)
	if err != nil {
		return nil, err
	}
	return p.Service.Create(c.Request.Context(), controller.Caller(c), spec)
}
