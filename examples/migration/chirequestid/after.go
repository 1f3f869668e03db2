package chirequestid

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/gracekit/gracekit/reqid"
)

func after(logger *slog.Logger) http.Handler {
	logger = slog.New(reqid.LogHandler(logger.Handler())) // once, where the logger is made
	r := chi.NewRouter()
	r.Use(reqid.Middleware())
	r.Get("/", func(_ http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "hello")
	})
	return r
}

// afterGetReqID gives the ID to what still asks middleware.GetReqID, such as chi's own Logger. It
// belongs inside reqid.Middleware.
func afterGetReqID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), middleware.RequestIDKey, reqid.FromContext(r.Context()))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
