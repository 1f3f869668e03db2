package reqid_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/reqid"
)

// What the documentation says of a gin.Context, with the line for the engine and without it.
func TestGinContextHasTheIDOnlyWithFallback(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	for _, fallback := range []bool{false, true} {
		var out bytes.Buffer
		log := slog.New(reqid.LogHandler(slog.NewTextHandler(&out, nil)))
		var ofContext, ofRequest string
		engine := gin.New()
		engine.ContextWithFallback = fallback
		engine.GET("/", func(c *gin.Context) {
			ofContext, ofRequest = reqid.FromContext(c), reqid.FromContext(c.Request.Context())
			log.InfoContext(c, "m")
		})
		w := httptest.NewRecorder()
		reqid.Middleware()(engine).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		id := w.Header().Get("X-Request-ID")
		assert.NotEmpty(t, id)
		assert.Equal(t, id, ofRequest)
		if fallback {
			assert.Equal(t, id, ofContext)
			assert.Contains(t, out.String(), "requestID="+id)
		} else {
			assert.Empty(t, ofContext)
			assert.NotContains(t, out.String(), "requestID")
		}
	}
}
