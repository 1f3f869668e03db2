package metrics_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/examples/ginserver/metrics"
	"github.com/gracekit/gracekit/health"
)

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checks, err := health.New(
			health.Check{Name: "up", Probe: func(context.Context) error { time.Sleep(time.Second / 4); return nil }},
			health.Check{Name: "down", Probe: func(context.Context) error { return errors.New("bad") }, Failures: 1},
			health.Check{Name: "hangs", Timeout: time.Hour, Probe: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}},
		)
		require.NoError(t, err)
		m := metrics.New(make(chan struct{}))
		m.Register(metrics.Health(checks))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- checks.Run(ctx) }()
		time.Sleep(5 * time.Second)

		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		for _, want := range []string{
			`health_check_up{check="up"} 1`, `health_check_up{check="down"} 0`, `health_check_up{check="hangs"} 0`,
			`health_check_duration_seconds{check="up"} 0.25`, `health_check_running_seconds{check="up"} 0`,
		} {
			assert.Contains(t, w.Body.String(), want+"\n")
		}
		// The checks begin some milliseconds apart.
		assert.Regexp(t, `health_check_running_seconds{check="hangs"} (4\.99\d*|5)\n`, w.Body.String())
		cancel()
		assert.NoError(t, <-done)
	})
}
