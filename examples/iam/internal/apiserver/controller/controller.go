// Package controller has what the controllers of all resources and versions share. Below it, each
// version of the API has a directory, each resource in it a package, and each verb of that a file:
// what deletes a secret for clients of version 1 is in v1/secret/delete.go.
package controller

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/request"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/objectmeta"
	"github.com/gracekit/gracekit/reqid"
)

// A Handler reads a request, calls a service, and returns what is to be answered.
type Handler func(c *gin.Context) (answer any, err error)

// Handle writes what the handler returns; status is that of success. query are the parameters that
// it reads.
func Handle(w *response.Writer, status int, handler Handler, query ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := checkQuery(c, query); err != nil {
			w.Write(c, err, nil)
			return
		}
		answer, err := handler(c)
		w.WriteStatus(c, status, err, answer)
	}
}

// checkQuery refuses parameters that nobody reads: who asks for ?nmae=carl means carl, and not
// everybody.
func checkQuery(c *gin.Context, known []string) error {
	// net/http leaves out of a query what it cannot read, such as "offset=1;limit=2".
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: %w", service.ErrInvalidQuery.Detail("the query cannot be read"), err)
	}
	for name, values := range query {
		switch {
		case len(known) == 0:
			return service.ErrInvalidQuery.Detail("unknown parameter %.40q: there are none here", name)
		case !slices.Contains(known, name):
			return service.ErrInvalidQuery.Detail("unknown parameter %.40q: there are %s", name, strings.Join(known, ", "))
		case len(values) > 1 && name != "name":
			return service.ErrInvalidQuery.Detail("%s comes twice", name)
		}
	}
	return nil
}

const callerKey = "iam.caller"

// Authenticate lets only those pass who bring a valid token, and says who they are to the handlers
// after it and to the log.
func Authenticate(w *response.Writer, users service.Users) gin.HandlerFunc {
	return func(c *gin.Context) {
		scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			c.Header("WWW-Authenticate", `Bearer realm="iam"`)
			w.Write(c, response.ErrUnauthorized.Detail("there is no token: log in, and send it as Authorization: Bearer …"), nil)
			return
		}
		user, err := users.Authenticate(c.Request.Context(), token)
		if err != nil {
			c.Header("WWW-Authenticate", `Bearer realm="iam", error="invalid_token"`)
			w.Write(c, err, nil)
			return
		}
		reqid.SetUser(c.Request.Context(), user.Name)
		c.Set(callerKey, user)
	}
}

// Caller returns the user whom Authenticate let pass.
func Caller(c *gin.Context) *model.User { return c.MustGet(callerKey).(*model.User) }

// ID reads the instance ID in the path. One of another kind, or of none, is the client's mistake;
// one that is well-formed and belongs to nothing is not found.
func ID[K objectmeta.Kind](c *gin.Context) (objectmeta.ID[K], error) {
	id, err := objectmeta.ParseID[K](c.Param("id"))
	if err != nil {
		var kind K
		return 0, fmt.Errorf("%w: %w",
			service.ErrInvalidID.Detail("%.80q is not the instance ID of a %s", c.Param("id"), kind.InstanceIDs().Kind()), err)
	}
	return id, nil
}

// Read reads the body.
func Read(c *gin.Context, v any) error {
	err := request.JSON(c, request.MaxBody, v)
	if idErr, ok := errors.AsType[*objectmeta.IDError](err); ok {
		return fmt.Errorf("%w: %w",
			service.ErrInvalidID.Detail("%.80q in the body is not the instance ID of a %s", idErr.Value, idErr.Kind), err)
	}
	return err
}

// Listing reads what is to be listed: the fields of [Fields], and ?offset=20&limit=10.
func Listing(c *gin.Context) (fields service.Fields, page objectmeta.ListOptions, err error) {
	if fields, err = Fields(c); err != nil {
		return fields, page, err
	}
	if err := c.ShouldBindQuery(&page); err != nil {
		return fields, page, fmt.Errorf("%w: %w", service.ErrInvalidQuery.Detail("offset and limit must be whole numbers"), err)
	}
	return fields, page, nil
}

// Fields reads ?fieldSelector=email=ann@example.com,disabled=true.
func Fields(c *gin.Context) (service.Fields, error) {
	fields := make(service.Fields)
	for pair := range strings.SplitSeq(c.Query("fieldSelector"), ",") {
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if _, twice := fields[name]; !ok || twice {
			return nil, service.ErrInvalidQuery.Detail("fieldSelector: %.40q, want field=value, once for each field, with commas between", pair)
		}
		fields[name] = value
	}
	return fields, nil
}

// Selection reads which of a collection are meant: ?name=a&name=b, ?fieldSelector=…, or ?all=true.
func Selection(c *gin.Context) (service.Selection, error) {
	fields, err := Fields(c)
	s := service.Selection{Names: c.QueryArray("name"), Fields: fields, All: c.Query("all") == "true"}
	if some := len(s.Names) > 0 || len(s.Fields) > 0; err == nil && some == s.All {
		err = service.ErrInvalidQuery.Detail("say which: ?name=a&name=b, or ?fieldSelector=field=value, or else ?all=true")
	}
	return s, err
}
