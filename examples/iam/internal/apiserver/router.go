package apiserver

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/controller"
	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/service"
	"github.com/gracekit/gracekit/health"
)

// requestTimeout ends what a request waits for.
const requestTimeout = 15 * time.Second

// newHandler has all routes in one place.
func newHandler(o Options, services service.Services, checks *health.Registry) (http.Handler, error) {
	codes, err := response.NewCodes(service.Errors()...)
	if err != nil {
		return nil, err
	}
	w := response.NewWriter(codes, o.Log)
	engine, err := middleware.NewEngine(w, requestTimeout, nil)
	if err != nil {
		return nil, err
	}
	logins, err := middleware.NewRateLimiter(middleware.RateLimitConfig{
		PerSecond: o.LoginsPerSecond, Burst: max(1, int(10*o.LoginsPerSecond)), MaxClients: 10_000,
	})
	if err != nil {
		return nil, err
	}

	// Before the access log, which would be full of them.
	mountChecks(engine, checks)

	engine.Use(middleware.Recovery(w), middleware.AccessLog(o.Log), middleware.Secure(), middleware.NoCache())
	users := controller.Users{W: w, Service: services.Users}
	engine.POST("/login", middleware.RateLimit(logins, w), users.Login)

	v1 := engine.Group("/v1", users.Authenticate)
	mount(v1.Group("/users"), "/:name", users)
	mount(v1.Group("/secrets"), "/:id", controller.Secrets{W: w, Service: services.Secrets})
	mount(v1.Group("/policies"), "/:id", controller.Policies{W: w, Service: services.Policies})
	return engine, nil
}

// A resource has all the verbs.
type resource interface {
	Create(*gin.Context)
	List(*gin.Context)
	DeleteCollection(*gin.Context)
	Get(*gin.Context)
	Update(*gin.Context)
	Delete(*gin.Context)
}

func mount(group *gin.RouterGroup, one string, r resource) {
	group.POST("", r.Create)
	group.GET("", r.List)
	group.DELETE("", r.DeleteCollection)
	group.GET(one, r.Get)
	group.PUT(one, r.Update)
	group.DELETE(one, r.Delete)
}

// mountChecks serves the three endpoints, and each check below them: /readyz/database.
func mountChecks(engine *gin.Engine, checks *health.Registry) {
	for path, kind := range map[string]health.Kind{"/livez": health.Live, "/readyz": health.Ready, "/startupz": health.Startup} {
		handler := gin.WrapH(checks.Handler(kind))
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			engine.Handle(method, path, handler)
			engine.Handle(method, path+"/:check", handler)
		}
	}
}
