package shutdown_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// serve starts srv, registered with gs, on a port of its own and returns its address.
func serve(t *testing.T, gs *shutdown.GracefulShutdown, srv *http.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gs.AddHTTPServer("api", srv))
	require.NoError(t, gs.Go("http", func(context.Context) error { return srv.Serve(l) }))
	return l.Addr().String()
}

func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A rawConn speaks HTTP/1.1 by hand, so that the test decides what goes over which connection, and when.
type rawConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *rawConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &rawConn{t, c, bufio.NewReader(c)}
}

func (c *rawConn) send(path string) {
	c.t.Helper()
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path)
	require.NoError(c.t, err)
}

func (c *rawConn) receive() *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	require.NoError(c.t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(c.t, err)
	_ = resp.Body.Close()
	return resp
}

func (c *rawConn) expectClosed() {
	c.t.Helper()
	_, err := c.r.ReadByte()
	assert.Error(c.t, err, "the server has not closed the connection")
}

func TestDelayServesAndTellsClientsToLeave(t *testing.T) {
	inHandler, goOn := make(chan bool), make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		inHandler <- true
		<-goOn
		_, _ = io.WriteString(w, "done")
	})
	// In place of a Delay: a hook that takes as long as the test needs.
	requests := make(chan struct{})
	gs := shutdown.New()
	require.NoError(t, gs.AddManager(&hooked{manager{name: "test"},
		func(context.Context, error) error { <-requests; return nil },
		func(context.Context, shutdown.Report) error { return nil }}))
	addr := serve(t, gs, &http.Server{Handler: mux})
	require.NoError(t, gs.Start(t.Context()))

	idle, slow := dial(t, addr), dial(t, addr)
	idle.send("/")
	assert.False(t, idle.receive().Close, "before the trigger")
	slow.send("/slow")
	<-inHandler

	gs.Shutdown(nil)
	idle.send("/")
	assert.True(t, idle.receive().Close, "on a connection from before")
	idle.expectClosed()

	fresh := dial(t, addr)
	fresh.send("/")
	assert.True(t, fresh.receive().Close, "on a connection opened after the trigger, by a client that has not noticed")
	fresh.expectClosed()

	goOn <- true
	assert.True(t, slow.receive().Close, "the response to a request from before")
	slow.expectClosed()

	close(requests)
	require.NoError(t, gs.Wait())
	_, err := net.Dial("tcp", addr)
	assert.Error(t, err, "still listening")
}

func TestLinger(t *testing.T) {
	t.Run("an idle connection may make its last request, and then nothing is waited for", func(t *testing.T) {
		gs := shutdown.New(shutdown.Linger(5 * time.Second)) // the test takes so long only if it fails
		states := make(chan http.ConnState, 10)
		addr := serve(t, gs, &http.Server{
			Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
			ConnState: func(_ net.Conn, s http.ConnState) { states <- s },
		})
		require.NoError(t, gs.Start(t.Context()))
		c := dial(t, addr)
		c.send("/")
		c.receive()
		gs.Shutdown(nil)
		c.send("/")
		assert.True(t, c.receive().Close)
		require.NoError(t, gs.Wait())
		assert.Less(t, gs.Report().Linger, 5*time.Second)
		for _, want := range []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateClosed} {
			assert.Equal(t, want, <-states, "what the user's ConnState was told")
		}
	})
	t.Run("ends by itself", func(t *testing.T) {
		gs := shutdown.New(shutdown.Linger(50 * time.Millisecond))
		addr := serve(t, gs, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
		require.NoError(t, gs.Start(t.Context()))
		c := dial(t, addr)
		c.send("/")
		c.receive()
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		assert.GreaterOrEqual(t, gs.Report().Linger, 50*time.Millisecond)
		c.expectClosed()
	})
	t.Run("takes at most half of what is left of Grace", func(t *testing.T) {
		gs := shutdown.New(shutdown.Linger(time.Hour), shutdown.Grace(100*time.Millisecond))
		addr := serve(t, gs, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
		require.NoError(t, gs.Start(t.Context()))
		c := dial(t, addr)
		c.send("/")
		c.receive()
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait(), "no time was left to drain")
	})
}

func TestHTTPServerIsCutAtItsDeadline(t *testing.T) {
	inHandler := make(chan bool)
	release := make(chan bool)
	gs := shutdown.New(shutdown.Grace(200*time.Millisecond), shutdown.Linger(0))
	addr := serve(t, gs, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inHandler <- true
		<-release
	})})
	ran := false
	require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "db", Func: func(context.Context) error { ran = true; return nil }}))
	require.NoError(t, gs.Start(t.Context()))
	c, d := dial(t, addr), dial(t, addr)
	c.send("/")
	d.send("/")
	<-inHandler
	<-inHandler
	gs.Shutdown(nil)
	err := gs.Wait()
	c.expectClosed()
	d.expectClosed()
	close(release)
	assert.ErrorContains(t, err, "api (ingress): shutdown: timed out after ")
	assert.ErrorContains(t, err, ": 2 connections were cut")
	assert.ErrorIs(t, err, shutdown.ErrTimeout)
	assert.True(t, ran)
	assert.Contains(t, string(gs.Report().Stacks), "TestHTTPServerIsCutAtItsDeadline")
}

