package middleware

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/response"
)

// Recovery answers 500 in the usual shape when a handler panics. The value and the stack are
// logged, and never sent, whatever the value is.
//
// If part of the answer is out already, the connection is cut instead, so that the client does not
// take that part for the whole; a handler that panics with [http.ErrAbortHandler] wants just that.
func Recovery(w *response.Writer) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
				panic(v)
			}
			cut := c.Writer.Written()
			// Not %w: an error that was panicked with is no answer for the client.
			w.Write(c, fmt.Errorf("panic: %v\n\n%s", v, debug.Stack()), nil)
			if cut {
				panic(http.ErrAbortHandler)
			}
		}()
		c.Next()
	}
}
