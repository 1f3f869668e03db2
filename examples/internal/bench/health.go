package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	alexliesenfeld "github.com/alexliesenfeld/health"
	hellofresh "github.com/hellofresh/health-go/v5"

	"github.com/gracekit/gracekit/health"
)

const (
	alexliesenfeldModule = "github.com/alexliesenfeld/health"
	hellofreshModule     = "github.com/hellofresh/health-go/v5"
)

func healthScenarios(ctx context.Context, cfg config, _ io.Writer) ([]scenario, error) {
	var scenarios []scenario
	for _, startup := range []time.Duration{0, 30 * time.Millisecond, 400 * time.Millisecond, 1300 * time.Millisecond} {
		scenarios = append(scenarios, lagScenario(startup))
	}
	works := func(context.Context) error { return nil }
	takes50ms := func(context.Context) error { time.Sleep(50 * time.Millisecond); return nil }

	inBackground := []contestant{
		{name: "gracekit health.Registry", module: gracekit},
		{name: "alexliesenfeld/health", module: alexliesenfeldModule, note: "WithPeriodicCheck"},
		{name: "hellofresh/health-go", module: hellofreshModule, note: "runs the check for each request, it has no other way"},
	}
	forEach := []contestant{
		{name: "gracekit health.Registry", module: gracekit, note: "OnDemand; requests share a run"},
		{name: "alexliesenfeld/health", module: alexliesenfeldModule, note: "WithCheck, WithDisabledCache; by default it keeps the result for 1s"},
		{name: "hellofresh/health-go", module: hellofreshModule},
	}
	together := append([]contestant(nil), forEach...)
	if !cfg.list {
		background, onRequest, slow := handlers(ctx, works), handlersForEachRequest(ctx, works), handlersForEachRequest(ctx, takes50ms)
		background[2] = onRequest[2]
		for i := range forEach {
			inBackground[i] = askOne(inBackground[i], background[i])
			forEach[i] = askOne(forEach[i], onRequest[i])
			together[i] = askTogether(together[i], slow[i])
		}
	}
	return append(scenarios,
		scenario{name: "an answer, the check has run in the background", unit: nanoseconds, contestants: inBackground},
		scenario{name: "an answer, the check runs for each request", unit: nanoseconds, contestants: forEach},
		scenario{name: "the last of 5 answers to requests at the same time, the check takes 50ms", unit: nanoseconds, contestants: together},
	), nil
}

// handlers serve a check that runs in the background; the third has none.
func handlers(ctx context.Context, check func(context.Context) error) [3]http.Handler {
	checker := alexliesenfeld.NewChecker(alexliesenfeld.WithPeriodicCheck(10*time.Second, 0, alexliesenfeld.Check{Name: "check", Check: check}))
	context.AfterFunc(ctx, checker.Stop)
	return [3]http.Handler{registry(ctx, health.Check{Name: "check", Probe: check}), alexliesenfeld.NewHandler(checker), nil}
}

// handlersForEachRequest serve a check that runs when somebody asks.
func handlersForEachRequest(ctx context.Context, check func(context.Context) error) [3]http.Handler {
	checker := alexliesenfeld.NewChecker(alexliesenfeld.WithDisabledCache(), alexliesenfeld.WithCheck(alexliesenfeld.Check{Name: "check", Check: check}))
	context.AfterFunc(ctx, checker.Stop)
	h, err := hellofresh.New(hellofresh.WithChecks(hellofresh.Config{Name: "check", Check: check}))
	if err != nil {
		panic(err) // the configuration is above
	}
	return [3]http.Handler{
		registry(ctx, health.Check{Name: "check", Probe: check, Period: health.OnDemand}),
		alexliesenfeld.NewHandler(checker),
		h.Handler(),
	}
}

func registry(ctx context.Context, check health.Check) http.Handler {
	r, err := health.New(check)
	if err != nil {
		panic(err) // the configuration is above
	}
	go r.Run(ctx) //nolint:errcheck // its only error is a panic of OnChange, which is not used
	<-r.Ready()
	return r.Handler(health.Ready)
}

func askOne(c contestant, h http.Handler) contestant {
	request := httptest.NewRequest(http.MethodGet, "/readyz", nil)
	writer := &statusWriter{headerWriter: headerWriter{http.Header{}}}
	c.op = func() error {
		clear(writer.header)
		writer.status = http.StatusOK
		h.ServeHTTP(writer, request)
		if writer.status != http.StatusOK {
			return fmt.Errorf("the answer is %d", writer.status)
		}
		return nil
	}
	c.check = func() error { // the first run in the background may not be over yet
		var err error
		for range 1000 {
			if err = c.op(); err == nil {
				return nil
			}
			time.Sleep(5 * time.Millisecond)
		}
		return err
	}
	return c
}

// askTogether observes when the last of some requests made at the same time is answered.
func askTogether(c contestant, h http.Handler) contestant {
	c.sample = func(context.Context) (float64, error) {
		var wg sync.WaitGroup
		var failures [5]error
		begin := time.Now()
		for i := range failures {
			wg.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
				if w.Code != http.StatusOK {
					failures[i] = fmt.Errorf("the answer is %d", w.Code)
				}
			})
		}
		wg.Wait()
		return float64(time.Since(begin)), errors.Join(failures[:]...)
	}
	return c
}

type statusWriter struct {
	headerWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) { w.status = status }
