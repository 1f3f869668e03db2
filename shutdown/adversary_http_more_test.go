package shutdown_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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

// An upgrade that a balancer still sends during Delay works, through a reverse proxy behind DrainHandler, too: its
// "Connection: Upgrade" stands alone.
func TestAdversaryHTTPUpgradeAfterTheTrigger(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	}))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	require.NoError(t, err)
	for _, before := range []bool{true, false} {
		gs := shutdown.New(shutdown.Linger(0))
		open := advGate(t, gs)
		address := advServe(t, gs, &http.Server{Handler: httputil.NewSingleHostReverseProxy(target)})
		require.NoError(t, gs.Start(t.Context()))
		if !before {
			gs.Shutdown(nil)
		}
		c := advDial(t, address)
		c.send("/", "Connection: Upgrade", "Upgrade: echo")
		r, err := http.ReadResponse(c.r, nil)
		require.NoError(t, err)
		assert.Equal(t, 101, r.StatusCode)
		assert.Equal(t, []string{"Upgrade"}, r.Header.Values("Connection"), "before the trigger: %v", before)
		assert.False(t, r.Close)
		_, _ = fmt.Fprint(c, "hello\n")
		line, err := c.r.ReadString('\n')
		assert.NoError(t, err)
		assert.Equal(t, "hello\n", line)
		open()
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
	}
}

// A response whose header was out before the trigger cannot say it any more: its connection gets Linger, and the next
// response says it.
func TestAdversaryHTTPHeaderSentBeforeTheTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Linger(5 * time.Second))
		goOn := make(chan struct{})
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stream" {
				fmt.Fprint(w, "first ")
				w.(http.Flusher).Flush()
				<-goOn
				fmt.Fprint(w, "second")
				w.Header().Set(http.TrailerPrefix+"Sum", "x")
				return
			}
			fmt.Fprint(w, "next")
		})}
		l := &advListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		require.NoError(t, gs.AddHTTPServer("api", srv))
		require.NoError(t, gs.Go("http", func(context.Context) error { return srv.Serve(l) }))
		require.NoError(t, gs.Start(t.Context()))
		c := l.dial(t)
		c.send("/stream")
		r, err := http.ReadResponse(c.r, nil)
		require.NoError(t, err)
		begin := make([]byte, 6)
		_, err = io.ReadFull(r.Body, begin)
		require.NoError(t, err)
		gs.Shutdown(nil)
		synctest.Wait()
		time.Sleep(time.Second)
		close(goOn)
		rest, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		assert.Equal(t, "second", string(rest))
		assert.Equal(t, "x", r.Trailer.Get("Sum"))
		time.Sleep(time.Second)
		c.send("/")
		next, body := c.response()
		assert.True(t, next.Close)
		assert.Equal(t, "next", body)
		require.NoError(t, gs.Wait())
		assert.Equal(t, 2*time.Second, gs.Report().Total, "%s", gs.Report())
	})
}

// Servers are added, and callbacks, while others trigger: what was refused is untouched, what was accepted is drained.
func TestAdversaryHTTPAddDuringTheTrigger(t *testing.T) {
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			var all sync.WaitGroup
			var drained atomic.Int32
			accepted := 0
			var mu sync.Mutex
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
					mu.Lock()
					accepted++
					mu.Unlock()
				})
				all.Go(func() { gs.Shutdown(nil) })
			}
			all.Wait()
			require.NoError(t, gs.Wait())
			synctest.Wait()
			assert.EqualValues(t, accepted, drained.Load())
		})
	}
}

// HTTP/2 over a connection with a stream that never ends is cut at the deadline, and counted.
func TestAdversaryHTTP2Deadline(t *testing.T) {
	gs := shutdown.New(shutdown.Grace(100*time.Millisecond), shutdown.Linger(0))
	release := make(chan struct{})
	entered := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(entered)
		<-release
	}))
	defer srv.Close()
	defer close(release)
	srv.EnableHTTP2 = true
	require.NoError(t, gs.AddHTTPServer("h2", srv.Config))
	srv.StartTLS()
	require.NoError(t, gs.Start(t.Context()))
	r, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	defer r.Body.Close()
	<-entered
	gs.Shutdown(nil)
	err = gs.Wait()
	require.ErrorIs(t, err, shutdown.ErrTimeout)
	assert.Regexp(t, `\b1 connections?\b`, err.Error())
	_, err = io.ReadAll(r.Body)
	assert.Error(t, err)
}

// DrainHandler inside other middleware, and on top of AddHTTPServer's own, does no harm.
func TestAdversaryDrainHandlerTwice(t *testing.T) {
	gs := shutdown.New(shutdown.Linger(0))
	open := advGate(t, gs)
	defer open()
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, bufio.NewReader(strings.NewReader("body")))
	})
	address := advServe(t, gs, &http.Server{Handler: gs.DrainHandler(http.TimeoutHandler(gs.DrainHandler(inner), time.Hour, "x"))})
	require.NoError(t, gs.Start(t.Context()))
	gs.Shutdown(nil)
	c := advDial(t, address)
	c.send("/")
	r, body := c.response()
	assert.True(t, r.Close)
	assert.Equal(t, "body", body)
	open()
	require.NoError(t, gs.Wait())
}
