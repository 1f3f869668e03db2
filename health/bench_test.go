package health_test

import (
	"bufio"
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

// BenchmarkLag measures how long after a server came up Wait notices it, beside a loop that asks
// once a second. limit-ms is what Wait promises: a tenth of the start-up time and 2ms. Run it alone
// on a quiet machine:
//
//	go test -run '^$' -bench Lag -benchtime 1x ./health
func BenchmarkLag(b *testing.B) {
	const trials = 20
	waits := func(ctx context.Context, url string) error { return health.Wait(ctx, health.HTTP(url)) }
	for _, startup := range []time.Duration{0, 30 * time.Millisecond, 400 * time.Millisecond,
		1300 * time.Millisecond} {
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

// measureLag waits for a server that comes up after startup, and returns how much later that was
// noticed.
func measureLag(b *testing.B, startup time.Duration,
	wait func(context.Context, string) error) time.Duration {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	addr := l.Addr().String()
	srv := &http.Server{Handler: answer(200, "ok")}
	defer srv.Close()

	up := make(chan time.Time, 1)
	if startup == 0 {
		up <- time.Now()
		go srv.Serve(l)
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
		resp, err := http.Get(url)
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
		checks = append(checks, health.Check{Name: fmt.Sprintf("check-%d", i),
			Probe: new(switchable).probe})
	}
	r := newRegistry(b, checks...)
	start(b, r)
	<-r.Ready()
	return r.Handler(health.Ready)
}

// BenchmarkConcurrentRequests makes 1,000 requests while one check of 200ms is under way: straight
// to the handler, and over as many connections. There the clients and the kernel share the
// processors with the server, so the same is measured for a handler that only waits 200ms: what it
// takes is what the connections cost here, and what this package costs is the difference.
// slowest-ms is to stay below 250.
//
//	go test -run '^$' -bench Concurrent -benchtime 20x ./health
func BenchmarkConcurrentRequests(b *testing.B) {
	const requests = 1000
	const takes = 200 * time.Millisecond
	var runs atomic.Int32
	r := newRegistry(b, health.Check{Name: "db", Period: health.OnDemand,
		Probe: func(context.Context) error {
			runs.Add(1)
			time.Sleep(takes)
			return nil
		}})
	start(b, r)
	<-r.Ready()
	h := r.Handler(health.Ready)

	measure := func(b *testing.B, request func(i int) error) {
		round := func() (slowest time.Duration) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			begin := time.Now()
			for i := range requests {
				wg.Go(func() {
					if err := request(i); err != nil {
						b.Error(err)
					}
					took := time.Since(begin)
					mu.Lock()
					defer mu.Unlock()
					slowest = max(slowest, took)
				})
			}
			wg.Wait()
			return slowest
		}
		round() // fills the pools of net/http, which is not what is measured
		runs.Store(0)
		var slowest []time.Duration
		for b.Loop() {
			slowest = append(slowest, round())
		}
		b.ReportMetric(milliseconds(median(slowest)), "slowest-ms")
		b.ReportMetric(float64(runs.Load())/float64(len(slowest)), "runs/op")
		b.ReportMetric(0, "ns/op") // it says nothing here
	}
	b.Run("handler", func(b *testing.B) {
		measure(b, func(int) error {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			return wantOK(w.Result())
		})
	})
	overConnections := func(b *testing.B, h http.Handler) {
		// Not an http.Client, which takes more time than the server.
		addr := serve(b, h).Listener.Addr().String()
		var conns [requests]net.Conn
		var readers [requests]*bufio.Reader
		for i := range conns {
			conn, err := net.Dial("tcp", addr)
			require.NoError(b, err)
			defer conn.Close()
			conns[i], readers[i] = conn, bufio.NewReader(conn)
		}
		measure(b, func(i int) error {
			if _, err := io.WriteString(conns[i],
				"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				return err
			}
			resp, err := http.ReadResponse(readers[i], nil)
			if err != nil {
				return err
			}
			return wantOK(resp)
		})
	}
	b.Run("connections", func(b *testing.B) { overConnections(b, h) })
	b.Run("connections without a registry", func(b *testing.B) {
		overConnections(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(takes)
			_, _ = io.WriteString(w, "ok\n")
		}))
	})
}

func wantOK(resp *http.Response) error {
	_, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("got %s, want 200", resp.Status)
	}
	return err
}

// BenchmarkPage makes the page of 3,000 checks, which is to take at most 20ms.
func BenchmarkPage(b *testing.B) {
	for _, n := range []int{10, 200, 3000} {
		b.Run(fmt.Sprintf("checks=%d", n), func(b *testing.B) {
			r := newRegistry(b)
			for i := range n {
				check := health.Check{Name: fmt.Sprint("c", i), Probe: new(switchable).probe,
					Period: health.OnDemand}
				require.NoError(b, r.Add(check))
			}
			start(b, r)
			<-r.Ready()
			h := r.Handler(health.Ready)
			for range 40 { // a full history
				get(h, "/readyz")
			}
			r.Drain() // from now on nothing runs beside it
			req := httptest.NewRequest("GET", "/readyz", nil)
			req.Header.Set("Accept", "text/html")
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(nullWriter{http.Header{}}, req)
			}
		})
	}
}
