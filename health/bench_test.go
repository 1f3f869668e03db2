package health_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

// BenchmarkLag measures how long after a server came up Wait notices it, beside a loop that asks once a second.
// limit-ms is what Wait promises: a tenth of the start-up time and 2ms. Run it alone on a quiet machine:
//
//	go test -run '^$' -bench Lag -benchtime 1x ./health
func BenchmarkLag(b *testing.B) {
	const trials = 20
	waits := func(ctx context.Context, url string) error { return health.Wait(ctx, health.HTTP(url)) }
	for _, startup := range []time.Duration{0, 30 * time.Millisecond, 400 * time.Millisecond, 1300 * time.Millisecond} {
		b.Run(fmt.Sprintf("startup=%v", startup), func(b *testing.B) {
			var lags, pollLags []time.Duration
			for b.Loop() {
				for range trials { // one after the other, as the work of one would be the lag of another
					lags = append(lags, measureLag(b, startup, waits))
				}
				var polls sync.WaitGroup
				var mu sync.Mutex
				for range trials {
					polls.Go(func() {
						lag := measureLag(b, startup, pollEverySecond)
						mu.Lock()
						defer mu.Unlock()
						pollLags = append(pollLags, lag)
					})
				}
				polls.Wait()
			}
			b.ReportMetric(milliseconds(median(lags)), "wait-p50-ms")
			b.ReportMetric(milliseconds(median(pollLags)), "poll-p50-ms")
			b.ReportMetric(milliseconds(startup/10+2*time.Millisecond), "limit-ms")
			b.ReportMetric(0, "ns/op") // it says nothing here
		})
	}
}

// measureLag waits for a server that comes up after startup, and returns how much later that was noticed.
func measureLag(b *testing.B, startup time.Duration, wait func(context.Context, string) error) time.Duration {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	addr := l.Addr().String()
	srv := &http.Server{Handler: answer(200, "ok")}
	defer srv.Close()

	up := make(chan time.Time, 1)
	if startup == 0 {
		up <- time.Now()
		go srv.Serve(l) //nolint:errcheck // ends with Close
	} else {
		require.NoError(b, l.Close())
		time.AfterFunc(startup, func() {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			up <- time.Now()
			_ = srv.Serve(l)
		})
	}
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	require.NoError(b, wait(ctx, "http://"+addr))
	return time.Since(<-up)
}

// pollEverySecond is the loop that most services have.
func pollEverySecond(ctx context.Context, url string) error {
	for {
		resp, err := http.Get(url) //nolint:noctx // as found
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkHandler measures an answer from the last results, as a balancer gets it.
func BenchmarkHandler(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("checks=%d", n), func(b *testing.B) {
			h := upHandler(b, n)
			w, req := nullWriter{http.Header{}}, httptest.NewRequest("GET", "/readyz", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, req)
			}
		})
	}
	b.Run("checks=10/parallel", func(b *testing.B) {
		h := upHandler(b, 10)
		b.RunParallel(func(pb *testing.PB) {
			w, req := nullWriter{http.Header{}}, httptest.NewRequest("GET", "/readyz", nil)
			for pb.Next() {
				h.ServeHTTP(w, req)
			}
		})
	})
}

func upHandler(b *testing.B, n int) http.Handler {
	var checks []health.Check
	for i := range n {
		checks = append(checks, health.Check{Name: fmt.Sprintf("check-%d", i), Probe: new(switchable).probe})
	}
	r := newRegistry(b, checks...)
	start(b, r)
	<-r.Ready()
	return r.Handler(health.Ready)
}

// BenchmarkConcurrentRequests makes 1,000 requests while one check of 200ms is under way: to the handler, and
// over as many connections, where the clients share the processors with the server.
func BenchmarkConcurrentRequests(b *testing.B) {
	const requests = 1000
	var runs atomic.Int32
	r := newRegistry(b, health.Check{Name: "db", Period: health.OnDemand, Probe: func(context.Context) error {
		runs.Add(1)
		time.Sleep(200 * time.Millisecond)
		return nil
	}})
	start(b, r)
	<-r.Ready()
	h := r.Handler(health.Ready)

	measure := func(b *testing.B, request func() (status int, err error)) {
		round := func() (slowest time.Duration) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			for range requests {
				wg.Go(func() {
					begin := time.Now()
					if status, err := request(); err != nil || status != http.StatusOK {
						b.Error(status, err)
					}
					mu.Lock()
					defer mu.Unlock()
					slowest = max(slowest, time.Since(begin))
				})
			}
			wg.Wait()
			return slowest
		}
		round() // opens the connections, which is not what is measured
		runs.Store(0)
		var slowest []time.Duration
		for b.Loop() {
			slowest = append(slowest, round())
		}
		b.ReportMetric(milliseconds(median(slowest)), "slowest-ms")
		b.ReportMetric(float64(runs.Load())/float64(len(slowest)), "runs/op")
	}
	b.Run("handler", func(b *testing.B) {
		measure(b, func() (int, error) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			return w.Code, nil
		})
	})
	b.Run("connections", func(b *testing.B) {
		srv := serve(b, h)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: requests}}
		defer client.CloseIdleConnections()
		measure(b, func() (int, error) {
			resp, err := client.Get(srv.URL + "/readyz")
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode, err
		})
	})
}
