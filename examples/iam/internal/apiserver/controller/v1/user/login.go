package user

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
)

// Login answers a name and a password with a token.
func (u Controller) Login(c *gin.Context) (any, error) {
	var body struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := controller.Read(c, &body); err != nil {
		return nil, err
	}
	token, expires, err := u.Service.Login(c.Request.Context(), c.ClientIP(), body.Name, body.Password)
	return struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires"`
	}{token, expires.UTC().Truncate(time.Second)}, err
}
