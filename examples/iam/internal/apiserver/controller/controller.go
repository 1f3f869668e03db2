// Package controller is the HTTP side of the services: what a request says is read here, and what a service returns is written. All
// answers go through one [response.Writer].
//
// Each verb has a file of its own, with the methods of all resources that have it.
package controller

import (
	"fmt"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
	"github.com/gracekit/gracekit/reqid"
)

type (
	// Users are found by name: /v1/users/ann.
	Users struct {
		W       *response.Writer
		Service service.Users
	}
	// Secrets are found by instance ID: /v1/secrets/secret-yj8m30.
	Secrets struct {
		W       *response.Writer
		Service service.Secrets
	}
	// Policies are found by instance ID: /v1/policies/policy-3v18jq.
	Policies struct {
		W       *response.Writer
		Service service.Policies
	}
)

const callerKey = "iam.caller"

// Authenticate lets only those pass who bring a valid token, and says who they are to the handlers after it and to the log.
func (u Users) Authenticate(c *gin.Context) {
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		c.Header("WWW-Authenticate", `Bearer realm="iam"`)
		u.W.Write(c, response.ErrUnauthorized.Detail("there is no token: log in, and send it as Authorization: Bearer …"), nil)
		return
	}
	user, err := u.Service.Authenticate(c.Request.Context(), token)
	if err != nil {
		c.Header("WWW-Authenticate", `Bearer realm="iam", error="invalid_token"`)
		u.W.Write(c, err, nil)
		return
	}
	reqid.SetUser(c.Request.Context(), user.Name)
	c.Set(callerKey, user)
	c.Next()
}

func caller(c *gin.Context) *model.User { return c.MustGet(callerKey).(*model.User) }

// id reads the instance ID in the path. One of another kind, or of none, is the client's mistake; one that is well-formed and belongs to
// nothing is not found.
func id[K objectmeta.Kind](c *gin.Context) (objectmeta.ID[K], error) {
	id, err := objectmeta.ParseID[K](c.Param("id"))
	if err != nil {
		var kind K
		return 0, fmt.Errorf("%w: %w", service.ErrInvalidID.Detail("%.80q is not the instance ID of a %s", c.Param("id"), kind.InstanceIDs().Kind()), err)
	}
	return id, nil
}
