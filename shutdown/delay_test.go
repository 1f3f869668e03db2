package shutdown_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// Delay is for balancers that still send. Where nothing serves any more, it would be waited for in
// vain; in any other case it is waited for in full.
func TestDelayIsSkippedOnlyIfNothingServes(t *testing.T) {
	fails := func(after time.Duration) func(context.Context) error {
		return func(context.Context) error { time.Sleep(after); return errTest }
	}
	tests := []struct {
		name    string
		skipped bool
		begin   func(gs service) // requests the stop, or lets it come
	}{
		{"the port is in use", true, func(gs service) {
			require.NoError(gs.t, gs.GoHTTP("api", &http.Server{}, failingListener{newListener()}))
			gs.start()
		}},
		{"the port is in use, by ListenAndServe", true, func(gs service) {
			require.NoError(gs.t, gs.AddHTTPServer("api", &http.Server{}))
			gs.component("http", fails(0))
			gs.start()
		}},
		{"the port is in use, and other components run", true, func(gs service) {
			require.NoError(gs.t, gs.AddHTTPServer("api", &http.Server{}))
			gs.component("http", fails(0))
			gs.component("worker", untilStopped)
			gs.start()
		}},
		{"the only component fails", true, func(gs service) {
			gs.component("consumer", fails(sec))
			gs.start()
		}},
		{"the last component fails", true, func(gs service) {
			gs.component("job", sleep(sec))
			gs.component("consumer", fails(2*sec))
			gs.start()
		}},
		{"a context that had ended", true, func(gs service) {
			ctx, cancel := context.WithCancel(gs.t.Context())
			cancel()
			assert.ErrorIs(gs.t, gs.Start(ctx), shutdown.ErrShuttingDown)
		}},
		{"Shutdown before Start", true, func(gs service) { gs.Shutdown(nil) }},
		{"Shutdown before Start, which then comes", true, func(gs service) {
			gs.goHTTP("api", &http.Server{})
			gs.Shutdown(nil)
			assert.ErrorIs(gs.t, gs.Start(gs.t.Context()), shutdown.ErrShuttingDown)
		}},
		{"a request within a manager's Start", true, func(gs service) {
			gs.managers(&manager{name: "m", start: func(_ context.Context, request func(error)) error {
				request(nil)
				return nil
			}})
			assert.ErrorIs(gs.t, gs.Start(gs.t.Context()), shutdown.ErrShuttingDown)
		}},
		{"a server that was never served", true, func(gs service) {
			require.NoError(gs.t, gs.AddHTTPServer("api", &http.Server{}))
			gs.start()
			gs.Shutdown(nil)
		}},
		{"a server that its owner has closed", true, func(gs service) {
			srv := &http.Server{}
			gs.goHTTP("api", srv)
			gs.start()
			synctest.Wait()
			assert.NoError(gs.t, srv.Close())
			synctest.Wait()
			gs.Shutdown(nil)
		}},

		{"a server serves", false, func(gs service) {
			gs.goHTTP("api", &http.Server{})
			gs.start()
			synctest.Wait()
			gs.Shutdown(nil)
		}},
		{"a server that has had no connection yet, by Serve", false, func(gs service) {
			gs.serveInMemory(&http.Server{})
			gs.start()
			synctest.Wait()
			gs.Shutdown(nil)
		}},
		{"a gRPC server serves", false, func(gs service) {
			require.NoError(gs.t, gs.GoGRPC("rpc", &rpcServer{}, newListener()))
			gs.start()
			synctest.Wait()
			gs.Shutdown(nil)
		}},
		{"one of two servers serves", false, func(gs service) {
			require.NoError(gs.t, gs.AddHTTPServer("never", &http.Server{}))
			gs.goHTTP("api", &http.Server{})
			gs.start()
			synctest.Wait()
			gs.Shutdown(nil)
		}},
		{"one of two listeners fails", false, func(gs service) {
			srv := &http.Server{}
			gs.goHTTP("api", srv)
			gs.start()
			synctest.Wait()
			require.NoError(gs.t, gs.GoHTTP("api", srv, failingListener{newListener()}))
		}},
		{"the only component fails, and a server serves", false, func(gs service) {
			gs.goHTTP("api", &http.Server{})
			gs.component("consumer", fails(sec))
			gs.start()
		}},
		{"one of two components fails", false, func(gs service) {
			gs.component("consumer", fails(sec))
			gs.component("server of another kind", untilStopped)
			gs.start()
		}},
		{"neither servers nor components", false, func(gs service) {
			gs.start()
			gs.Shutdown(nil)
		}},
		{"a component runs", false, func(gs service) {
			gs.component("server of another kind", untilStopped)
			gs.start()
			gs.Shutdown(nil)
		}},
		{"a server of another kind, which nobody can see serve", false, func(gs service) {
			srv := &plainServer{shutdown: returns(nil)}
			require.NoError(gs.t, gs.AddServer("echo", srv))
			gs.component("echo", untilStopped)
			gs.start()
			gs.Shutdown(nil)
		}},
		{"a gRPC server whose Serve nobody can see", false, func(gs service) {
			gs.grpcServer("rpc", grpcServer{})
			gs.component("rpc", untilStopped)
			gs.start()
			gs.Shutdown(nil)
		}},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t, shutdown.Delay(5*sec), shutdown.Linger(0))
			flushed := gs.flushing()
			tt.begin(gs)
			<-gs.Draining()
			begin := time.Now()
			_ = gs.Wait()
			if tt.skipped {
				assert.Zero(t, time.Since(begin), "%s", gs.Report())
			} else {
				assert.Equal(t, 5*sec, delayed(gs.Report()), "%s", gs.Report())
			}
			assert.True(t, flushed.Load())
		})
	}
}

// A failure of a service that has begun to serve leaves the balancer its time to notice.
func TestDelayAfterAComponentHasFailedServesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(5*sec))
		l := gs.goHTTP("api", &http.Server{Handler: answers("ok")})
		gs.component("consumer", func(context.Context) error { time.Sleep(sec); return errTest })
		gs.start()
		<-gs.Draining()
		for range 4 {
			time.Sleep(sec)
			assert.True(t, l.dial(t).get("/"))
		}
		require.ErrorIs(t, gs.Wait(), errTest)
	})
}