func TestSameServerTwice(t *testing.T) {
	gs := shutdown.New()
	srv := &http.Server{}
	require.NoError(t, gs.AddHTTPServer("a", srv))
	assert.EqualError(t, gs.AddHTTPServer("b", srv), `shutdown: HTTP server "b" was added before, as "a"`)
	gs.Shutdown(nil)
	late := &http.Server{}
	assert.ErrorIs(t, gs.AddHTTPServer("late", late), shutdown.ErrShuttingDown)
	assert.Nil(t, late.Handler, "the server of a refused call was changed")
	assert.NoError(t, gs.Wait())
}

func TestNilHandlerIsTheDefaultMux(t *testing.T) {
	gs := shutdown.New()
	addr := serve(t, gs, &http.Server{})
	require.NoError(t, gs.Start(t.Context()))
	c := dial(t, addr)
	c.send("/not-registered")
	assert.Equal(t, http.StatusNotFound, c.receive().StatusCode)
	_ = c.Close()
	gs.Shutdown(nil)
	assert.NoError(t, gs.Wait())
}

// Clients with kept-alive connections, requests that may not be sent again, and a stop in the midst of it.
func TestNothingIsLostUnderLoad(t *testing.T) {
	gs := shutdown.New(shutdown.Delay(50 * time.Millisecond))
	addr := serve(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})})
	require.NoError(t, gs.Start(t.Context()))
	client := newClient(t)
	var wg sync.WaitGroup
	var answered atomic.Int64
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-gs.Draining(): // as a balancer that has noticed
					return
				default:
				}
				resp, err := client.Post("http://"+addr, "text/plain", struct{ io.Reader }{strings.NewReader("payload")})
				if !assert.NoError(t, err) {
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				assert.NoError(t, err)
				assert.Equal(t, "payload", string(body))
				if answered.Add(1) == 1000 {
					gs.Shutdown(nil)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, gs.Wait())
}

func TestHTTP2GetsGoAway(t *testing.T) {
	gs := shutdown.New()
	requests := make(chan struct{})
	require.NoError(t, gs.AddManager(&hooked{manager{name: "test"},
		func(context.Context, error) error { <-requests; return nil },
		func(context.Context, shutdown.Report) error { return nil }}))
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pushes := w.(http.Pusher)
		_, hijacks := w.(http.Hijacker)
		fmt.Fprint(w, r.Proto, " ", r.RemoteAddr, " ", pushes, hijacks)
	}))
	ts.EnableHTTP2 = true
	require.NoError(t, gs.AddHTTPServer("api", ts.Config))
	ts.StartTLS()
	defer ts.Close()
	require.NoError(t, gs.Start(t.Context()))

	get := func() string {
		resp, err := ts.Client().Get(ts.URL)
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Empty(t, resp.Header.Get("Connection"), "HTTP/2 has no such header (RFC 9113, 8.2.2)")
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(b)
	}
	first := get()
	assert.Regexp(t, `^HTTP/2\.0 .* true ?false$`, first)
	assert.Equal(t, first, get(), "one connection for both")
	gs.Shutdown(nil)
	assert.Equal(t, first, get(), "the response that carries the news")
	assert.NotEqual(t, first, get(), "the client goes on with a connection it was told to leave")
	close(requests)
	ts.Client().Transport.(*http.Transport).CloseIdleConnections()
	assert.NoError(t, gs.Wait())
}

