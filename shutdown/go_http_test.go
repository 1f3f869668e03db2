package shutdown_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// testCertificate returns a certificate and a client's configuration that trusts it.
func testCertificate(t *testing.T) (server tls.Certificate, client *tls.Config) {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = false
	srv.StartTLS()
	defer srv.Close()
	client = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.ServerName = "example.com"
	return srv.TLS.Certificates[0], client
}

// failingListener cannot accept.
type failingListener struct{ *listener }

func (failingListener) Accept() (net.Conn, error) { return nil, errTest }

func (s service) goHTTP(name string, srv *http.Server, opts ...shutdown.ServerOption) *listener {
	s.t.Helper()
	l := newListener()
	require.NoError(s.t, s.GoHTTP(name, srv, l, opts...))
	return l
}

func TestGoHTTPIsServedAndDrainedInOneRow(t *testing.T) {
	bubble(t, "a request in flight is answered", func(t *testing.T) {
		gs := newService(t, shutdown.Linger(0))
		l := gs.goHTTP("api", &http.Server{Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(3 * sec)
				fmt.Fprint(w, "late")
			})})
		gs.start()
		c := l.dial(t)
		c.send("/")
		synctest.Wait()
		gs.Shutdown(nil)
		resp, body := c.receive()
		assert.Equal(t, "late", body)
		assert.True(t, resp.Close)
		require.NoError(t, gs.Wait())
		rows := rowsOf(gs.Report())
		require.Len(t, rows, 1, "%s", gs.Report())
		assert.Equal(t, "api", rows[0].Name)
		assert.Equal(t, shutdown.PhaseIngress, rows[0].Phase)
		assertClosed(t, l)
	})
	bubble(t, "it is not served before Start", func(t *testing.T) {
		gs := newService(t)
		l := gs.goHTTP("api", &http.Server{Handler: answers("ok")})
		synctest.Wait()
		select {
		case l.conns <- nil:
			t.Error("it accepts")
		default:
		}
		gs.start()
		l.dial(t).get("/")
		require.NoError(t, gs.stop())
	})
	bubble(t, "after Start", func(t *testing.T) {
		gs := newService(t)
		gs.start()
		l := gs.goHTTP("api", &http.Server{Handler: answers("ok")})
		l.dial(t).get("/")
		require.NoError(t, gs.stop())
		assertClosed(t, l)
		assert.Equal(t, "ok", states(gs.Report()))
	})
	bubble(t, "a second call adds a listener", func(t *testing.T) {
		gs := newService(t)
		srv := &http.Server{Handler: answers("ok")}
		a, b := gs.goHTTP("api", srv), gs.goHTTP("api", srv)
		gs.start()
		a.dial(t).get("/")
		b.dial(t).get("/")
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		assertClosed(t, a)
		assertClosed(t, b)
		assert.Equal(t, "ok", states(gs.Report()), "one row: %s", gs.Report())
	})
	bubble(t, "a second call after Start", func(t *testing.T) {
		gs := newService(t)
		srv := &http.Server{Handler: answers("ok")}
		a := gs.goHTTP("api", srv)
		gs.start()
		b := gs.goHTTP("api", srv)
		a.dial(t).get("/")
		b.dial(t).get("/")
		require.NoError(t, gs.stop())
		assertClosed(t, b)
	})
	t.Run("on a Unix socket", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil && runtime.GOOS == "windows" {
			t.Skip(err) // wine has none
		}
		require.NoError(t, err)
		gs := newService(t)
		require.NoError(t, gs.GoHTTP("api", &http.Server{Handler: answers("ok")}, l))
		gs.start()
		c, err := net.Dial("unix", path)
		require.NoError(t, err)
		conn := newConn(t, c)
		conn.get("/")
		_ = conn.Close()
		require.NoError(t, gs.stop())
		assert.NoFileExists(t, path)
	})
}

