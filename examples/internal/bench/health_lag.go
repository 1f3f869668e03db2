package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	alexliesenfeld "github.com/alexliesenfeld/health"
	hellofresh "github.com/hellofresh/health-go/v5"

	"github.com/gracekit/gracekit/health"
)

// lagScenario observes how long after a server came up that is noticed.
func lagScenario(startup time.Duration) scenario {
	s := scenario{name: fmt.Sprintf("notice a server that comes up after about %v", startup), unit: nanoseconds, sideBySide: true}
	if startup == 0 {
		s.name = "notice a server that is up"
		s.sideBySide = false // there is nothing to wait for
	}
	for _, w := range []struct {
		name, module, note string
		wait               func(ctx context.Context, url string) error
	}{
		{"gracekit health.Wait", gracekit, "", func(ctx context.Context, url string) error {
			return health.Wait(ctx, health.HTTP(url))
		}},
		{"gracekit health.Registry", gracekit, "Ready", waitForRegistry},
		{"a loop, every 1s", "", "as most services have it", func(ctx context.Context, url string) error { return poll(ctx, url, time.Second) }},
		{"a loop, every 100ms", "", "", func(ctx context.Context, url string) error { return poll(ctx, url, 100*time.Millisecond) }},
		{"alexliesenfeld/health, asked every 100ms", alexliesenfeldModule, "WithCheck, which keeps its result for 1s", func(ctx context.Context, url string) error {
			return waitForChecker(ctx, url)
		}},
		{"alexliesenfeld/health, without a cache", alexliesenfeldModule, "WithCheck, WithDisabledCache, asked every 100ms", func(ctx context.Context, url string) error {
			return waitForChecker(ctx, url, alexliesenfeld.WithDisabledCache())
		}},
		{"alexliesenfeld/health, every 1s", alexliesenfeldModule, "WithPeriodicCheck, WithStatusListener", waitForListener},
		{"hellofresh/health-go, asked every 100ms", hellofreshModule, "", waitForMeasure},
	} {
		round := 0
		s.contestants = append(s.contestants, contestant{name: w.name, module: w.module, note: w.note, sample: func(ctx context.Context) (float64, error) {
			round++
			return measureLag(ctx, startup+spread(startup, round), w.wait)
		}})
	}
	return s
}

// spread makes start-ups last up to a quarter longer, differently in each round and alike for all
// contestants: with exactly 400ms a loop of 100ms would always ask in the right moment.
func spread(startup time.Duration, round int) time.Duration {
	_, fraction := math.Modf(float64(round) * math.Phi) // evenly spread, however many there are
	return time.Duration(fraction * float64(startup) / 4)
}

// measureLag waits for a server that answers 503 until it is up, and returns the nanoseconds after
// which that was noticed.
func measureLag(ctx context.Context, startup time.Duration, wait func(context.Context, string) error) (float64, error) {
	var mu sync.Mutex
	var up time.Time
	setUp := func() {
		mu.Lock()
		defer mu.Unlock()
		up = time.Now()
	}
	upSince := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return up
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if upSince().IsZero() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	if startup == 0 {
		setUp()
	} else {
		defer time.AfterFunc(startup, setUp).Stop()
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := wait(ctx, server.URL); err != nil {
		return 0, err
	}
	noticed := time.Now()
	if since := upSince(); !since.IsZero() {
		return float64(noticed.Sub(since)), nil
	}
	return 0, errors.New("it was noticed before it was up")
}

func waitForRegistry(ctx context.Context, url string) error {
	r, err := health.New(health.Check{Name: "server", Probe: health.HTTP(url)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	select {
	case <-r.Ready():
	case <-ctx.Done():
		err = ctx.Err()
	}
	cancel()
	return errors.Join(err, <-done)
}

func poll(ctx context.Context, url string, period time.Duration) error {
	return every(ctx, period, func() bool { return get(ctx, url) == nil })
}

// waitForChecker asks an endpoint for its answer as a balancer or a script does.
func waitForChecker(ctx context.Context, url string, options ...alexliesenfeld.CheckerOption) error {
	checker := alexliesenfeld.NewChecker(append(options, alexliesenfeld.WithCheck(alexliesenfeld.Check{
		Name: "server", Check: func(ctx context.Context) error { return get(ctx, url) },
	}))...)
	defer checker.Stop()
	return every(ctx, 100*time.Millisecond, func() bool { return checker.Check(ctx).Status == alexliesenfeld.StatusUp })
}

func waitForListener(ctx context.Context, url string) error {
	up := make(chan struct{}, 1)
	checker := alexliesenfeld.NewChecker(
		alexliesenfeld.WithPeriodicCheck(time.Second, 0, alexliesenfeld.Check{
			Name: "server", Check: func(ctx context.Context) error { return get(ctx, url) },
		}),
		alexliesenfeld.WithStatusListener(func(_ context.Context, state alexliesenfeld.CheckerState) {
			if state.Status == alexliesenfeld.StatusUp {
				select {
				case up <- struct{}{}:
				default:
				}
			}
		}),
	)
	defer checker.Stop()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func waitForMeasure(ctx context.Context, url string) error {
	h, err := hellofresh.New(hellofresh.WithChecks(hellofresh.Config{
		Name: "server", Check: func(ctx context.Context) error { return get(ctx, url) },
	}))
	if err != nil {
		return err
	}
	return every(ctx, 100*time.Millisecond, func() bool { return h.Measure(ctx).Status == hellofresh.StatusOK })
}

// every asks at once and then with pauses.
func every(ctx context.Context, pause time.Duration, done func() bool) error {
	for !done() {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", response.Status)
	}
	return nil
}
