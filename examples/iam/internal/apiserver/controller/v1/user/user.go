// Package user serves /v1/users. One of them is found by its name: /v1/users/ann.
package user

import "github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"

// A Controller has a method for each verb.
type Controller struct {
	Service service.Users
}