func TestGoHTTPServesTLSIfConfigured(t *testing.T) {
	certificate, client := testCertificate(t)
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }
	for name, config := range map[string]*tls.Config{
		"Certificates":   {Certificates: []tls.Certificate{certificate}},
		"GetCertificate": {GetCertificate: get},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{certificate}}, nil
		}},
	} {
		for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+", "+proto, func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				gs := newService(t, shutdown.Linger(0))
				srv := &http.Server{
					TLSConfig: config.Clone(),
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						fmt.Fprint(w, r.Proto)
					}),
				}
				require.NoError(t, gs.GoHTTP("api", srv, l))
				gs.start()
				if name == "GetConfigForClient" && proto == "HTTP/2.0" {
					proto = "HTTP/1.1" // the other configuration does not offer h2
				}
				transport := &http.Transport{
					TLSClientConfig: client.Clone(), ForceAttemptHTTP2: proto == "HTTP/2.0",
				}
				defer transport.CloseIdleConnections()
				resp, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String())
				require.NoError(t, err)
				defer resp.Body.Close()
				assert.Equal(t, proto, resp.Proto)
				require.NoError(t, gs.stop())
				assert.Equal(t, "ok", states(gs.Report()))
			})
		}
	}
	bubble(t, "a TLSConfig without any of these is plain", func(t *testing.T) {
		gs := newService(t)
		l := gs.goHTTP("api", &http.Server{
			Handler: answers("ok"), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13},
		})
		gs.start()
		l.dial(t).get("/")
		require.NoError(t, gs.stop())
	})
	bubble(t, "one that is set between the call and Start counts", func(t *testing.T) {
		gs := newService(t)
		srv := &http.Server{Handler: answers("ok")}
		l := gs.goHTTP("api", srv)
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
		gs.start()
		raw, err := l.dialContext(t.Context(), "", "")
		require.NoError(t, err)
		c := newConn(t, tls.Client(raw, client.Clone()))
		c.get("/")
		_ = c.Close()
		require.NoError(t, gs.stop())
	})
}

func TestGoHTTPSpeaksH2CByProtocols(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		gs := newService(t, shutdown.Linger(0))
		l := gs.goHTTP("api", &http.Server{Protocols: protocols, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(2 * sec)
				fmt.Fprint(w, r.Proto)
			})})
		gs.start()
		only2 := new(http.Protocols)
		only2.SetUnencryptedHTTP2(true)
		transport := &http.Transport{DialContext: l.dialContext, Protocols: only2}
		defer transport.CloseIdleConnections()
		answered := make(chan string)
		go func() {
			resp, err := (&http.Client{Transport: transport}).Get("http://test")
			if assert.NoError(t, err) {
				resp.Body.Close()
				answered <- resp.Proto
			}
		}()
		synctest.Wait()
		go gs.Shutdown(nil)
		assert.Equal(t, "HTTP/2.0", <-answered)
		require.NoError(t, gs.Wait())
	})
}

func TestGoHTTPWhoseServeFails(t *testing.T) {
	bubble(t, "requests the stop at once, without Delay", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(5*sec))
		l := newListener()
		require.NoError(t, gs.GoHTTP("api", &http.Server{}, failingListener{l}))
		begin := time.Now()
		err := gs.Run(t.Context())
		assert.Zero(t, time.Since(begin))
		var failed *shutdown.ComponentError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "api", failed.Name)
		assert.ErrorIs(t, err, errTest)
		assert.Len(t, rowsOf(gs.Report()), 1, "%s", gs.Report())
		assertClosed(t, l)
	})
	bubble(t, "because its listener was closed", func(t *testing.T) {
		gs := newService(t)
		l := gs.goHTTP("api", &http.Server{})
		gs.start()
		synctest.Wait()
		require.NoError(t, l.Close())
		assert.ErrorIs(t, gs.Wait(), net.ErrClosed)
	})
	bubble(t, "while another serves: Delay is for that one", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(5*sec))
		other := gs.goHTTP("other", &http.Server{Handler: answers("ok")})
		gs.start()
		synctest.Wait()
		require.NoError(t, gs.GoHTTP("api", &http.Server{}, failingListener{newListener()}))
		<-gs.Draining()
		time.Sleep(4 * sec)
		assert.True(t, other.dial(t).get("/"))
		require.Error(t, gs.Wait())
		assert.Equal(t, 5*sec, delayed(gs.Report()))
	})
	bubble(t, "with a request in flight: it is answered", func(t *testing.T) {
		gs := newService(t, shutdown.Linger(0))
		l := gs.goHTTP("api", &http.Server{Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { time.Sleep(2 * sec); fmt.Fprint(w, "late") })})
		gs.start()
		c := l.dial(t)
		c.send("/")
		synctest.Wait()
		require.NoError(t, l.Close())
		_, body := c.receive()
		assert.Equal(t, "late", body)
		assert.ErrorIs(t, gs.Wait(), net.ErrClosed)
	})
}

