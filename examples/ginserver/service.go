package main

import (
	"fmt"
	"log/slog"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/admin"
	"github.com/gracekit/gracekit/examples/ginserver/metrics"
	"github.com/gracekit/gracekit/examples/ginserver/middleware"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/health"
)

// A service is everything that is made from the config, before anything listens or runs.
type service struct {
	engine  *gin.Engine
	api     *api
	checks  *health.Registry
	metrics *metrics.Metrics
}

func newService(cfg config, log *slog.Logger, draining <-chan struct{}) (*service, error) {
	// A code that is taken twice ends the start.
	codes, err := response.NewCodes(noteErrors()...)
	if err != nil {
		return nil, err
	}
	write := response.NewWriter(codes, log)
	chain, err := middleware.Named(cfg.Config, write, log).Chain(cfg.Server.Middlewares)
	if err != nil {
		return nil, err
	}
	engine, err := middleware.NewEngine(write, cfg.Server.RequestTimeout, cfg.Server.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("server.%w", err)
	}
	api := &api{log: log, write: write, notes: new(noteStore), maxBody: cfg.Server.MaxBody}
	checks, err := newChecks(api.notes, draining)
	if err != nil {
		return nil, err
	}
	s := &service{engine: engine, api: api, checks: checks, metrics: metrics.New(draining)}
	s.metrics.Register(metrics.Health(checks))

	// What was used so far holds for all routes, what is used after a route only for those after
	// it. Probes are not in the chain: they must not fail because of a rate limit, nor fill the
	// log.
	engine.Use(s.metrics.Middleware())
	admin.MountHealth(engine, checks)
	engine.Use(chain...)
	engine.GET("/version", gin.WrapH(admin.Version()))
	engine.GET("/errors", func(c *gin.Context) { write.Write(c, nil, codes.All()) })
	api.mountV1(engine.Group("/v1"), cfg.Mode == modeDebug)
	api.mountV2(engine.Group("/v2"))
	return s, nil
}