func TestDrainHandler(t *testing.T) {
	// Each handler is called after the trigger, or triggers it itself, and has to say close.
	var gs *shutdown.GracefulShutdown
	tests := []struct {
		name    string
		handler http.HandlerFunc
		status  int
		body    string
	}{
		{"writes nothing", func(http.ResponseWriter, *http.Request) { gs.Shutdown(nil) }, 200, ""},
		{"WriteHeader", func(w http.ResponseWriter, _ *http.Request) { gs.Shutdown(nil); w.WriteHeader(202) }, 202, ""},
		{"Write", func(w http.ResponseWriter, _ *http.Request) { gs.Shutdown(nil); _, _ = w.Write([]byte("x")) }, 200, "x"},
		{"WriteString", func(w http.ResponseWriter, _ *http.Request) { gs.Shutdown(nil); _, _ = io.WriteString(w, "x") }, 200, "x"},
		{"ReadFrom", func(w http.ResponseWriter, _ *http.Request) {
			gs.Shutdown(nil)
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
		}, 200, "x"},
		{"Flush", func(w http.ResponseWriter, _ *http.Request) { gs.Shutdown(nil); w.(http.Flusher).Flush() }, 200, ""},
		{"controller's Flush", func(w http.ResponseWriter, _ *http.Request) {
			gs.Shutdown(nil)
			assert.NoError(t, http.NewResponseController(w).Flush())
		}, 200, ""},
		{"early hints first", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			gs.Shutdown(nil)
			w.WriteHeader(201)
		}, 201, ""},
		{"keep-alive by hand", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "keep-alive")
			gs.Shutdown(nil)
			w.WriteHeader(200)
		}, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gs = shutdown.New()
			ts := httptest.NewServer(gs.DrainHandler(tt.handler))
			defer ts.Close()
			resp, err := http.Get(ts.URL)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.True(t, resp.Close, "Connection: close")
			assert.Equal(t, tt.status, resp.StatusCode)
			assert.Equal(t, tt.body, string(body))
			require.NoError(t, gs.Wait())
		})
	}

	t.Run("a header already on its way stays as it is", func(t *testing.T) {
		gs := shutdown.New()
		ts := httptest.NewServer(gs.DrainHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			gs.Shutdown(nil)
			_, _ = io.WriteString(w, "x")
		})))
		defer ts.Close()
		resp, err := http.Get(ts.URL)
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.False(t, resp.Close)
		require.NoError(t, gs.Wait())
	})

	t.Run("optional interfaces", func(t *testing.T) {
		gs := shutdown.New()
		plain := httptest.NewRecorder() // neither Hijacker nor Pusher, no CloseNotifier
		gs.DrainHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, hijacks := w.(http.Hijacker)
			_, pushes := w.(http.Pusher)
			assert.False(t, hijacks)
			assert.False(t, pushes)
			assert.NotNil(t, w.(interface{ CloseNotify() <-chan bool }).CloseNotify())
			assert.ErrorIs(t, http.NewResponseController(w).SetReadDeadline(time.Now()), http.ErrNotSupported)
		})).ServeHTTP(plain, httptest.NewRequest("GET", "/", nil))

		type pushHijacker struct {
			http.ResponseWriter
			http.Hijacker
			http.Pusher
		}
		gs.DrainHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, hijacks := w.(http.Hijacker)
			_, pushes := w.(http.Pusher)
			assert.True(t, hijacks)
			assert.True(t, pushes)
		})).ServeHTTP(pushHijacker{ResponseWriter: plain}, httptest.NewRequest("GET", "/", nil))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
	})

	t.Run("hijack, close notification and deadlines reach the server", func(t *testing.T) {
		gs := shutdown.New()
		ts := httptest.NewServer(gs.DrainHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			assert.NotNil(t, w.(interface{ CloseNotify() <-chan bool }).CloseNotify())
			assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)))
			c, _, err := w.(http.Hijacker).Hijack()
			require.NoError(t, err)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhijacked")
			_ = c.Close()
		})))
		defer ts.Close()
		resp, err := http.Get(ts.URL)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		assert.Equal(t, "hijacked", string(body))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
	})

	t.Run("101 is left alone", func(t *testing.T) {
		gs := shutdown.New()
		rec := httptest.NewRecorder()
		gs.Shutdown(nil)
		gs.DrainHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
		})).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		assert.Equal(t, "Upgrade", rec.Header().Get("Connection"))
		require.NoError(t, gs.Wait())
	})
}

func TestHijackedConnectionsAreForTheTracker(t *testing.T) {
	var tracker shutdown.Tracker
	hijacked := make(chan net.Conn, 1)
	gs := shutdown.New()
	addr := serve(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		done, ok := tracker.Add()
		if !ok {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		c, _, err := http.NewResponseController(w).Hijack()
		assert.NoError(t, err)
		hijacked <- c
		go func() {
			defer done()
			defer c.Close()
			<-gs.Draining()
			_, _ = io.WriteString(c, "bye\n")
		}()
	})})
	require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "sockets", Phase: shutdown.PhaseWork, Func: tracker.Wait}))
	require.NoError(t, gs.Start(t.Context()))
	c := dial(t, addr)
	c.send("/")
	<-hijacked
	gs.Shutdown(nil)
	require.NoError(t, gs.Wait())
	line, err := c.r.ReadString('\n')
	assert.NoError(t, err)
	assert.Equal(t, "bye\n", line)
}

func BenchmarkDrainHandler(b *testing.B) {
	gs := shutdown.New()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	w, r := nopWriter{http.Header{}}, httptest.NewRequest("GET", "/", nil)
	for name, h := range map[string]http.Handler{"bare": next, "wrapped": gs.DrainHandler(next)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

type nopWriter struct{ header http.Header }

func (w nopWriter) Header() http.Header         { return w.header }
func (w nopWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w nopWriter) WriteHeader(int)             {}
