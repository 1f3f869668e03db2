package authzserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gracekit/gracekit/health"
)

// newChecks makes a server ready when it holds a copy, and for as long as that is not too old. What
// else is missing is shown all the same.
func newChecks(cache *cache, client *redis.Client, l *loader, maxStale time.Duration) (*health.Registry, error) {
	checks := []health.Check{
		{Name: "copy", Kind: health.Ready | health.Startup, Probe: func(context.Context) error {
			if !cache.loaded() {
				return errors.New("not loaded yet")
			}
			return nil
		}},
		{Name: "feed", Optional: true, Period: time.Second, Failures: 1, Probe: func(context.Context) error { return l.lastError() }},
		{Name: "redis", Optional: true, Period: 5 * time.Second, Probe: func(ctx context.Context) error {
			return client.Ping(ctx).Err()
		}},
	}
	if maxStale > 0 {
		checks = append(checks, health.Check{Name: "fresh", Period: health.OnDemand, Failures: 1, Probe: func(context.Context) error {
			if age := cache.age(); cache.loaded() && age > maxStale {
				return fmt.Errorf("the copy is %v old", age)
			}
			return nil
		}})
	}
	return health.New(checks...)
}

// mountChecks serves the three endpoints, and each check below them: /readyz/feed.
func mountChecks(mux *http.ServeMux, checks *health.Registry) {
	for path, kind := range map[string]health.Kind{"/livez": health.Live, "/readyz": health.Ready, "/startupz": health.Startup} {
		handler := checks.Handler(kind)
		mux.Handle(path, handler)
		mux.Handle(path+"/{name}", handler)
	}
}
