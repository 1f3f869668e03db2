// Package middleware has the middlewares of the example, and what installs them: [NewEngine] for
// those that every service needs, [Set] for those that a config file chooses by name.
package middleware

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/reqid"
)

// NewEngine returns an engine on which Context is installed, and which answers by w where there is
// no route.
//
// It differs from gin.New in what that leaves open. No client can choose the address it is known
// by: gin believes the header X-Forwarded-For of everybody, here only of trustedProxies (addresses
// or CIDR ranges; nil is nobody). A slash too many is a 404: gin's redirects for it go around all
// middlewares.
func NewEngine(w *response.Writer, timeout time.Duration, trustedProxies []string) (*gin.Engine, error) {
	engine := gin.New()
	if err := engine.SetTrustedProxies(trustedProxies); err != nil {
		return nil, fmt.Errorf("trustedProxies: %w, must be addresses, or ranges such as 10.0.0.0/8", err)
	}
	engine.RemoteIPHeaders = []string{"X-Forwarded-For"} // X-Real-IP, gin's second choice, is passed on by many proxies as it came
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	engine.HandleMethodNotAllowed = true
	engine.NoRoute(func(c *gin.Context) { w.Write(c, response.ErrNoRoute, nil) })
	engine.NoMethod(func(c *gin.Context) { w.Write(c, response.ErrMethodNotAllowed, nil) })
	engine.Use(Context(timeout))
	return engine, nil
}

// RequestID gives every request an ID: in c.Request.Context(), in the response header and, by way
// of the logger, in the records.
//
// The context of the request is the one to hand on to services, stores and goroutines. c itself is
// not: gin uses it again for another request as soon as the handler returns, and what still holds
// it then reads, or answers, that one.
func RequestID(opts ...reqid.MiddlewareOption) gin.HandlerFunc {
	withID := reqid.Middleware(opts...)
	return func(c *gin.Context) {
		withID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request = r // it stays when this returns, so that what is around sees the ID and the user, too
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
	}
}

// Context ends the context of each request after the timeout, so that nothing a handler waits for
// can hold it for ever. Work that is to outlive its request takes
// reqid.Detach(c.Request.Context()).
func Context(timeout time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), timeout)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
}
