package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	bubble(t, "what was just accepted then gets Linger, and is told to leave", func(t *testing.T) {
		gs := newService(t, shutdown.Linger(sec))
		l := gs.goHTTP("admin", &http.Server{Handler: answers("metrics")},
			shutdown.InPhase(shutdown.PhaseFlush))
		var idle, late *conn
		gs.callback("store", shutdown.PhaseStore, func(context.Context) error {
			idle = l.dial(t)
			assert.False(t, idle.get("/"), "it was told before the phase of its server")
			time.Sleep(5 * sec)
			late = l.dial(t)
			synctest.Wait()
			return nil
		})
		gs.callback("flush", shutdown.PhaseFlush, func(context.Context) error {
			time.Sleep(900 * ms)
			assert.True(t, late.get("/"))
			return nil
		})
		gs.start()
		took, err := gs.timedStop()
		require.NoError(t, err)
		assertTook(t, 5900*ms, took, "what was idle for longer than Linger is not waited for")
		idle.expectClosed()
	})
	bubble(t, "a stream that goes on has half of the time that is left, and is cut at its end",
		func(t *testing.T) {
			gs := newService(t, shutdown.Grace(4*sec), shutdown.Linger(time.Hour), shutdown.Tail(0))
			l := gs.goHTTP("admin", &http.Server{Handler: http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				})}, shutdown.InPhase(shutdown.PhaseFlush))
			gs.start()
			c := l.dial(t)
			c.send("/stream")
			_, _ = http.ReadResponse(c.r, nil)
			gs.Shutdown(nil)
			time.Sleep(1900 * ms)
			l.dial(t) // while half of the time is not over, it accepts: this listener has no queue
			time.Sleep(200 * ms)
			assertClosed(t, l)
			assert.ErrorContains(t, gs.Wait(), "1 connection was cut")
			assertTook(t, 4*sec, gs.Report().Total)
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

// What the caller has to know is not lost because a server had to be cut, or was never drained.
func TestErrorsOfAServerThatIsCut(t *testing.T) {
	bubble(t, "why a listener has failed", func(t *testing.T) {
		gs := newService(t)
		srv := &http.Server{Handler: http.HandlerFunc(
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })}
		l := gs.goHTTP("api", srv, shutdown.DrainTimeout(200*ms))
		failing := failingListener{newListener()}
		gs.start()
		l.dial(t).send("/")
		synctest.Wait()
		require.NoError(t, gs.GoHTTP("api", srv, failing))
		err := gs.Wait()
		var failed *shutdown.ComponentError
		require.ErrorAs(t, err, &failed)
		assert.ErrorIs(t, err, errTest)
		assert.ErrorIs(t, err, shutdown.ErrTimeout)
		assert.Contains(t, row(t, gs.Report(), "api").Err.Error(),
			"timed out after 200ms: 1 connection was cut; test: some failure")
	})
	bubble(t, "why a server has failed that was not drained for want of time", func(t *testing.T) {
		gs := newService(t, shutdown.Grace(sec), shutdown.Tail(0))
		require.NoError(t, gs.GoHTTP("api", &http.Server{}, failingListener{newListener()}))
		gs.callback("hangs", 50, hanging(t))
		gs.start()
		err := gs.Wait()
		assert.ErrorIs(t, err, errTest)
		assert.Equal(t, shutdown.StateSkipped, row(t, gs.Report(), "api").State)
	})
	bubble(t, "what Shutdown said at its deadline", func(t *testing.T) {
		gs := newService(t, shutdown.Grace(sec))
		require.NoError(t, gs.AddServer("queue", &plainServer{
			shutdown: func(ctx context.Context) error {
				<-ctx.Done()
				return errors.Join(ctx.Err(), errTest)
			},
			close: func() error { return nil },
		}))
		gs.start()
		assert.ErrorIs(t, gs.stop(), errTest)
	})
}

