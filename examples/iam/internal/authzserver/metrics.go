package authzserver

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gracekit/gracekit/examples/ginserver/metrics"
	"github.com/gracekit/gracekit/health"
)

// newMetrics has those of HTTP, the health, and what an operator of this server wants to be woken
// by.
func newMetrics(draining <-chan struct{}, authz *authorizer, checks *health.Registry) *metrics.Metrics {
	m := metrics.New(draining)
	m.Register(metrics.Health(checks))
	gauge := func(name, help string, value func() float64) {
		m.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("authz_copy_revision", "Number of the database's revision that is held.", func() float64 { return float64(authz.cache.held().number) })
	gauge("authz_copy_age_seconds", "Time since an apiserver confirmed the copy.", func() float64 {
		if !authz.cache.loaded() {
			return 0
		}
		return authz.cache.age().Seconds()
	})
	if d := authz.decisions; d != nil {
		counter := func(name, help string, value func() float64) {
			m.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
		}
		counter("authz_decisions_recorded_total", "Decisions that are on record.", func() float64 { return float64(d.written.Load()) })
		counter("authz_decisions_dropped_total", "Decisions that are not, because the records came too fast.", func() float64 { return float64(d.dropped.Load()) })
	}
	return m
}