// http.ErrServerClosed before the trigger means stopped on purpose: the row goes.
func TestGoHTTPWhoseServerWasClosedByItsOwner(t *testing.T) {
	for name, end := range map[string]func(*http.Server) error{
		"Close":    (*http.Server).Close,
		"Shutdown": func(srv *http.Server) error { return srv.Shutdown(context.Background()) },
	} {
		bubble(t, name, func(t *testing.T) {
			gs := newService(t, shutdown.Delay(5*sec))
			srv := &http.Server{Handler: answers("ok")}
			l := gs.goHTTP("reloaded", srv)
			gs.start()
			synctest.Wait()
			require.NoError(t, end(srv))
			synctest.Wait()
			assert.False(t, gs.isDraining())
			assertClosed(t, l)
			took, err := gs.timedStop()
			require.NoError(t, err)
			assert.Zero(t, took, "Delay although nothing serves")
			assert.Empty(t, rowsOf(gs.Report()))
		})
	}
	bubble(t, "and another took its place", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(5*sec))
		old := &http.Server{Handler: answers("old")}
		gs.goHTTP("api", old)
		gs.start()
		synctest.Wait()
		require.NoError(t, old.Close())
		synctest.Wait()
		l := gs.goHTTP("api", &http.Server{Handler: answers("new")})
		_ = l.dial(t).get("/")
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.GreaterOrEqual(t, took, 5*sec)
		assert.Equal(t, "ok", states(gs.Report()))
	})
}

func TestGoHTTPWhenTheStopComesBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(5*sec))
		l := gs.goHTTP("api", &http.Server{Handler: answers("ok")})
		gs.Shutdown(nil)
		begin := time.Now()
		assert.ErrorIs(t, gs.Start(t.Context()), shutdown.ErrShuttingDown)
		require.NoError(t, gs.Wait())
		assert.Zero(t, time.Since(begin))
		assertClosed(t, l)
	})
}

// A Serve that fails is said once, as a component that fails is.
func TestFailureOfGoHTTPIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handled []error
		var log strings.Builder
		gs := newService(t, shutdown.Delay(5*sec), shutdown.Logger(textLogger(&log)),
			shutdown.ErrorHandler(func(err error) { handled = append(handled, err) }))
		assert.NoError(t, gs.GoHTTP("api", &http.Server{}, failingListener{newListener()}))
		err := gs.Run(t.Context())
		assert.EqualError(t, err, "component api: test: some failure")
		assert.Len(t, handled, 1)
		assert.NotContains(t, log.String(), "failed", "it is the reason, which is told already")
	})
}

// For the race detector.
func TestTwoListenersOfOneServerBeginTogether(t *testing.T) {
	for range 50 {
		gs := newService(t, shutdown.Linger(0))
		srv := &http.Server{Handler: answers("ok")}
		a, b := gs.goHTTP("api", srv), gs.goHTTP("api", srv)
		gs.start()
		for _, l := range []*listener{a, b} {
			c := l.dial(t)
			c.get("/")
			_ = c.Close()
		}
		require.NoError(t, gs.stop())
	}
}

// For the race detector.
func TestServeThatBeginsAndTheStopRace(t *testing.T) {
	for range 200 {
		gs := newService(t, shutdown.Linger(5*ms))
		for _, name := range []string{"a", "b", "c"} {
			gs.goHTTP(name, &http.Server{Handler: answers("ok")})
		}
		gs.start()
		require.NoError(t, gs.stop())
	}
}
