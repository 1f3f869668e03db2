package health_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/health"
)

// Over real connections too, all requests that arrive during a run share it. The run ends when all of them wait for it.
func TestAdversaryConnectionsShareOneRun(t *testing.T) {
	const requests = 200
	var runs atomic.Int32
	allWait := make(chan struct{})
	r := newRegistry(t, health.Check{Name: "db", Period: health.OnDemand, Timeout: time.Minute, Probe: func(ctx context.Context) error {
		if runs.Add(1) > 1 { // the first is not on demand
			select {
			case <-allWait:
			case <-ctx.Done():
			}
		}
		return ctx.Err()
	}})
	start(t, r)
	<-r.Ready()

	var waiting atomic.Int32
	waits := func() {
		if waiting.Add(1) == requests {
			close(allWait)
		}
	}
	h := r.Handler(health.Ready)
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h.ServeHTTP(w, req.WithContext(watchedContext{req.Context(), waits}))
	}))
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			resp, err := srv.Client().Get(srv.URL + "/readyz")
			if assert.NoError(t, err) {
				resp.Body.Close()
				assert.Equal(t, 200, resp.StatusCode)
			}
		})
	}
	wg.Wait()
	srv.Client().CloseIdleConnections()
	assert.EqualValues(t, 2, runs.Load())
}

// A watchedContext tells when somebody begins to wait for its end.
type watchedContext struct {
	context.Context
	waits func()
}

func (c watchedContext) Done() <-chan struct{} { c.waits(); return c.Context.Done() }

// One check does not wait for another, and a request not for those nobody asked for.
func TestAdversaryChecksRunSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context) error { time.Sleep(200 * time.Millisecond); return nil }
		var checks []health.Check
		for i := range 5 {
			checks = append(checks, health.Check{Name: fmt.Sprint("slow-", i), Probe: slow, Period: health.OnDemand})
		}
		checks = append(checks, health.Check{Name: "hangs", Kind: health.Live, Period: health.OnDemand, Timeout: time.Hour,
			Probe: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		r := newRegistry(t, checks...)
		start(t, r)
		<-r.Ready()
		h := r.Handler(health.Ready)
		begin := time.Now()
		assert.Equal(t, 200, get(h, "/readyz").Code)
		assert.Equal(t, 200*time.Millisecond, time.Since(begin))
		assert.Equal(t, 200, get(h, "/readyz?exclude=slow-0,slow-1,slow-2,slow-3,slow-4").Code)
		assert.Equal(t, 200*time.Millisecond, time.Since(begin))
	})
}

// A balancer learns at once that the service is about to stop, even from a check that would keep it waiting.
func TestAdversaryDrainingIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		loop := new(switchable)
		live := health.Check{Name: "loop", Kind: health.Live, Probe: loop.probe, Period: health.OnDemand, Failures: 1}
		r := newRegistry(t, live, health.Check{Name: "db", Period: health.OnDemand, Timeout: time.Minute, Probe: func(ctx context.Context) error {
			if runs.Add(1) > 1 {
				select {
				case <-time.After(30 * time.Second):
				case <-ctx.Done():
				}
			}
			return nil
		}})
		shutdown := make(chan struct{})
		r.DrainOn(shutdown)
		start(t, r)
		<-r.Ready()
		h := r.Handler(health.Ready)

		waiting := make(chan *httptest.ResponseRecorder)
		go func() { waiting <- get(h, "/readyz") }()
		time.Sleep(time.Second) // it waits for the run
		begin := time.Now()
		close(shutdown)
		assert.Equal(t, 503, get(h, "/readyz").Code)
		w := <-waiting
		assert.Equal(t, 503, w.Code)
		assert.Contains(t, w.Body.String(), "ready: draining")
		assert.Equal(t, 503, get(h, "/readyz").Code, "after draining has begun")
		assert.Zero(t, time.Since(begin))
		assert.EqualValues(t, 2, runs.Load(), "no further run for an answer that is known")

		assert.Equal(t, 200, get(h, "/readyz/db").Code, "a single check still answers by its own state")
		assert.Equal(t, 29*time.Second, time.Since(begin), "when the run has ended")
		assert.Equal(t, 503, get(h, "/readyz").Code)
		synctest.Wait()
		assert.EqualValues(t, 2, runs.Load(), "nor one in the background")

		loop.down.Store(true)
		assert.Equal(t, 503, get(r.Handler(health.Live), "/readyz").Code, "what a Live endpoint says is looked up all the same")
	})
}

