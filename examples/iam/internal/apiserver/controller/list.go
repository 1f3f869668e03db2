package controller

import (
	"fmt"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/objectmeta"
)

// List answers with a page of the users, with the number of policies of each: ?offset=20&limit=10.
func (u Users) List(c *gin.Context) {
	options, err := page(c)
	if err != nil {
		u.W.Write(c, err, nil)
		return
	}
	list, err := u.Service.List(c.Request.Context(), caller(c), options)
	u.W.Write(c, err, list)
}

// List answers with a page of the caller's secrets: ?offset=20&limit=10.
func (s Secrets) List(c *gin.Context) {
	options, err := page(c)
	if err != nil {
		s.W.Write(c, err, nil)
		return
	}
	list, err := s.Service.List(c.Request.Context(), caller(c), options)
	s.W.Write(c, err, list)
}

// List answers with a page of the caller's policies: ?offset=20&limit=10.
func (p Policies) List(c *gin.Context) {
	options, err := page(c)
	if err != nil {
		p.W.Write(c, err, nil)
		return
	}
	list, err := p.Service.List(c.Request.Context(), caller(c), options)
	p.W.Write(c, err, list)
}

func page(c *gin.Context) (options objectmeta.ListOptions, err error) {
	// net/http leaves out of a query what it cannot read, such as "offset=1;limit=2".
	if _, err := url.ParseQuery(c.Request.URL.RawQuery); err != nil {
		return options, fmt.Errorf("%w: %w", service.ErrInvalidPage.Detail("the query cannot be read"), err)
	}
	if err := c.ShouldBindQuery(&options); err != nil {
		return options, fmt.Errorf("%w: %w", service.ErrInvalidPage.Detail("offset and limit must be whole numbers"), err)
	}
	return options, nil
}
