package shutdown_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
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

// advGate keeps a stop at its first step, where the servers go on serving, until it is opened.
func advGate(t *testing.T, gs *shutdown.GracefulShutdown) (open func()) {
	t.Helper()
	gate := make(chan struct{})
	require.NoError(t, gs.AddManager(&advManager{name: "gate", begin: func(context.Context, error) error { <-gate; return nil }}))
	return sync.OnceFunc(func() { close(gate) })
}

func advServe(t *testing.T, gs *shutdown.GracefulShutdown, srv *http.Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gs.AddHTTPServer("api", srv))
	require.NoError(t, gs.Go("http", func(context.Context) error { return srv.Serve(l) }))
	return l.Addr().String()
}

// advConn is one client connection on which HTTP/1 is spoken by hand.
type advConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func advDial(t *testing.T, address string) *advConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &advConn{t, c, bufio.NewReader(c)}
}

func (c *advConn) send(path string, header ...string) {
	c.t.Helper()
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", path, strings.Join(append(header, ""), "\r\n"))
	require.NoError(c.t, err)
}

func (c *advConn) response() (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, nil)
	require.NoError(c.t, err)
	body, err := io.ReadAll(r.Body)
	require.NoError(c.t, err)
	return r, string(body)
}

func TestAdversaryHTTPEachResponseSaysClose(t *testing.T) {
	handlers := map[string]func(w http.ResponseWriter, r *http.Request){
		"implicit header": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "body") },
		"nothing written": func(w http.ResponseWriter, r *http.Request) {},
		"WriteHeader":     func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"no content":      func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"WriteString":     func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "body") },
		"ReadFrom": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
		},
		"Copy":               func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, strings.NewReader("body")) },
		"Flush":              func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() },
		"controller's Flush": func(w http.ResponseWriter, r *http.Request) { _ = http.NewResponseController(w).Flush() },
		"NotFound":           http.NotFound,
		"redirect":           func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		"own keep-alive header": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "keep-alive")
			fmt.Fprint(w, "body")
		},
		"header deleted": func(w http.ResponseWriter, r *http.Request) { w.Header().Del("Connection"); fmt.Fprint(w, "body") },
		"header cleared": func(w http.ResponseWriter, r *http.Request) { clear(w.Header()); w.WriteHeader(200) },
		"1xx first": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			fmt.Fprint(w, "body")
		},
		"content length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "4")
			fmt.Fprint(w, "body")
		},
		"ServeContent": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("body"))
		},
		"http.Error": func(w http.ResponseWriter, r *http.Request) { http.Error(w, "x", 500) },
		"full duplex": func(w http.ResponseWriter, r *http.Request) {
			assert.NoError(t, http.NewResponseController(w).EnableFullDuplex())
			fmt.Fprint(w, "body")
		},
		"deadlines": func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			assert.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
			assert.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Hour)))
			fmt.Fprint(w, "body")
		},
		"wrapped by others": func(w http.ResponseWriter, r *http.Request) { _ = http.NewResponseController(advWrapped{w}).Flush() },
	}
	for name, handler := range handlers {
		for _, begun := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/handler began before %v", name, begun), func(t *testing.T) {
				gs := shutdown.New(shutdown.Linger(0))
				open := advGate(t, gs)
				defer open()
				entered, goOn := make(chan struct{}, 10), make(chan struct{})
				address := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/wait" {
						entered <- struct{}{}
						<-goOn
					}
					handler(w, r)
				})})
				require.NoError(t, gs.Start(t.Context()))
				c := advDial(t, address)
				c.send("/before")
				skipInformational := func() *http.Response {
					for {
						r, _ := c.response()
						if r.StatusCode >= 200 {
							return r
						}
						assert.False(t, r.Close, "a 1xx response says close")
					}
				}
				before := skipInformational()
				require.False(t, before.Close, "before the trigger")
				if begun {
					c.send("/wait")
					<-entered
				}
				require.True(t, gs.Shutdown(nil))
				if !begun {
					c.send("/after")
				}
				close(goOn)
				r := skipInformational()
				assert.Equal(t, before.StatusCode, r.StatusCode)
				assert.True(t, r.Close, "no Connection: close; Connection: %q", r.Header.Values("Connection"))
				_, err := c.r.ReadByte()
				assert.Equal(t, io.EOF, err, "the connection stays open")
				open()
				require.NoError(t, gs.Wait())
			})
		}
	}
}

