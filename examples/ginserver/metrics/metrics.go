// Package metrics counts and measures the requests of a gin engine for Prometheus.
package metrics

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics has a registry of its own, so that a library which registers something for everybody
// changes nothing here. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	inFlight prometheus.Gauge
	duration *prometheus.HistogramVec
}

// New returns the metrics of one service, those of the Go runtime and of the process among them.
// draining is closed when it begins to stop.
func New(draining <-chan struct{}) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_requests_in_flight", Help: "Requests that are being answered."}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "How long requests took, by the pattern of their route.",
			Buckets: prometheus.DefBuckets, // from 5ms to 10s
		}, []string{"method", "route", "status"}),
	}
	m.registry.MustRegister(m.inFlight, m.duration, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "shutdown_draining", Help: "1 from the first moment of a shutdown."}, func() float64 {
			select {
			case <-draining:
				return 1
			default:
				return 0
			}
		}))
	return m
}

// Register adds metrics of one's own. It panics if there is one of that name already.
func (m *Metrics) Register(own ...prometheus.Collector) { m.registry.MustRegister(own...) }

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Middleware measures every request that comes through. No client can make a new time series: a
// path stands for its route, a path without a route is "none", and so is a method that nobody
// knows.
func (m *Metrics) Middleware() gin.HandlerFunc {
	return func(c *gin.Context) {
		begin := time.Now()
		m.inFlight.Inc()
		status := http.StatusInternalServerError // that of a panic which nobody catches
		defer func() {
			m.inFlight.Dec()
			m.duration.WithLabelValues(method(c.Request.Method), route(c.FullPath()), strconv.Itoa(status)).Observe(time.Since(begin).Seconds())
		}()
		c.Next()
		status = c.Writer.Status()
	}
}

const none = "none"

func method(name string) string {
	if slices.Contains([]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}, name) {
		return name
	}
	return none
}

func route(pattern string) string {
	if pattern == "" {
		return none
	}
	return pattern
}
