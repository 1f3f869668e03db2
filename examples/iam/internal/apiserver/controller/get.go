package controller

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Get answers with the user.
func (u Users) Get(c *gin.Context) {
	user, err := u.Service.Get(c.Request.Context(), caller(c), c.Param("name"))
	u.W.Write(c, err, user)
}

// Get answers with the secret.
func (s Secrets) Get(c *gin.Context) {
	id, err := id[model.SecretKind](c)
	if err != nil {
		s.W.Write(c, err, nil)
		return
	}
	secret, err := s.Service.Get(c.Request.Context(), caller(c), id)
	s.W.Write(c, err, secret)
}

// Get answers with the policy.
func (p Policies) Get(c *gin.Context) {
	id, err := id[model.PolicyKind](c)
	if err != nil {
		p.W.Write(c, err, nil)
		return
	}
	policy, err := p.Service.Get(c.Request.Context(), caller(c), id)
	p.W.Write(c, err, policy)
}