type advWrapped struct{ w http.ResponseWriter }

func (w advWrapped) Header() http.Header         { return w.w.Header() }
func (w advWrapped) Write(p []byte) (int, error) { return w.w.Write(p) }
func (w advWrapped) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w advWrapped) Unwrap() http.ResponseWriter { return w.w }

func TestAdversaryHTTPServesDuringDelay(t *testing.T) {
	gs := shutdown.New(shutdown.Linger(0))
	open := advGate(t, gs)
	defer open()
	address := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })})
	require.NoError(t, gs.Start(t.Context()))
	gs.Shutdown(nil)
	for range 20 { // new connections, too
		c := advDial(t, address)
		c.send("/")
		r, body := c.response()
		assert.True(t, r.Close)
		assert.Equal(t, "ok", body)
	}
	open()
	require.NoError(t, gs.Wait())
	_, err := net.Dial("tcp", address)
	require.Error(t, err, "still listening after the stop")
}

func TestAdversaryHTTPInterfaces(t *testing.T) {
	t.Run("HTTP/1", func(t *testing.T) {
		gs := shutdown.New(shutdown.Linger(0))
		var states sync.Map
		srv := &http.Server{
			ConnState: func(c net.Conn, s http.ConnState) { states.Store(s, true) },
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, flusher := w.(http.Flusher)
				_, hijacker := w.(http.Hijacker)
				_, readerFrom := w.(io.ReaderFrom)
				_, pusher := w.(http.Pusher)
				assert.True(t, flusher)
				assert.True(t, hijacker)
				assert.True(t, readerFrom)
				assert.False(t, pusher, "HTTP/1 cannot push")
				assert.NotNil(t, r.Context().Value(http.ServerContextKey))
				conn, rw, err := w.(http.Hijacker).Hijack()
				if !assert.NoError(t, err) {
					return
				}
				_, _ = rw.WriteString("hijacked\n")
				_ = rw.Flush()
				_, err = w.Write([]byte("x"))
				assert.ErrorIs(t, err, http.ErrHijacked)
				_, _, err = http.NewResponseController(w).Hijack()
				assert.ErrorIs(t, err, http.ErrHijacked)
				_ = conn.Close()
			}),
		}
		address := advServe(t, gs, srv)
		require.NoError(t, gs.Start(t.Context()))
		c := advDial(t, address)
		c.send("/")
		line, err := c.r.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "hijacked\n", line)
		_, _ = c.r.ReadByte()
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		for _, s := range []http.ConnState{http.StateNew, http.StateActive, http.StateHijacked} {
			_, seen := states.Load(s)
			assert.True(t, seen, "the user's ConnState did not see %v", s)
		}
	})
	t.Run("hijack after the trigger, with a tracker", func(t *testing.T) {
		gs := shutdown.New(shutdown.Linger(0))
		open := advGate(t, gs)
		defer open()
		var tracker shutdown.Tracker
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "ws", Phase: shutdown.PhaseWork, Func: tracker.Wait}))
		hangUp := make(chan struct{})
		address := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if !assert.NoError(t, err) {
				return
			}
			done, ok := tracker.Add()
			assert.True(t, ok)
			go func() {
				defer done()
				_, _ = io.WriteString(conn, "hello\n")
				<-hangUp
				_ = conn.Close()
			}()
		})})
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		c := advDial(t, address)
		c.send("/")
		line, err := c.r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "hello\n", line)
		open()
		<-gs.Context().Done()
		require.Equal(t, 1, tracker.Len())
		close(hangUp)
		require.NoError(t, gs.Wait())
	})
	t.Run("a recorder, which is neither Hijacker nor Pusher", func(t *testing.T) {
		gs := shutdown.New()
		for range 2 {
			rec := httptest.NewRecorder()
			gs.DrainHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, hijacker := w.(http.Hijacker)
				_, pusher := w.(http.Pusher)
				assert.False(t, hijacker)
				assert.False(t, pusher)
				n, err := io.Copy(w, strings.NewReader("body"))
				assert.NoError(t, err)
				assert.EqualValues(t, 4, n)
				w.(http.Flusher).Flush()
				assert.ErrorIs(t, http.NewResponseController(w).SetReadDeadline(time.Now()), http.ErrNotSupported)
				assert.ErrorIs(t, http.NewResponseController(w).EnableFullDuplex(), http.ErrNotSupported)
			})).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
			assert.Equal(t, "body", rec.Body.String())
			assert.True(t, rec.Flushed)
			draining := false
			select {
			case <-gs.Draining():
				draining = true
			default:
			}
			assert.Equal(t, draining, rec.Result().Header.Get("Connection") == "close")
			gs.Shutdown(nil)
		}
		require.NoError(t, gs.Wait())
	})
	t.Run("nil Handler is DefaultServeMux", func(t *testing.T) {
		gs := shutdown.New(shutdown.Linger(0))
		address := advServe(t, gs, &http.Server{})
		require.NoError(t, gs.Start(t.Context()))
		c := advDial(t, address)
		c.send("/no/such/page")
		r, _ := c.response()
		assert.Equal(t, 404, r.StatusCode)
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
	})
	t.Run("a panicking handler", func(t *testing.T) {
		gs := shutdown.New(shutdown.Linger(0))
		address := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })})
		require.NoError(t, gs.Start(t.Context()))
		c := advDial(t, address)
		c.send("/")
		_, err := c.r.ReadByte()
		require.Equal(t, io.EOF, err)
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
	})
}

