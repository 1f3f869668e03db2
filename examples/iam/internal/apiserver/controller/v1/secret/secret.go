// Package secret serves /v1/secrets. One of them is found by its instance ID:
// /v1/secrets/secret-tjd9od.
package secret

import "github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"

// A Controller has a method for each verb.
type Controller struct {
	Service service.Secrets
}
