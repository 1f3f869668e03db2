package controller

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// Create answers 201 with the user.
func (u Users) Create(c *gin.Context) {
	user := new(model.User)
	err := read(c, user)
	if err == nil {
		err = u.Service.Create(c.Request.Context(), caller(c), user)
	}
	u.W.WriteStatus(c, http.StatusCreated, err, user)
}

// Create answers 201 with the secret and, this once, its key.
func (s Secrets) Create(c *gin.Context) {
	secret := new(model.Secret)
	err := read(c, secret)
	if err == nil {
		err = s.Service.Create(c.Request.Context(), caller(c), secret)
	}
	s.W.WriteStatus(c, http.StatusCreated, err, secret)
}

// Create answers 201 with the policy.
func (p Policies) Create(c *gin.Context) {
	policy, err := readPolicy(c)
	if err == nil {
		err = p.Service.Create(c.Request.Context(), caller(c), policy)
	}
	p.W.WriteStatus(c, http.StatusCreated, err, policy)
}
