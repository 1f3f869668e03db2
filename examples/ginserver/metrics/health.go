package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gracekit/gracekit/health"
)

// Health collects what a registry knows of its checks. Nothing is checked for it.
func Health(checks *health.Registry) prometheus.Collector { return healthCollector{checks} }

type healthCollector struct{ checks *health.Registry }

var (
	checkUp = prometheus.NewDesc("health_check_up",
		"1 if the check is up; 0 if it is down or nothing is known yet.", []string{"check"}, nil)
	checkDuration = prometheus.NewDesc("health_check_duration_seconds",
		"How long the last run of the check took.", []string{"check"}, nil)
	checkRunning = prometheus.NewDesc("health_check_running_seconds",
		"For how long the run in progress has been running; 0 if none is.", []string{"check"}, nil)
)

// Describe is part of [prometheus.Collector].
func (healthCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- checkUp
	descs <- checkDuration
	descs <- checkRunning
}

// Collect is part of [prometheus.Collector].
func (c healthCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, check := range c.checks.Report(health.Live | health.Ready | health.Startup).Checks {
		up, running := 0.0, 0.0
		if check.State == health.Up {
			up = 1
		}
		if !check.Running.IsZero() {
			running = time.Since(check.Running).Seconds()
		}
		for desc, value := range map[*prometheus.Desc]float64{
			checkUp: up, checkDuration: check.Last().Duration.Seconds(), checkRunning: running,
		} {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, check.Name)
		}
	}
}
