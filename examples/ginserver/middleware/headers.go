package middleware

import (
	"net/http"

	"github.com/gin-contrib/secure"
	"github.com/gin-gonic/gin"
)

// Secure sets the headers that keep browsers from doing more with an answer than the API means: no
// guessing of its type, no frames, no scripts, no referrer. Strict-Transport-Security is left to
// whoever speaks TLS.
func Secure() gin.HandlerFunc {
	return secure.New(secure.Config{
		ContentTypeNosniff:    true,
		FrameDeny:             true,
		ContentSecurityPolicy: "default-src 'none'; frame-ancestors 'none'",
		ReferrerPolicy:        "no-referrer",
	})
}

// NoCache keeps answers out of every cache. no-store alone does that: no-cache would let them be
// stored, and Pragma and Expires are for caches of the last century.
func NoCache() gin.HandlerFunc {
	return func(c *gin.Context) { c.Header("Cache-Control", "no-store") }
}

// Options answers OPTIONS with the methods of the path, which gin has put into Allow. A browser's
// preflight goes on: it is for CORS.
func Options() gin.HandlerFunc {
	return func(c *gin.Context) {
		preflight := c.GetHeader("Origin") != "" && c.GetHeader("Access-Control-Request-Method") != ""
		if c.Request.Method != http.MethodOptions || preflight || c.Writer.Header().Get("Allow") == "" {
			return
		}
		c.AbortWithStatus(http.StatusNoContent)
	}
}
