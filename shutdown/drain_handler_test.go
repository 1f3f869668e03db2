package shutdown_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// However a handler writes its response, and whether it began before the trigger or after it.
func TestEachResponseSaysClose(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"nothing written": func(http.ResponseWriter, *http.Request) {},
		"Write":           func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "body") },
		"WriteHeader":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) },
		"no content":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"WriteString": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "body")
		},
		"ReadFrom": func(w http.ResponseWriter, _ *http.Request) {
			if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("body")); n != 4 || err != nil {
				panic(fmt.Sprint("got ", n, " and ", err))
			}
		},
		"Copy": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, strings.NewReader("body"))
		},
		"Flush": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"Flush of a controller": func(w http.ResponseWriter, _ *http.Request) {
			assert.NoError(t, http.NewResponseController(w).Flush())
		},
		"Flush through another wrapper": func(w http.ResponseWriter, _ *http.Request) {
			assert.NoError(t, http.NewResponseController(wrappedWriter{w}).Flush())
		},
		"NotFound":   http.NotFound,
		"http.Error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", 500) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/", http.StatusFound)
		},
		"ServeContent": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("body"))
		},
		"keep-alive by hand": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "keep-alive")
			fmt.Fprint(w, "body")
		},
		"header deleted": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Del("Connection")
			fmt.Fprint(w, "body")
		},
		"header cleared": func(w http.ResponseWriter, _ *http.Request) {
			clear(w.Header())
			w.WriteHeader(http.StatusOK)
		},
		"content length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			fmt.Fprint(w, "body")
		},
		"1xx first": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			fmt.Fprint(w, "body")
		},
		"full duplex": func(w http.ResponseWriter, _ *http.Request) {
			assert.NoError(t, http.NewResponseController(w).EnableFullDuplex())
			fmt.Fprint(w, "body")
		},
		"deadlines": func(w http.ResponseWriter, _ *http.Request) {
			c := http.NewResponseController(w)
			assert.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
			assert.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Hour)))
			fmt.Fprint(w, "body")
		},
	}
	for name, handler := range handlers {
		for _, begun := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, before the trigger %v", name, begun), func(t *testing.T) {
				gs := newService(t, shutdown.Linger(0))
				release := gs.holdStop()
				entered, goOn := make(chan struct{}), make(chan struct{})
				addr := gs.serveFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/wait" {
						entered <- struct{}{}
						<-goOn
					}
					handler(w, r)
				})
				gs.start()
				c := dial(t, addr)
				receive := func() (*http.Response, string) {
					for {
						resp, body := c.receive()
						if resp.StatusCode >= 200 {
							return resp, body
						}
						assert.False(t, resp.Close, "a 1xx response says close")
					}
				}
				c.send("/")
				before, bodyBefore := receive()
				require.False(t, before.Close, "before the trigger")
				if begun {
					c.send("/wait")
					<-entered
				}
				gs.Shutdown(nil)
				if !begun {
					c.send("/")
				}
				close(goOn)
				resp, body := receive()
				assert.Equal(t, before.StatusCode, resp.StatusCode)
				assert.Equal(t, bodyBefore, body)
				assert.True(t, resp.Close, "Connection is %q", resp.Header.Values("Connection"))
				_, err := c.r.ReadByte()
				assert.Equal(t, io.EOF, err, "the connection stays open")
				release()
				require.NoError(t, gs.Wait())
			})
		}
	}
}

type wrappedWriter struct{ w http.ResponseWriter }

func (w wrappedWriter) Header() http.Header         { return w.w.Header() }
func (w wrappedWriter) Write(p []byte) (int, error) { return w.w.Write(p) }
func (w wrappedWriter) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w wrappedWriter) Unwrap() http.ResponseWriter { return w.w }

// The trigger comes while the handler prepares its response.
func TestResponseBegunBeforeTheTrigger(t *testing.T) {
	tests := []struct {
		name          string
		before, after func(http.ResponseWriter)
		saysClose     bool
	}{
		{
			"after a 1xx response it says close",
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) },
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) },
			true,
		},
		{
			"although the handler has asked for keep-alive it says close",
			func(w http.ResponseWriter) { w.Header().Set("Connection", "keep-alive") },
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) },
			true,
		},
		{
			"a header that has been written stays as it is",
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) },
			func(w http.ResponseWriter) { fmt.Fprint(w, "body") },
			false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gs := newService(t)
			handler := func(w http.ResponseWriter, _ *http.Request) {
				tt.before(w)
				gs.Shutdown(nil)
				tt.after(w)
			}
			ts := httptest.NewServer(gs.DrainHandler(http.HandlerFunc(handler)))
			defer ts.Close()
			resp, err := http.Get(ts.URL)
			require.NoError(t, err)
			_ = resp.Body.Close()
			assert.Equal(t, http.StatusCreated, resp.StatusCode)
			assert.Equal(t, tt.saysClose, resp.Close)
			require.NoError(t, gs.Wait())
		})
	}
}

