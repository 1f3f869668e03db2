// Package policy serves /v2/policies, of which there is the list alone so far. It differs from that
// of version 1 in what clients of version 1 would not survive: the page is found by key, so it has
// no offset and no totalCount, which costs a COUNT of all rows. Rules and storage are the same, in
// package service.
package policy

import "github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"

// A Controller has a method for each verb.
type Controller struct {
	Service service.Policies
}