// A request with Expect, and one whose body is still coming, are answered.
func TestAdversaryHTTPExpectContinueAcrossTheTrigger(t *testing.T) {
	gs := shutdown.New(shutdown.Linger(0))
	entered := make(chan struct{})
	address := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		_, _ = w.Write(body)
	})})
	require.NoError(t, gs.Start(t.Context()))
	c := advDial(t, address)
	_, _ = fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	<-entered
	gs.Shutdown(nil)
	line, err := textproto.NewReader(c.r).ReadLine()
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue")
	_, _ = c.r.ReadString('\n')
	_, _ = fmt.Fprint(c, "body")
	r, body := c.response()
	assert.Equal(t, "body", body)
	assert.True(t, r.Close)
	require.NoError(t, gs.Wait())
}

func TestAdversaryHTTP2(t *testing.T) {
	gs := shutdown.New(shutdown.Linger(0))
	open := advGate(t, gs)
	defer open()
	entered, goOn := make(chan struct{}), make(chan struct{})
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, 2, r.ProtoMajor)
		_, pusher := w.(http.Pusher)
		assert.True(t, pusher, "Pusher")
		_, hijacker := w.(http.Hijacker)
		assert.False(t, hijacker, "Hijacker on HTTP/2")
		if r.URL.Path == "/wait" {
			close(entered)
			<-goOn
		}
		fmt.Fprint(w, r.RemoteAddr)
	}))
	defer srv.Close()
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	require.NoError(t, gs.AddHTTPServer("h2", srv.Config))
	srv.StartTLS()
	require.NoError(t, gs.Start(t.Context()))
	client := srv.Client()
	get := func(path string) string {
		r, err := client.Get(srv.URL + path)
		if !assert.NoError(t, err) {
			return ""
		}
		defer r.Body.Close()
		assert.Empty(t, r.Header.Get("Connection"), "a connection header on HTTP/2")
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		return string(body)
	}
	first := get("/")
	require.Equal(t, first, get("/"), "one connection")
	waited := make(chan string)
	go func() { waited <- get("/wait") }()
	<-entered
	require.EqualValues(t, 1, connections.Load())
	gs.Shutdown(nil)
	seen := map[string]bool{}
	for range 5 { // each is answered; at the latest the second comes on a new connection, because of GOAWAY
		seen[get("/")] = true
	}
	close(goOn)
	assert.Equal(t, first, <-waited, "the one in flight")
	assert.Greater(t, len(seen), 1, "no GOAWAY: the client stays on its connection")
	open()
	require.NoError(t, gs.Wait())
}

