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

type probe = func(context.Context) error

func healthScenarios(ctx context.Context, _ config, _ io.Writer) ([]scenario, error) {
	var scenarios []scenario
	for _, startup := range []time.Duration{0, 30 * time.Millisecond, 400 * time.Millisecond, 1300 * time.Millisecond} {
		scenarios = append(scenarios, lagScenario(startup))
	}
	works := probe(func(context.Context) error { return nil })
	slow := probe(func(context.Context) error { time.Sleep(50 * time.Millisecond); return nil })
	withCheck := func(check probe) alexliesenfeld.CheckerOption {
		return alexliesenfeld.WithCheck(alexliesenfeld.Check{Name: "check", Check: check})
	}

	inBackground := registry(ctx, health.Check{Name: "check", Probe: works})
	onDemand := registry(ctx, health.Check{Name: "check", Probe: works, Period: health.OnDemand})
	uncached := checker(ctx, alexliesenfeld.WithDisabledCache(), withCheck(works))
	return append(scenarios,
		scenario{name: "an answer, the check has run in the background", unit: nanoseconds, contestants: []contestant{
			endpoint{"gracekit health.Registry", gracekit, "text", "", inBackground}.askOne(),
			endpoint{"gracekit health.Registry, JSON", gracekit, "", jsonType, inBackground}.askOne(),
			endpoint{"alexliesenfeld/health", alexliesenfeldModule, "JSON; WithPeriodicCheck", "",
				checker(ctx, alexliesenfeld.WithPeriodicCheck(10*time.Second, 0, alexliesenfeld.Check{Name: "check", Check: works}))}.askOne(),
			endpoint{"hellofresh/health-go", hellofreshModule, "JSON; runs the check for each request, it has no other way", "", measurer(works)}.askOne(),
		}},
		scenario{name: "an answer, the check runs for each request", unit: nanoseconds, contestants: []contestant{
			endpoint{"gracekit health.Registry", gracekit, "text; OnDemand", "", onDemand}.askOne(),
			endpoint{"gracekit health.Registry, JSON", gracekit, "OnDemand", jsonType, onDemand}.askOne(),
			endpoint{"alexliesenfeld/health", alexliesenfeldModule, "JSON; WithDisabledCache; by default it keeps the result for 1s", "", uncached}.askOne(),
			endpoint{"hellofresh/health-go", hellofreshModule, "JSON", "", measurer(works)}.askOne(),
		}},
		scenario{name: "the last of 5 answers to requests at the same time, the check takes 50ms", unit: nanoseconds, contestants: []contestant{
			endpoint{"gracekit health.Registry", gracekit, "OnDemand; requests share a run", "",
				registry(ctx, health.Check{Name: "check", Probe: slow, Period: health.OnDemand})}.askTogether(),
			endpoint{"alexliesenfeld/health", alexliesenfeldModule, "WithDisabledCache", "",
				checker(ctx, alexliesenfeld.WithDisabledCache(), withCheck(slow))}.askTogether(),
			endpoint{"alexliesenfeld/health, cached", alexliesenfeldModule, "WithCacheDuration(25ms): an answer may be that old", "",
				checker(ctx, alexliesenfeld.WithCacheDuration(25*time.Millisecond), withCheck(slow))}.askTogether(),
			endpoint{"hellofresh/health-go", hellofreshModule, "", "", measurer(slow)}.askTogether(),
		}},
	), nil
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

func checker(ctx context.Context, options ...alexliesenfeld.CheckerOption) http.Handler {
	c := alexliesenfeld.NewChecker(options...)
	context.AfterFunc(ctx, c.Stop)
	return alexliesenfeld.NewHandler(c)
}

func measurer(check probe) http.Handler {
	h, err := hellofresh.New(hellofresh.WithChecks(hellofresh.Config{Name: "check", Check: check}))
	if err != nil {
		panic(err) // the configuration is above
	}
	return h.Handler()
}

const jsonType = "application/json"

// An endpoint answers in its own format, unless it is asked to accept another one.
type endpoint struct {
	name, module, note, accept string
	handler                    http.Handler
}

func (e endpoint) request() *http.Request {
	request := httptest.NewRequest(http.MethodGet, "/readyz", nil)
	if e.accept != "" {
		request.Header.Set("Accept", e.accept)
	}
	return request
}

func (e endpoint) askOne() contestant {
	c := contestant{name: e.name, module: e.module, note: e.note}
	request := e.request()
	writer := &statusWriter{headerWriter: headerWriter{http.Header{}}}
	c.op = func() error {
		clear(writer.header)
		writer.status = http.StatusOK
		e.handler.ServeHTTP(writer, request)
		if writer.status != http.StatusOK {
			return fmt.Errorf("the answer is %d", writer.status)
		}
		return nil
	}
	c.check = func() error { // the first run in the background may not be over yet
		var err error
		for range 1000 {
			if err = c.op(); err == nil {
				if format := writer.header.Get("Content-Type"); e.accept != "" && format != e.accept {
					return fmt.Errorf("the answer is %s, want %s", format, e.accept)
				}
				return nil
			}
			time.Sleep(5 * time.Millisecond)
		}
		return err
	}
	return c
}

// askTogether observes when the last of some requests made at the same time is answered.
func (e endpoint) askTogether() contestant {
	c := contestant{name: e.name, module: e.module, note: e.note}
	c.sample = func(context.Context) (float64, error) {
		var wg sync.WaitGroup
		var failures [5]error
		begin := time.Now()
		for i := range failures {
			wg.Go(func() {
				w := httptest.NewRecorder()
				e.handler.ServeHTTP(w, e.request())
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
