package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// An admin server goes last: it shows the metrics of the stop while the stores close.
func TestServerInALaterPhase(t *testing.T) {
	bubble(t, "accepts until then, also after Delay and Linger", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec), shutdown.Linger(sec))
		l := gs.goHTTP("admin", &http.Server{Handler: answers("metrics")},
			shutdown.InPhase(shutdown.PhaseFlush))
		gs.goHTTP("api", &http.Server{Handler: answers("ok")})
		for _, phase := range []shutdown.Phase{shutdown.PhaseWork, shutdown.PhaseStore} {
			gs.callback("scrape", phase, func(context.Context) error {
				time.Sleep(sec)
				c := l.dial(t)
				c.send("/metrics")
				_, body := c.receive()
				assert.Equal(t, "metrics", body)
				return nil
			})
		}
		gs.start()
		require.NoError(t, gs.stop())
		r := gs.Report()
		assert.Equal(t, shutdown.PhaseFlush, row(t, r, "admin").Phase)
		assert.Equal(t, shutdown.PhaseIngress, row(t, r, "api").Phase)
		assertClosed(t, l)
	})
	bubble(t, "in an earlier one it is drained first", func(t *testing.T) {
		gs := newService(t)
		l := gs.goHTTP("edge", &http.Server{Handler: answers("ok")}, shutdown.InPhase(50))
		gs.callback("ingress", shutdown.PhaseIngress, func(context.Context) error {
			assertClosed(t, l)
			return nil
		})
		gs.start()
		require.NoError(t, gs.stop())
	})
	for name, option := range map[string]func() shutdown.ServerOption{
		"InPhase(0)":       func() shutdown.ServerOption { return shutdown.InPhase(0) },
		"InPhase(-1)":      func() shutdown.ServerOption { return shutdown.InPhase(-1) },
		"DrainTimeout(0s)": func() shutdown.ServerOption { return shutdown.DrainTimeout(0) },
	} {
		t.Run(name+" panics", func(t *testing.T) {
			defer func() {
				assert.Contains(t, fmt.Sprint(recover()), "shutdown: "+name)
			}()
			option()
			t.Error("it does not panic")
		})
	}
	bubble(t, "a nil option is skipped", func(t *testing.T) {
		gs := newService(t)
		gs.goHTTP("api", &http.Server{}, nil, shutdown.DrainTimeout(sec), nil)
		gs.start()
		require.NoError(t, gs.stop())
	})
}

// A stream that never ends does not take the time that the worker needs.
func TestDrainTimeoutLeavesTimeToTheLaterPhases(t *testing.T) {
	for name, add := range map[string]func(gs service, srv *http.Server) *listener{
		"GoHTTP": func(gs service, srv *http.Server) *listener {
			return gs.goHTTP("api", srv, shutdown.DrainTimeout(2*sec))
		},
		"AddHTTPServer": func(gs service, srv *http.Server) *listener {
			require.NoError(gs.t, gs.AddHTTPServer("api", srv, shutdown.DrainTimeout(2*sec)))
			l := newListener()
			gs.component("http", func(context.Context) error { return srv.Serve(l) })
			return l
		},
		"AddServer of an http.Server": func(gs service, srv *http.Server) *listener {
			require.NoError(gs.t, gs.AddServer("api", srv, shutdown.DrainTimeout(2*sec)))
			l := newListener()
			gs.component("http", func(context.Context) error { return srv.Serve(l) })
			return l
		},
	} {
		bubble(t, name, func(t *testing.T) {
			gs := newService(t, shutdown.Grace(5*sec), shutdown.Linger(0))
			l := add(gs, &http.Server{Handler: http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				})})
			gs.component("worker", func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(1500 * ms)
				return nil
			})
			gs.start()
			c := l.dial(t)
			c.send("/stream")
			_, _ = http.ReadResponse(c.r, nil)
			synctest.Wait()
			took, err := gs.timedStop()
			assertTook(t, 3500*ms, took)
			assert.ErrorContains(t, err, "api (ingress): ")
			assert.ErrorContains(t, err, "1 connection was cut")
			assert.Equal(t, shutdown.StateTimeout, row(t, gs.Report(), "api").State)
			assert.Equal(t, shutdown.StateOK, row(t, gs.Report(), "worker").State)
		})
	}
}

func TestAddServer(t *testing.T) {
	bubble(t, "Shutdown, and Close at the end of its time", func(t *testing.T) {
		gs := newService(t, shutdown.Grace(5*sec))
		closed := make(chan struct{})
		require.NoError(t, gs.AddServer("echo", &plainServer{
			shutdown: func(context.Context) error { <-closed; return errors.New("closed") },
			close:    func() error { close(closed); return nil },
		}))
		gs.start()
		took, err := gs.timedStop()
		assertTook(t, 5*sec, took)
		assert.ErrorIs(t, err, shutdown.ErrTimeout)
		assert.Equal(t, shutdown.PhaseIngress, row(t, gs.Report(), "echo").Phase)
	})
	bubble(t, "Shutdown alone", func(t *testing.T) {
		gs := newService(t, shutdown.Grace(5*sec))
		require.NoError(t, gs.AddServer("h3", onlyShutdown{hanging(t)}))
		flushed := gs.flushing()
		gs.start()
		_, err := gs.timedStop()
		assert.ErrorIs(t, err, shutdown.ErrTimeout)
		assert.True(t, flushed.Load())
	})
	bubble(t, "an http.Server is told to say close", func(t *testing.T) {
		gs := newService(t)
		release := gs.holdStop()
		srv := &http.Server{Handler: answers("ok")}
		require.NoError(t, gs.AddServer("api", srv))
		l := newListener()
		gs.component("http", func(context.Context) error { return srv.Serve(l) })
		gs.start()
		c := l.dial(t)
		gs.Shutdown(nil)
		assert.True(t, c.get("/"))
		release()
		require.NoError(t, gs.Wait())
		assertClosed(t, l)
	})
	t.Run("an http.Server that was added before", func(t *testing.T) {
		gs, srv := newService(t), &http.Server{}
		require.NoError(t, gs.AddServer("api", srv))
		assert.ErrorContains(t, gs.AddHTTPServer("api", srv), "added before")
	})
	t.Run("one that was added before", func(t *testing.T) {
		gs, srv := newService(t), &plainServer{shutdown: returns(nil)}
		require.NoError(t, gs.AddServer("a", srv))
		assert.ErrorContains(t, gs.AddServer("b", srv), "added before")
	})
	t.Run("a typed nil", func(t *testing.T) {
		gs := newService(t)
		assert.ErrorContains(t, gs.AddServer("a", (*http.Server)(nil)), "nil")
		assert.ErrorContains(t, gs.AddServer("b", (*plainServer)(nil)), "nil")
	})
}

type onlyShutdown struct{ fn func(context.Context) error }

func (s onlyShutdown) Shutdown(ctx context.Context) error { return s.fn(ctx) }
