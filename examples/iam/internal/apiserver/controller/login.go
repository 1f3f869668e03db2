package controller

import (
	"time"

	"github.com/gin-gonic/gin"
)

// Login answers a name and a password with a token.
func (u Users) Login(c *gin.Context) {
	var body struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := read(c, &body); err != nil {
		u.W.Write(c, err, nil)
		return
	}
	token, expires, err := u.Service.Login(c.Request.Context(), body.Name, body.Password)
	u.W.Write(c, err, struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires"`
	}{token, expires.UTC().Truncate(time.Second)})
}
