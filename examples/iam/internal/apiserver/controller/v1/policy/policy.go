// Package policy serves /v1/policies. One of them is found by its instance ID:
// /v1/policies/policy-3v18jq.
package policy

import "github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"

// A Controller has a method for each verb.
type Controller struct {
	Service service.Policies
}
