package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/examples/ginserver/metrics"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

func scrape(m *metrics.Metrics) string {
	got := httptest.NewRecorder()
	m.Handler().ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return got.Body.String()
}

func TestNoClientMakesATimeSeries(t *testing.T) {
	m := metrics.New(nil)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.Use(m.Middleware())
	engine.GET("/notes/:id", func(c *gin.Context) { c.Status(http.StatusOK) })
	for i := range 1000 {
		for _, r := range []*http.Request{
			httptest.NewRequest(http.MethodGet, fmt.Sprintf("/notes/%d?q=%d", i, i), nil),
			httptest.NewRequest(http.MethodGet, fmt.Sprintf("/nothing/%d", i), nil),
			httptest.NewRequest(fmt.Sprintf("METHOD%d", i), "/notes/1", nil),
		} {
			engine.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	series := regexp.MustCompile(`(?m)^http_request_duration_seconds_count.*$`).FindAllString(scrape(m), -1)
	slices.Sort(series)
	assert.Equal(t, []string{
		`http_request_duration_seconds_count{method="GET",route="/notes/:id",status="200"} 1000`,
		`http_request_duration_seconds_count{method="GET",route="none",status="404"} 1000`,
		`http_request_duration_seconds_count{method="none",route="none",status="405"} 1000`,
	}, series)
}

func TestInFlight(t *testing.T) {
	m := metrics.New(nil)
	engine := gin.New()
	engine.Use(m.Middleware())
	engine.GET("/", func(*gin.Context) { assert.Contains(t, scrape(m), "\nhttp_requests_in_flight 1\n") })
	engine.GET("/panic", func(*gin.Context) { panic("x") })
	engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Contains(t, scrape(m), "\nhttp_requests_in_flight 0\n")
	assert.Panics(t, func() {
		engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/panic", nil))
	})
	assert.Contains(t, scrape(m), "\nhttp_requests_in_flight 0\n")
	assert.Contains(t, scrape(m), `http_request_duration_seconds_count{method="GET",route="/panic",status="500"} 1`)
}

func TestDraining(t *testing.T) {
	draining := make(chan struct{})
	m := metrics.New(draining)
	assert.Contains(t, scrape(m), "\nshutdown_draining 0\n")
	close(draining)
	assert.Contains(t, scrape(m), "\nshutdown_draining 1\n")
}

// Two services in one process do not disturb each other, nor what registers itself for everybody.
func TestRegistryOfItsOwn(t *testing.T) {
	own := prometheus.NewGauge(prometheus.GaugeOpts{Name: "notes", Help: "How many there are."})
	one, other := metrics.New(nil), metrics.New(nil)
	one.Register(own)
	assert.Contains(t, scrape(one), "\nnotes 0\n")
	assert.NotContains(t, scrape(other), "\nnotes 0\n")
	assert.Contains(t, scrape(one), "go_goroutines")
	assert.Panics(t, func() { one.Register(own) })
}
