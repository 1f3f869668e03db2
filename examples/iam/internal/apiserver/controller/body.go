package controller

import (
	"errors"
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/request"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/examples/iam/internal/policy"
	"github.com/gracekit/gracekit/jsonx"
	"github.com/gracekit/gracekit/objectmeta"
)

// read reads the body. What an answer of ours has may come back in it, so that a client can send what it got with a change; what is the
// server's to say in it is ignored.
func read(c *gin.Context, v any) error {
	err := request.JSON(c, request.MaxBody, v)
	var idErr *objectmeta.IDError
	if errors.As(err, &idErr) {
		return fmt.Errorf("%w: %w", service.ErrInvalidID.Detail("%.80q in the body is not the instance ID of a %s", idErr.Value, idErr.Kind), err)
	}
	return err
}

// A policyBody leaves the document as it came, so that its own parser can say what is wrong with it.
type policyBody struct {
	model.Policy
	Document jsonx.RawMessage `json:"policy"`
}

func readPolicy(c *gin.Context) (*model.Policy, error) {
	var body policyBody
	if err := read(c, &body); err != nil {
		return nil, err
	}
	if len(body.Document) == 0 {
		return nil, service.ErrInvalidPolicy.Detail("policy is missing")
	}
	document, err := policy.Parse(body.Document)
	if err != nil {
		return nil, service.ErrInvalidPolicy.Detail("%v", err) // its text is made for its author
	}
	body.Policy.Document = document
	return &body.Policy, nil
}