// A server that was closed before cannot serve, and nobody would notice.
func TestGoHTTPOfAServerThatIsClosedAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, srv := newService(t), &http.Server{Handler: answers("ok")}
		require.NoError(t, srv.Close())
		gs.goHTTP("api", srv)
		gs.start()
		assert.ErrorContains(t, gs.Wait(), "component api: shutdown: the server was closed before it could serve")
	})
}

// Serve returns as soon as the owner has called Shutdown, but its requests are still in flight.
func TestServerThatItsOwnerIsDrainingIsWaitedFor(t *testing.T) {
	for _, stopAfter := range []time.Duration{100 * ms, 2 * sec} {
		bubble(t, stopAfter.String(), func(t *testing.T) {
			gs := newService(t, shutdown.Linger(0))
			srv := &http.Server{Handler: http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) { time.Sleep(sec); fmt.Fprint(w, "late") })}
			l := gs.goHTTP("reloaded", srv)
			gs.start()
			c := l.dial(t)
			c.send("/")
			synctest.Wait()
			go func() { assert.NoError(t, srv.Shutdown(t.Context())) }()
			go func() {
				_, body := c.receive()
				assert.Equal(t, "late", body)
			}()
			begin := time.Now()
			time.Sleep(stopAfter)
			require.NoError(t, gs.stop())
			assert.GreaterOrEqual(t, time.Since(begin), sec)
			if stopAfter > sec {
				assert.Empty(t, rowsOf(gs.Report()), "it is done")
			}
		})
	}
}

// A shared listener in a later phase goes on accepting until then, as any other.
func TestHeldListenerInALaterPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, l := newService(t), newListener()
		defer l.Close()
		require.NoError(t, gs.GoHTTP("admin", &http.Server{Handler: answers("ok")}, gs.holdListener(l),
			shutdown.InPhase(shutdown.PhaseFlush)))
		gs.callback("store", shutdown.PhaseStore, func(context.Context) error {
			l.dial(t).get("/")
			return nil
		})
		gs.start()
		require.NoError(t, gs.stop())
	})
}

// gRPC over an HTTP server: that one is drained first in whichever phase both have, and a server of
// another phase is not waited for.
func TestGRPCOverHTTPInOtherPhases(t *testing.T) {
	run := func(t *testing.T, http1, grpc shutdown.Phase) (answer string, took time.Duration) {
		gs := newService(t, shutdown.Grace(20*sec), shutdown.Linger(0))
		stopped := make(chan struct{})
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		l := gs.goHTTP("api", &http.Server{Protocols: protocols, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				select {
				case <-stopped:
					fmt.Fprint(w, "cut")
				case <-time.After(sec):
					fmt.Fprint(w, "answered")
				}
			})}, shutdown.InPhase(http1))
		require.NoError(t, gs.GoGRPC("rpc", &overHTTP{stopped: stopped}, newListener(), shutdown.InPhase(grpc)))
		gs.start()
		transport := &http.Transport{DialContext: l.dialContext, Protocols: protocols}
		defer transport.CloseIdleConnections()
		body := make(chan string, 1)
		go func() {
			resp, err := (&http.Client{Transport: transport}).Post("http://test", "application/grpc", nil)
			if assert.NoError(t, err) {
				b, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				body <- string(b)
			}
		}()
		time.Sleep(100 * ms)
		took, err := gs.timedStop()
		require.NoError(t, err)
		return <-body, took
	}
	bubble(t, "both in PhaseFlush", func(t *testing.T) {
		answer, _ := run(t, shutdown.PhaseFlush, shutdown.PhaseFlush)
		assert.Equal(t, "answered", answer)
	})
	bubble(t, "gRPC first", func(t *testing.T) {
		_, took := run(t, shutdown.PhaseIngress, 50)
		assert.Less(t, took, 5*sec)
	})
}

// overHTTP is a gRPC server whose GracefulStop cuts the calls that it got by ServeHTTP.
type overHTTP struct {
	rpcServer
	stopped chan struct{}
}

func (s *overHTTP) GracefulStop() {
	close(s.stopped)
	s.rpcServer.GracefulStop()
}
