package controller

import (
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Update answers with the user as it is now.
func (u Users) Update(c *gin.Context) {
	user := new(model.User)
	err := read(c, user)
	if err == nil {
		user, err = u.Service.Update(c.Request.Context(), caller(c), c.Param("name"), user)
	}
	u.W.Write(c, err, user)
}

// Update answers with the secret as it is now.
func (s Secrets) Update(c *gin.Context) {
	id, err := id[model.SecretKind](c)
	secret := new(model.Secret)
	if err == nil {
		err = read(c, secret)
	}
	if err == nil {
		secret, err = s.Service.Update(c.Request.Context(), caller(c), id, secret)
	}
	s.W.Write(c, err, secret)
}

// Update answers with the policy as it is now.
func (p Policies) Update(c *gin.Context) {
	id, err := id[model.PolicyKind](c)
	var policy *model.Policy
	if err == nil {
		policy, err = readPolicy(c)
	}
	if err == nil {
		policy, err = p.Service.Update(c.Request.Context(), caller(c), id, policy)
	}
	p.W.Write(c, err, policy)
}
