package shutdown_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func TestAddHTTPServerRefuses(t *testing.T) {
	gs := newService(t)
	srv := &http.Server{}
	assert.EqualError(t, gs.AddHTTPServer("", srv), "shutdown: HTTP server without a name")
	assert.EqualError(t, gs.AddHTTPServer("s", nil), `shutdown: HTTP server "s" is nil`)
	assert.Nil(t, srv.Handler, "the server of a refused call was changed")
	require.NoError(t, gs.AddHTTPServer("a", srv))
	handler := fmt.Sprintf("%p", srv.Handler)
	assert.EqualError(t, gs.AddHTTPServer("b", srv),
		`shutdown: HTTP server "b" was added before, as "a"`)
	assert.Equal(t, handler, fmt.Sprintf("%p", srv.Handler), "wrapped twice")
	require.NoError(t, gs.stop())
	assert.Len(t, rowsOf(gs.Report()), 1)
}

// Servers are added while the stop is requested: each is either drained or untouched.
func TestAddHTTPServerDuringTheTrigger(t *testing.T) {
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			gs := newService(t)
			var all sync.WaitGroup
			var accepted, drained atomic.Int32
			for range 20 {
				all.Go(func() {
					srv := &http.Server{}
					srv.RegisterOnShutdown(func() { drained.Add(1) })
					if err := gs.AddHTTPServer("s", srv); err != nil {
						assert.ErrorIs(t, err, shutdown.ErrShuttingDown)
						assert.Nil(t, srv.Handler)
						assert.Nil(t, srv.ConnState)
						return
					}
					accepted.Add(1)
				})
				all.Go(func() { gs.Shutdown(nil) })
			}
			all.Wait()
			require.NoError(t, gs.Wait())
			synctest.Wait()
			assert.Equal(t, accepted.Load(), drained.Load())
		})
	}
}

// While the stop is in its first step, everything is served, and every client is told to leave.
func TestServesDuringDelay(t *testing.T) {
	entered, goOn := make(chan struct{}), make(chan struct{})
	gs := newService(t)
	release := gs.holdStop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	gs.serveOn(&http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-goOn
		}
	})}, l)
	gs.start()
	idle, slow := dial(t, addr), dial(t, addr)
	assert.False(t, idle.get("/"), "before the trigger")
	slow.send("/slow")
	<-entered

	gs.Shutdown(nil)
	assert.True(t, idle.get("/"), "on a connection from before")
	idle.expectClosed()
	for range 5 {
		fresh := dial(t, addr)
		assert.True(t, fresh.get("/"), "on a connection from after the trigger")
		fresh.expectClosed()
	}
	close(goOn)
	resp, _ := slow.receive()
	assert.True(t, resp.Close, "the response to a request from before")
	slow.expectClosed()

	release()
	require.NoError(t, gs.Wait())
	_, err = l.Accept()
	assert.ErrorIs(t, err, net.ErrClosed, "still listening")
}

func TestRequestsInFlightAreAnswered(t *testing.T) {
	const n = 200
	goOn := make(chan struct{})
	var entered sync.WaitGroup
	entered.Add(n)
	gs := newService(t)
	addr := gs.serveFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered.Done()
			<-goOn
			assert.NoError(t, r.Context().Err())
		}
		fmt.Fprint(w, "ok")
	})
	gs.start()
	conns := make([]*conn, n)
	for i := range conns {
		conns[i] = dial(t, addr)
		conns[i].get("/fast")
		conns[i].send("/slow")
	}
	entered.Wait()
	gs.Shutdown(nil)
	close(goOn)
	for _, c := range conns {
		resp, body := c.receive()
		assert.True(t, resp.Close)
		assert.Equal(t, "ok", body)
	}
	require.NoError(t, gs.Wait())
}

