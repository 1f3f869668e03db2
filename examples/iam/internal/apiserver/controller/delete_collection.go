package controller

import (
	"github.com/gin-gonic/gin"
)

// DeleteCollection answers 204.
func (u Users) DeleteCollection(c *gin.Context) {
	u.W.Write(c, u.Service.DeleteCollection(c.Request.Context(), caller(c)), nil)
}

// DeleteCollection answers 204.
func (s Secrets) DeleteCollection(c *gin.Context) {
	s.W.Write(c, s.Service.DeleteCollection(c.Request.Context(), caller(c)), nil)
}

// DeleteCollection answers 204.
func (p Policies) DeleteCollection(c *gin.Context) {
	p.W.Write(c, p.Service.DeleteCollection(c.Request.Context(), caller(c)), nil)
}
