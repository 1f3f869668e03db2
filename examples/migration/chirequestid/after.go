package chirequestid

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

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
