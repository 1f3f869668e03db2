package authzserver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gracekit/gracekit/health"
)

// newChecks makes a server ready when it holds secrets and policies, and from then on: without Redis or the apiserver it answers
// from what it has, which is better than nothing. What is missing is shown all the same.
func newChecks(cache *cache, client *redis.Client, loaders ...*loader) (*health.Registry, error) {
	held := func(loaded func() bool) health.Probe {
		return func(context.Context) error {
			if !loaded() {
				return errors.New("not loaded yet")
			}
			return nil
		}
	}
	return health.New(
		health.Check{Name: "secrets", Kind: health.Ready | health.Startup, Probe: held(cache.secrets.loaded)},
		health.Check{Name: "policies", Kind: health.Ready | health.Startup, Probe: held(cache.policies.loaded)},
		health.Check{Name: "feed", Optional: true, Period: time.Second, Probe: func(context.Context) error {
			var errs []error
			for _, l := range loaders {
				errs = append(errs, l.lastError())
			}
			return errors.Join(errs...)
		}},
		health.Check{Name: "redis", Optional: true, Period: 5 * time.Second, Probe: func(ctx context.Context) error {
			return client.Ping(ctx).Err()
		}},
	)
}

// mountChecks serves the three endpoints, and each check below them: /readyz/feed.
func mountChecks(mux *http.ServeMux, checks *health.Registry) {
	for path, kind := range map[string]health.Kind{"/livez": health.Live, "/readyz": health.Ready, "/startupz": health.Startup} {
		handler := checks.Handler(kind)
		mux.Handle(path, handler)
		mux.Handle(path+"/{name}", handler)
	}
}