// What the deadline cuts is counted; later phases run.
func TestAdversaryHTTPDeadlineCloses(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			var entered sync.WaitGroup
			entered.Add(n)
			gs := shutdown.New(shutdown.Grace(100*time.Millisecond), shutdown.Linger(0))
			address := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				entered.Done()
				<-release
			})})
			flushed := false
			require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "flush", Phase: shutdown.PhaseFlush, Func: func(ctx context.Context) error {
				flushed = ctx.Err() == nil
				return nil
			}}))
			require.NoError(t, gs.Start(t.Context()))
			conns := make([]*advConn, n)
			for i := range conns {
				conns[i] = advDial(t, address)
				conns[i].send("/")
			}
			entered.Wait()
			gs.Shutdown(nil)
			err := gs.Wait()
			require.Error(t, err)
			assert.ErrorIs(t, err, shutdown.ErrTimeout)
			assert.Regexp(t, fmt.Sprintf(`\b%d connection`, n), advFind(t, gs.Report(), "api").Err.Error())
			assert.Equal(t, shutdown.StateTimeout, advFind(t, gs.Report(), "api").State)
			assert.True(t, flushed)
			for _, c := range conns {
				_, err := c.r.ReadByte()
				assert.Error(t, err, "not cut")
			}
		})
	}
}

