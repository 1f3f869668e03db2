package controller

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Delete answers 204.
func (u Users) Delete(c *gin.Context) {
	u.W.Write(c, u.Service.Delete(c.Request.Context(), caller(c), c.Param("name")), nil)
}

// Delete answers 204.
func (s Secrets) Delete(c *gin.Context) {
	id, err := id[model.SecretKind](c)
	if err == nil {
		err = s.Service.Delete(c.Request.Context(), caller(c), id)
	}
	s.W.Write(c, err, nil)
}

// Delete answers 204.
func (p Policies) Delete(c *gin.Context) {
	id, err := id[model.PolicyKind](c)
	if err == nil {
		err = p.Service.Delete(c.Request.Context(), caller(c), id)
	}
	p.W.Write(c, err, nil)
}