// DESIGN: pending serves as 503; Grace forgives failures that soon after Run began.
func TestAdversaryGraceAndPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(switchable)
		s.down.Store(true)
		all := health.Live | health.Ready | health.Startup
		r := newRegistry(t,
			health.Check{Name: "slow", Probe: s.probe, Kind: all, Period: time.Second, Grace: time.Minute, Failures: 1},
			health.Check{Name: "strict", Probe: s.probe, Kind: health.Live, Period: time.Minute, Failures: 2},
		)
		code := func(kind health.Kind, target string) int { return get(r.Handler(kind), target).Code }
		assert.Equal(t, 503, code(health.Live, "/readyz?exclude=strict"), "before Run")
		start(t, r)
		time.Sleep(30 * time.Second)
		assert.Equal(t, 503, code(health.Live, "/readyz"), "pending without Grace")
		assert.Equal(t, 200, code(health.Live, "/readyz?exclude=strict"), "pending in its Grace: no reason for a restart")
		assert.Equal(t, 503, code(health.Live, "/readyz/slow"), "but by itself it is pending")
		assert.Equal(t, 503, code(health.Ready, "/readyz"))
		assert.Equal(t, 503, code(health.Startup, "/readyz"))

		s.down.Store(false)
		time.Sleep(3 * time.Second) // it is retried after a tenth of the time since Run began, at most a Period
		assert.Equal(t, 200, code(health.Ready, "/readyz"))
		s.down.Store(true)
		time.Sleep(20 * time.Second)
		assert.Equal(t, 200, code(health.Ready, "/readyz"), "failures in the Grace do not count after it was up either")
		time.Sleep(10 * time.Second)
		assert.Equal(t, 503, code(health.Ready, "/readyz"))
		assert.Equal(t, 503, code(health.Live, "/readyz?exclude=strict"))
	})
}

// A HEAD over the wire has the headers of a GET, no body, and the connection goes on.
func TestAdversaryHeadOverTheWire(t *testing.T) {
	for _, draining := range []bool{false, true} {
		r := newRegistry(t)
		if draining {
			r.Drain()
		}
		conn, err := net.Dial("tcp", serve(t, r.Handler(health.Ready)).Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		in := bufio.NewReader(conn)
		var lengths []int64
		for _, method := range []string{"HEAD", "GET", "HEAD"} {
			_, err := fmt.Fprintf(conn, "%s /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", method)
			require.NoError(t, err)
			resp, err := http.ReadResponse(in, &http.Request{Method: method})
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, method == "GET", len(body) > 0)
			assert.Equal(t, draining, resp.StatusCode == 503)
			lengths = append(lengths, resp.ContentLength)
		}
		assert.Equal(t, lengths[1], lengths[0])
	}
}

// Everything at once, for the race detector; and Run ends all the same.
func TestAdversaryEverythingAtOnce(t *testing.T) {
	s := new(switchable)
	r := newRegistry(t,
		health.Check{Name: "a", Probe: s.probe, Period: time.Millisecond, Kind: health.Live | health.Ready, Failures: 1},
		health.Check{Name: "b", Probe: s.probe, Period: health.OnDemand, Failures: 1},
		health.Check{Name: "c", Probe: s.probe, Kind: health.Startup},
		health.Check{Name: "d", Probe: func(context.Context) error { panic("d") }, Period: time.Millisecond, Optional: true},
	)
	r.OnChange(func(health.Event) { r.Report(health.Ready) })
	stop := start(t, r)
	shutdown := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 30 {
				s.down.Store((i+n)%2 == 0)
				get(r.Handler(health.Ready, health.Details(true)), "/readyz?verbose&exclude=a", "application/json")
				get(r.Handler(health.Live|health.Ready), "/readyz", "text/html")
				if n == 15 {
					r.DrainOn(shutdown)
					r.OnChange(func(health.Event) {})
				}
				if i == 0 && n == 20 {
					close(shutdown)
				}
			}
		})
	}
	wg.Wait()
	stop()
	assert.Equal(t, health.Draining, state(r))
	assert.False(t, r.Report(health.Live).Checks[0].Since.IsZero())
}