// A type assertion in a handler finds what the server's ResponseWriter has, and nothing else.
func TestDrainHandlerKeepsOptionalInterfaces(t *testing.T) {
	type hijacker struct {
		http.ResponseWriter
		http.Hijacker
	}
	type pusher struct {
		http.ResponseWriter
		http.Pusher
	}
	type both struct {
		http.ResponseWriter
		http.Hijacker
		http.Pusher
	}
	type writer = http.ResponseWriter
	for name, tt := range map[string]struct {
		wrap            func(writer) writer
		hijacks, pushes bool
	}{
		"neither":  {func(w writer) writer { return w }, false, false},
		"Hijacker": {func(w writer) writer { return hijacker{w, nil} }, true, false},
		"Pusher":   {func(w writer) writer { return pusher{w, nil} }, false, true},
		"both":     {func(w writer) writer { return both{w, nil, nil} }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			gs := newService(t)
			handler := gs.DrainHandler(http.HandlerFunc(func(w writer, _ *http.Request) {
				_, hijacks := w.(http.Hijacker)
				_, pushes := w.(http.Pusher)
				assert.Equal(t, tt.hijacks, hijacks)
				assert.Equal(t, tt.pushes, pushes)
				assert.NotNil(t, w.(interface{ CloseNotify() <-chan bool }).CloseNotify())
				n, err := io.Copy(w, strings.NewReader("body"))
				assert.NoError(t, err)
				assert.EqualValues(t, 4, n)
				c := http.NewResponseController(w)
				assert.ErrorIs(t, c.SetReadDeadline(time.Now()), http.ErrNotSupported)
				assert.ErrorIs(t, c.EnableFullDuplex(), http.ErrNotSupported)
			}))
			for _, want := range []string{"", "close"} {
				rec := httptest.NewRecorder()
				handler.ServeHTTP(tt.wrap(rec), httptest.NewRequest("GET", "/", nil))
				assert.Equal(t, "body", rec.Body.String())
				assert.Equal(t, want, rec.Header().Get("Connection"))
				gs.Shutdown(nil)
			}
			require.NoError(t, gs.Wait())
		})
	}
}

func TestDrainHandlerLetsHandlersHijack(t *testing.T) {
	gs := newService(t)
	addr := gs.serveFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, readsFrom := w.(io.ReaderFrom)
		assert.True(t, readsFrom)
		assert.NotNil(t, w.(interface{ CloseNotify() <-chan bool }).CloseNotify())
		c, rw, err := w.(http.Hijacker).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer c.Close()
		_, _ = rw.WriteString("hijacked\n")
		_ = rw.Flush()
		_, err = w.Write([]byte("x"))
		assert.ErrorIs(t, err, http.ErrHijacked)
		_, _, err = http.NewResponseController(w).Hijack()
		assert.ErrorIs(t, err, http.ErrHijacked)
	})
	gs.start()
	c := dial(t, addr)
	c.send("/")
	assert.Equal(t, "hijacked\n", c.receiveLine())
	c.expectClosed()
	require.NoError(t, gs.stop())
}

// A balancer still sends upgrades during Delay. The response's "Connection: Upgrade" stands alone,
// also behind a reverse proxy.
func TestUpgradesWorkAfterTheTrigger(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n" +
			"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	}))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	require.NoError(t, err)
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprint("after the trigger ", after), func(t *testing.T) {
			gs := newService(t, shutdown.Linger(0))
			release := gs.holdStop()
			addr := gs.serve(&http.Server{Handler: httputil.NewSingleHostReverseProxy(target)})
			gs.start()
			if after {
				gs.Shutdown(nil)
			}
			c := dial(t, addr)
			c.send("/", "Connection: Upgrade", "Upgrade: echo")
			resp, err := http.ReadResponse(c.r, nil)
			require.NoError(t, err)
			assert.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			assert.Equal(t, []string{"Upgrade"}, resp.Header.Values("Connection"))
			assert.False(t, resp.Close)
			_, _ = fmt.Fprint(c, "hello\n")
			assert.Equal(t, "hello\n", c.receiveLine())
			release()
			require.NoError(t, gs.stop())
		})
	}
}

func TestDrainHandlerLeaves101Alone(t *testing.T) {
	gs := newService(t)
	require.NoError(t, gs.stop())
	rec := httptest.NewRecorder()
	gs.DrainHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
	})).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	assert.Equal(t, "Upgrade", rec.Header().Get("Connection"))
}

func TestDrainHandlerMayBeNested(t *testing.T) {
	gs := newService(t, shutdown.Linger(0))
	release := gs.holdStop()
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, bufio.NewReader(strings.NewReader("body")))
	})
	middle := http.TimeoutHandler(gs.DrainHandler(inner), time.Hour, "x")
	addr := gs.serve(&http.Server{Handler: gs.DrainHandler(middle)})
	gs.start()
	gs.Shutdown(nil)
	c := dial(t, addr)
	c.send("/")
	resp, body := c.receive()
	assert.True(t, resp.Close)
	assert.Equal(t, "body", body)
	release()
	require.NoError(t, gs.Wait())
}

func TestDrainHandlerOfNilPanics(t *testing.T) {
	assert.PanicsWithValue(t, "shutdown: DrainHandler: next must not be nil",
		func() { shutdown.New().DrainHandler(nil) })
}

func BenchmarkDrainHandler(b *testing.B) {
	gs := shutdown.New()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
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
