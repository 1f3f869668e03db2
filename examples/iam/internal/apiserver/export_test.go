package apiserver

import (
	"log/slog"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/metrics"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/health"
)

// OpenAPI is the description of the API.
var OpenAPI = openAPI

// Routes returns all routes.
func Routes() (gin.RoutesInfo, error) {
	checks, err := health.New()
	if err != nil {
		return nil, err
	}
	o := Defaults()
	o.Log = slog.New(slog.DiscardHandler)
	handler, err := newHandler(o, service.Services{}, checks, metrics.New(nil))
	if err != nil {
		return nil, err
	}
	return handler.(*gin.Engine).Routes(), nil
}
