package reqid_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/reqid"
)

// gin: the engine is the handler that Middleware goes around, and ContextWithFallback lets c itself
// stand for the request's context.
func Example_gin() {
	gin.SetMode(gin.ReleaseMode)
	log := newLogger()
	engine := gin.New()
	engine.ContextWithFallback = true
	engine.GET("/hello", func(c *gin.Context) {
		reqid.SetUser(c, "alice") // after checking who it is
		log.InfoContext(c, "saying hello")
		c.String(http.StatusOK, "hello")
	})
	handler := reqid.Middleware()(engine)

	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/hello", nil)
	r.Header.Set("X-Request-ID", "abc-123")
	handler.ServeHTTP(w, r)
	fmt.Println(w.Body, w.Header().Get("X-Request-ID"))
	// Output:
	// level=INFO msg="saying hello" requestID=abc-123 username=alice
	// hello abc-123
}