func TestAdversaryHTTPLinger(t *testing.T) {
	// In a bubble, over pipes: time is exact.
	serve := func(t *testing.T, gs *shutdown.GracefulShutdown, srv *http.Server) *advListener {
		l := &advListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		require.NoError(t, gs.AddHTTPServer("api", srv))
		require.NoError(t, gs.Go("http", func(context.Context) error { return srv.Serve(l) }))
		return l
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })
	request := func(t *testing.T, c *advConn) bool {
		c.send("/")
		r, _ := c.response()
		return r.Close
	}
	t.Run("none left: ends at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Delay(time.Second), shutdown.Linger(5*time.Second))
			l := serve(t, gs, &http.Server{Handler: ok})
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			require.False(t, request(t, c))
			gs.Shutdown(nil)
			synctest.Wait()
			require.True(t, request(t, c), "during Delay")
			require.NoError(t, gs.Wait())
			assert.Equal(t, time.Second, gs.Report().Total)
			assert.Zero(t, gs.Report().Linger)
		})
	})
	t.Run("ends when the last leaves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Delay(time.Second), shutdown.Linger(5*time.Second))
			l := serve(t, gs, &http.Server{Handler: ok})
			require.NoError(t, gs.Start(t.Context()))
			a, b := l.dial(t), l.dial(t)
			request(t, a)
			request(t, b)
			gs.Shutdown(nil)
			time.Sleep(2 * time.Second)
			require.True(t, request(t, a))
			time.Sleep(time.Second)
			require.True(t, request(t, b))
			require.NoError(t, gs.Wait())
			assert.Equal(t, 3*time.Second, gs.Report().Total)
			assert.Equal(t, 2*time.Second, gs.Report().Linger)
		})
	})
	t.Run("an idle one gets all of it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Linger(5 * time.Second))
			l := serve(t, gs, &http.Server{Handler: ok})
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			request(t, c)
			synctest.Wait()
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Equal(t, 5*time.Second, gs.Report().Total)
			assert.Equal(t, 5*time.Second, gs.Report().Linger)
			_, err := c.r.ReadByte()
			assert.Equal(t, io.EOF, err)
		})
	})
	t.Run("no more than half of what is left of Grace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Delay(4*time.Second), shutdown.Linger(time.Hour))
			l := serve(t, gs, &http.Server{Handler: ok})
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			request(t, c)
			synctest.Wait()
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Equal(t, 3*time.Second, gs.Report().Linger)
			assert.LessOrEqual(t, gs.Report().Total, 7*time.Second)
		})
	})
	t.Run("default 500ms", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New()
			l := serve(t, gs, &http.Server{Handler: ok})
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			request(t, c)
			synctest.Wait()
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Equal(t, 500*time.Millisecond, gs.Report().Linger)
		})
	})
	t.Run("a hijacked connection is none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Linger(5 * time.Second))
			var hijacked net.Conn
			l := serve(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hijacked, _, _ = http.NewResponseController(w).Hijack()
				_, _ = io.WriteString(hijacked, "x")
			})})
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			c.send("/")
			_, err := c.r.ReadByte()
			require.NoError(t, err)
			synctest.Wait()
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Zero(t, gs.Report().Total)
			_ = hijacked.Close()
		})
	})
	t.Run("a slow request outlives Linger, and is answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Linger(time.Second))
			l := serve(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(9 * time.Second):
					fmt.Fprint(w, "late")
				case <-r.Context().Done():
					t.Error("cancelled")
				}
			})})
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			c.send("/")
			synctest.Wait()
			gs.Shutdown(nil)
			r, body := c.response()
			assert.True(t, r.Close)
			assert.Equal(t, "late", body)
			require.NoError(t, gs.Wait())
			assert.LessOrEqual(t, gs.Report().Total, 10*time.Second)
		})
	})
	t.Run("a connection that never spoke does not hold the stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Linger(time.Second))
			l := serve(t, gs, &http.Server{Handler: ok})
			require.NoError(t, gs.Start(t.Context()))
			_ = l.dial(t)
			synctest.Wait()
			gs.Shutdown(nil)
			err := gs.Wait()
			t.Log(gs.Report(), err)
			assert.LessOrEqual(t, gs.Report().Total, 27*time.Second)
			assert.NoError(t, err)
		})
	})
	t.Run("without Delay and Linger", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Linger(0))
			l := serve(t, gs, &http.Server{Handler: ok})
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			request(t, c)
			synctest.Wait()
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Less(t, gs.Report().Total, time.Second)
		})
	})
	t.Run("a user's ConnState that panics or hangs is the server's business, not the stop's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Grace(10*time.Second), shutdown.Linger(time.Second))
			release := make(chan struct{})
			l := serve(t, gs, &http.Server{Handler: ok, ConnState: func(_ net.Conn, s http.ConnState) {
				if s == http.StateIdle {
					<-release
				}
			}})
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			request(t, c)
			synctest.Wait()
			gs.Shutdown(nil)
			_ = gs.Wait()
			assert.LessOrEqual(t, gs.Report().Total, 12*time.Second)
			close(release)
		})
	})
	t.Run("a server closed by its owner", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gs := shutdown.New(shutdown.Linger(time.Hour))
			srv := &http.Server{Handler: ok}
			l := serve(t, gs, srv)
			require.NoError(t, gs.Start(t.Context()))
			c := l.dial(t)
			request(t, c)
			synctest.Wait()
			require.NoError(t, srv.Close())
			synctest.Wait()
			gs.Shutdown(nil)
			require.NoError(t, gs.Wait())
			assert.Zero(t, gs.Report().Total, "%s", gs.Report())
		})
	})
}

// advListener hands out one end of pipes.
type advListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *advListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *advListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *advListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *advListener) dial(t *testing.T) *advConn {
	client, server := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	select {
	case l.conns <- server:
	case <-l.closed:
		t.Fatal("closed")
	}
	return &advConn{t, client, bufio.NewReader(client)}
}