// The trigger comes between the header of a request and its body.
func TestExpectContinueAcrossTheTrigger(t *testing.T) {
	gs := newService(t, shutdown.Linger(0))
	entered := make(chan struct{})
	addr := gs.serveFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		_, _ = w.Write(body)
	})
	gs.start()
	c := dial(t, addr)
	_, _ = fmt.Fprint(c,
		"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	<-entered
	gs.Shutdown(nil)
	require.Contains(t, c.receiveLine(), "100 Continue")
	require.Equal(t, "\r\n", c.receiveLine())
	_, _ = fmt.Fprint(c, "body")
	resp, body := c.receive()
	assert.Equal(t, "body", body)
	assert.True(t, resp.Close)
	require.NoError(t, gs.Wait())
}

// Clients that may not repeat a request use kept-alive connections until they are told to leave.
func TestNothingIsLostUnderLoad(t *testing.T) {
	for range 5 {
		gs := newService(t, shutdown.Delay(100*ms), shutdown.Grace(20*sec), shutdown.Linger(5*sec))
		addr := gs.serveFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		})
		gs.start()
		var answered, told atomic.Int32
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				transport := &http.Transport{}
				defer transport.CloseIdleConnections()
				for leave := false; !leave; {
					resp, err := post(&http.Client{Transport: transport}, "http://"+addr, "payload")
					if !assert.NoError(t, err, "after %d", answered.Load()) {
						gs.Shutdown(nil)
						return
					}
					if answered.Add(1) == 500 {
						gs.Shutdown(nil)
					}
					leave = resp.Close // for another replica
				}
				told.Add(1)
			})
		}
		clients.Wait()
		require.NoError(t, gs.Wait())
		assert.EqualValues(t, 8, told.Load(), "clients that were told to leave")
	}
}

// post sends a request that cannot be sent again to a server that echoes.
func post(client *http.Client, url, text string) (*http.Response, error) {
	body := struct{ io.Reader }{strings.NewReader(text)} // no GetBody
	resp, err := client.Post(url, "text/plain", body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && string(got) != text {
		err = fmt.Errorf("got %q", got)
	}
	return resp, err
}

func TestHTTPServerIsCutAtItsDeadline(t *testing.T) {
	for n, want := range map[int]string{1: "1 connection was cut", 3: "3 connections were cut"} {
		t.Run(want, func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			defer close(release)
			gs := newService(t, shutdown.Grace(sec), shutdown.Linger(0))
			addr := gs.serveFunc(func(http.ResponseWriter, *http.Request) {
				entered <- struct{}{}
				<-release
			})
			gs.callback("flush", shutdown.PhaseFlush,
				func(ctx context.Context) error { return ctx.Err() })
			gs.start()
			conns := make([]*conn, n)
			for i := range conns {
				conns[i] = dial(t, addr)
				conns[i].send("/")
				<-entered
			}
			err := gs.stop()
			assert.ErrorIs(t, err, shutdown.ErrTimeout)
			assert.ErrorContains(t, err, "api (ingress): shutdown: timed out after ")
			api := row(t, gs.Report(), "api")
			assert.ErrorContains(t, api.Err, ": "+want)
			assert.Equal(t, shutdown.StateTimeout, api.State)
			assert.Equal(t, shutdown.StateOK, row(t, gs.Report(), "flush").State)
			assert.Contains(t, string(gs.Report().Stacks), "TestHTTPServerIsCutAtItsDeadline")
			for _, c := range conns {
				c.expectClosed()
			}
		})
	}
	t.Run("a stream of HTTP/2", func(t *testing.T) {
		release := make(chan struct{})
		gs := newService(t, shutdown.Grace(sec), shutdown.Linger(0))
		handler := func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			<-release
		}
		srv := httptest.NewUnstartedServer(http.HandlerFunc(handler))
		defer srv.Close()
		defer close(release)
		srv.EnableHTTP2 = true
		require.NoError(t, gs.AddHTTPServer("h2", srv.Config))
		srv.StartTLS()
		gs.start()
		resp, err := srv.Client().Get(srv.URL)
		require.NoError(t, err)
		defer resp.Body.Close()
		err = gs.stop()
		require.ErrorIs(t, err, shutdown.ErrTimeout)
		assert.ErrorContains(t, err, ": 1 connection was cut")
		_, err = io.ReadAll(resp.Body)
		assert.Error(t, err)
	})
}

