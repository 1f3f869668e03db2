// Package chirequestid moves from chi's middleware.RequestID to package reqid.
package chirequestid

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

func before(logger *slog.Logger) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.RequestID)
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		id := middleware.GetReqID(r.Context())
		w.Header().Set(middleware.RequestIDHeader, id) // chi does not
		logger.InfoContext(r.Context(), "hello", "requestID", id)
	})
	return r
}