// Clients that may not repeat a request use kept-alive connections while the service stops: none of theirs is lost until
// the listener closes, when a new server would be there in real life.
func TestAdversaryHTTPLosesNothing(t *testing.T) {
	for range 5 {
		gs := shutdown.New(shutdown.Delay(100*time.Millisecond), shutdown.Grace(20*time.Second), shutdown.Linger(5*time.Second))
		address := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			_, _ = w.Write(body)
		})})
		require.NoError(t, gs.Start(t.Context()))
		var served, clients atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				transport := &http.Transport{}
				defer transport.CloseIdleConnections()
				for draining := false; !draining; {
					r, err := http.NewRequest("POST", "http://"+address, io.NopCloser(strings.NewReader("body"))) // no GetBody: cannot be replayed
					if !assert.NoError(t, err) {
						return
					}
					response, err := transport.RoundTrip(r)
					if !assert.NoError(t, err, "after %d", served.Load()) {
						return
					}
					body, err := io.ReadAll(response.Body)
					_ = response.Body.Close()
					assert.NoError(t, err)
					assert.Equal(t, "body", string(body))
					served.Add(1)
					draining = response.Close // this client now turns to another replica
				}
				clients.Add(1)
			})
		}
		for served.Load() < 500 && !t.Failed() {
			time.Sleep(time.Millisecond) // a load generator, nothing is measured
		}
		gs.Shutdown(nil)
		all.Wait()
		require.NoError(t, gs.Wait())
		assert.EqualValues(t, 8, clients.Load(), "clients that were told to leave")
	}
}

// Two hundred requests are in flight when the stop begins: each is answered, on connections that were kept alive.
func TestAdversaryHTTPInFlight(t *testing.T) {
	gs := shutdown.New()
	goOn := make(chan struct{})
	var entered sync.WaitGroup
	address := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered.Done()
			<-goOn
			assert.NoError(t, r.Context().Err())
		}
		fmt.Fprint(w, "ok")
	})})
	require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "late", Phase: 1, Func: func(context.Context) error { return nil }}))
	require.NoError(t, gs.Start(t.Context()))
	const n = 200
	conns := make([]*advConn, n)
	entered.Add(n)
	for i := range conns {
		conns[i] = advDial(t, address)
		conns[i].send("/fast")
		conns[i].response()
		conns[i].send("/slow")
	}
	entered.Wait()
	gs.Shutdown(nil)
	close(goOn)
	for _, c := range conns {
		r, body := c.response()
		assert.True(t, r.Close)
		assert.Equal(t, "ok", body)
	}
	require.NoError(t, gs.Wait())
}

// One that was added and never served, and one that failed to listen.
func TestAdversaryHTTPNeverServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		srv := &http.Server{}
		require.NoError(t, gs.AddHTTPServer("api", srv))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		assert.Zero(t, gs.Report().Total)
		assert.ErrorIs(t, srv.ListenAndServe(), http.ErrServerClosed)
	})
	t.Run("port in use", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		gs := shutdown.New()
		srv := &http.Server{Addr: l.Addr().String()}
		require.NoError(t, gs.AddHTTPServer("api", srv))
		require.NoError(t, gs.Go("http", func(context.Context) error { return srv.ListenAndServe() }))
		err = gs.Run(t.Context())
		var component *shutdown.ComponentError
		require.ErrorAs(t, err, &component)
		assert.Equal(t, "http", component.Name)
		var opErr *net.OpError
		assert.True(t, errors.As(err, &opErr))
	})
}

func TestAdversaryHTTPServersTwoAndTLSHTTP1(t *testing.T) {
	gs := shutdown.New(shutdown.Linger(0))
	open := advGate(t, gs)
	defer open()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") }))
	defer srv.Close()
	require.NoError(t, gs.AddHTTPServer("tls", srv.Config))
	srv.StartTLS()
	plain := advServe(t, gs, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })})
	require.NoError(t, gs.Start(t.Context()))
	c, err := tls.Dial("tcp", srv.Listener.Addr().String(), srv.Client().Transport.(*http.Transport).TLSClientConfig)
	require.NoError(t, err)
	defer c.Close()
	secure := &advConn{t, c, bufio.NewReader(c)}
	secure.send("/")
	r, _ := secure.response()
	require.False(t, r.Close)
	gs.Shutdown(nil)
	secure.send("/")
	r, _ = secure.response()
	require.True(t, r.Close)
	other := advDial(t, plain)
	other.send("/")
	r, _ = other.response()
	require.True(t, r.Close)
	open()
	require.NoError(t, gs.Wait())
}
