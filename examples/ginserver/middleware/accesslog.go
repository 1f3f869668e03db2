package middleware

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// AccessLog writes a record for each request after it, also if it panics: then the status is 500,
// which is what Recovery around it answers. The record has the user that was set inside by
// reqid.SetUser, and not the query, which may hold secrets.
func AccessLog(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		begin := time.Now()
		finished := false
		defer func() {
			status := c.Writer.Status()
			if !finished {
				status = http.StatusInternalServerError
			}
			log.LogAttrs(c.Request.Context(), slog.LevelInfo, "request",
				slog.String("method", c.Request.Method), slog.String("path", c.Request.URL.Path), slog.Int("status", status),
				slog.Int("bytes", max(0, c.Writer.Size())), slog.Duration("took", time.Since(begin)), slog.String("client", c.ClientIP()))
		}()
		c.Next()
		finished = true
	}
}
