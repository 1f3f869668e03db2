package apiserver

import (
	_ "embed"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/admin"
	"github.com/gracekit/gracekit/examples/ginserver/metrics"
	"github.com/gracekit/gracekit/examples/ginserver/middleware"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller/v1/policy"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller/v1/secret"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller/v1/user"
	policyv2 "github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller/v2/policy"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/health"
)

// requestTimeout ends what a request waits for.
const requestTimeout = 15 * time.Second

// openAPI describes the API. A test holds the handlers to it.
//
//go:embed openapi.yaml
var openAPI []byte

// newHandler has all routes in one place.
func newHandler(o Options, services service.Services, checks *health.Registry, measured *metrics.Metrics) (http.Handler, error) {
	codes, err := response.NewCodes(service.Errors()...)
	if err != nil {
		return nil, err
	}
	w := response.NewWriter(codes, o.Log)
	engine, chain, err := newEngine(o, w)
	if err != nil {
		return nil, err
	}
	logins, err := middleware.NewRateLimiter(middleware.RateLimitConfig{
		PerSecond: o.LoginsPerSecond, Burst: max(1, int(10*o.LoginsPerSecond)), MaxClients: 10_000,
	})
	if err != nil {
		return nil, err
	}

	// Probes come before the chain: no limit refuses them, and the log is not full of them.
	engine.Use(measured.Middleware())
	admin.MountHealth(engine, checks)
	engine.Use(chain...)

	engine.GET("/openapi.yaml", func(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", openAPI) })
	users := user.Controller{Service: services.Users}
	engine.POST("/login", middleware.RateLimit(logins, w), controller.Handle(w, http.StatusOK, users.Login))

	authenticate := controller.Authenticate(w, services.Users)
	v1 := engine.Group("/v1", authenticate)
	mount(v1.Group("/users"), "/:name", w, users)
	v1.PUT("/users/:name/change-password", controller.Handle(w, http.StatusNoContent, users.ChangePassword))
	mount(v1.Group("/secrets"), "/:id", w, secret.Controller{Service: services.Secrets})
	mount(v1.Group("/policies"), "/:id", w, policy.Controller{Service: services.Policies})

	v2 := engine.Group("/v2", authenticate)
	v2.GET("/policies", controller.Handle(w, http.StatusOK, policyv2.Controller{Service: services.Policies}.List, "after", "limit", "fieldSelector"))
	return engine, nil
}

func newEngine(o Options, w *response.Writer) (*gin.Engine, []gin.HandlerFunc, error) {
	engine, err := middleware.NewEngine(w, requestTimeout, o.TrustedProxies)
	if err != nil {
		return nil, nil, err
	}
	chain, err := middleware.Named(o.Middleware, w, o.Log).Chain(o.Middlewares)
	return engine, chain, err
}

// A resource has all the verbs.
type resource interface {
	Create(*gin.Context) (any, error)
	List(*gin.Context) (any, error)
	DeleteCollection(*gin.Context) (any, error)
	Get(*gin.Context) (any, error)
	Update(*gin.Context) (any, error)
	Delete(*gin.Context) (any, error)
}

func mount(group *gin.RouterGroup, one string, w *response.Writer, r resource) {
	group.POST("", controller.Handle(w, http.StatusCreated, r.Create))
	group.GET("", controller.Handle(w, http.StatusOK, r.List, "offset", "limit", "fieldSelector"))
	group.DELETE("", controller.Handle(w, http.StatusNoContent, r.DeleteCollection, "name", "fieldSelector", "all"))
	group.GET(one, controller.Handle(w, http.StatusOK, r.Get))
	group.PUT(one, controller.Handle(w, http.StatusOK, r.Update))
	group.DELETE(one, controller.Handle(w, http.StatusNoContent, r.Delete))
}