func TestHTTPServerThatDoesNotServe(t *testing.T) {
	bubble(t, "since nobody has called Serve", func(t *testing.T) {
		gs := newService(t)
		srv := &http.Server{}
		require.NoError(t, gs.AddHTTPServer("api", srv))
		gs.start()
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Zero(t, took)
		assert.ErrorIs(t, srv.ListenAndServe(), http.ErrServerClosed)
	})
	bubble(t, "since its owner has closed it", func(t *testing.T) {
		gs := newService(t, shutdown.Linger(time.Hour))
		srv := &http.Server{Handler: answers("ok")}
		l := gs.serveInMemory(srv)
		gs.start()
		l.dial(t).get("/")
		synctest.Wait()
		require.NoError(t, srv.Close())
		synctest.Wait()
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Zero(t, took, "%s", gs.Report())
	})
	t.Run("since its port is in use", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		gs := newService(t)
		srv := &http.Server{Addr: l.Addr().String()}
		require.NoError(t, gs.AddHTTPServer("api", srv))
		gs.component("http", func(context.Context) error { return srv.ListenAndServe() })
		err = gs.Run(t.Context())
		var failed *shutdown.ComponentError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "http", failed.Name)
		_, ok := errors.AsType[*net.OpError](err)
		assert.True(t, ok)
	})
}

func TestTwoServersOneWithTLS(t *testing.T) {
	gs := newService(t, shutdown.Linger(0))
	release := gs.holdStop()
	srv := httptest.NewUnstartedServer(answers("ok"))
	defer srv.Close()
	require.NoError(t, gs.AddHTTPServer("tls", srv.Config))
	srv.StartTLS()
	plainAddr := gs.serve(&http.Server{Handler: answers("ok")})
	gs.start()
	config := srv.Client().Transport.(*http.Transport).TLSClientConfig
	tlsConn, err := tls.Dial("tcp", srv.Listener.Addr().String(), config)
	require.NoError(t, err)
	secure, plain := newConn(t, tlsConn), dial(t, plainAddr)
	require.False(t, secure.get("/"))
	require.False(t, plain.get("/"))
	gs.Shutdown(nil)
	assert.True(t, secure.get("/"))
	assert.True(t, plain.get("/"))
	release()
	require.NoError(t, gs.Wait())
}

// AddHTTPServer wraps these, and they keep working.
func TestHTTPServerKeepsWhatItHas(t *testing.T) {
	t.Run("ConnContext", func(t *testing.T) {
		type key struct{}
		gs := newService(t)
		addr := gs.serve(&http.Server{
			ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, key{}, "mine")
			},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "mine", r.Context().Value(key{}))
				assert.NotNil(t, r.Context().Value(http.ServerContextKey))
			}),
		})
		gs.start()
		c := dial(t, addr)
		c.get("/")
		_ = c.Close()
		require.NoError(t, gs.stop())
	})
	bubble(t, "ConnState", func(t *testing.T) {
		var states []http.ConnState
		gs := newService(t)
		l := gs.serveInMemory(&http.Server{
			Handler:   answers("ok"),
			ConnState: func(_ net.Conn, s http.ConnState) { states = append(states, s) },
		})
		gs.start()
		c := l.dial(t)
		c.get("/")
		synctest.Wait()
		gs.Shutdown(nil)
		assert.True(t, c.get("/"))
		require.NoError(t, gs.Wait())
		synctest.Wait()
		assert.Equal(t, []http.ConnState{
			http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateClosed,
		}, states)
	})
	t.Run("nil, which is the default mux", func(t *testing.T) {
		gs := newService(t, shutdown.Linger(0))
		addr := gs.serve(&http.Server{})
		gs.start()
		c := dial(t, addr)
		c.send("/not-registered")
		resp, _ := c.receive()
		assert.Equal(t, http.StatusNotFound, resp.StatusCode)
		require.NoError(t, gs.stop())
	})
	t.Run("a handler that panics", func(t *testing.T) {
		gs := newService(t, shutdown.Linger(0))
		addr := gs.serveFunc(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		})
		gs.start()
		c := dial(t, addr)
		c.send("/")
		c.expectClosed()
		require.NoError(t, gs.stop())
	})
}
