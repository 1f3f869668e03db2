package shutdown_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// What is set between AddHTTPServer and Serve, as echo's Start does, is what is served, and it is
// drained all the same.
func TestWhatIsSetBeforeServeIsWrapped(t *testing.T) {
	type key struct{}
	for name, set := range map[string]func(srv *http.Server, states chan<- http.ConnState){
		"nothing": func(*http.Server, chan<- http.ConnState) {},
		"Handler": func(srv *http.Server, _ chan<- http.ConnState) { srv.Handler = answers("new") },
		"ConnState": func(srv *http.Server, states chan<- http.ConnState) {
			srv.ConnState = func(_ net.Conn, s http.ConnState) { states <- s }
		},
		"ConnContext": func(srv *http.Server, _ chan<- http.ConnState) {
			srv.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, key{}, "mine")
			}
		},
		"TLSNextProto": func(srv *http.Server, _ chan<- http.ConnState) {
			srv.TLSNextProto = make(map[string]func(*http.Server, *tls.Conn, http.Handler))
		},
		"all": func(srv *http.Server, states chan<- http.ConnState) {
			srv.Handler = answers("new")
			srv.ConnState = func(_ net.Conn, s http.ConnState) { states <- s }
			srv.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return ctx }
			srv.TLSNextProto = make(map[string]func(*http.Server, *tls.Conn, http.Handler))
		},
	} {
		for how, add := range map[string]func(gs service, srv *http.Server) *listener{
			"AddHTTPServer": func(gs service, srv *http.Server) *listener {
				return gs.serveInMemory(srv)
			},
			"GoHTTP": func(gs service, srv *http.Server) *listener { return gs.goHTTP("api", srv) },
		} {
			bubble(t, how+", "+name, func(t *testing.T) {
				gs := newService(t, shutdown.Linger(5*sec))
				release := gs.holdStop()
				states := make(chan http.ConnState, 100)
				value := make(chan any, 10)
				srv := &http.Server{
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						value <- r.Context().Value(key{})
						_, _ = io.WriteString(w, "old")
					}),
					ErrorLog: log.New(io.Discard, "", 0),
				}
				l := add(gs, srv)
				set(srv, states)
				gs.start()
				a, b := l.dial(t), l.dial(t)
				a.send("/")
				_, body := a.receive()
				want := "old"
				if name == "Handler" || name == "all" {
					want = "new"
				}
				assert.Equal(t, want, body)
				if name == "ConnContext" {
					assert.Equal(t, "mine", <-value)
				}
				b.get("/")
				gs.Shutdown(nil)
				assert.True(t, a.get("/"), "Connection: close")
				a.expectClosed()
				release()
				time.Sleep(sec)
				assert.True(t, b.get("/"), "in Linger")
				require.NoError(t, gs.Wait())
				assert.Equal(t, sec, lingered(gs.Report()), "Linger ends with the last connection")
				if name == "ConnState" || name == "all" {
					assert.Equal(t, http.StateNew, <-states)
				}
				synctest.Wait()
			})
		}
	}
}

// golang.org/x/net/http2/h2c hijacks a connection and tells ConnState that it is active and idle,
// but never that it is closed.
func TestHijackedConnectionThatIsActiveAgainIsWaitedFor(t *testing.T) {
	type step struct {
		after time.Duration
		state http.ConnState
	}
	tests := []struct {
		name  string
		delay time.Duration
		steps []step // since the hijacking
		drain time.Duration
		stays bool // and is not closed then
	}{
		{
			"a request in flight", 0,
			[]step{{0, http.StateActive}, {1500 * ms, http.StateIdle}}, 1500 * ms, false,
		},
		{
			"and none afterwards", 0,
			[]step{{0, http.StateActive}, {1500 * ms, http.StateIdle}}, 1500 * ms, true,
		},
		{
			"two one after the other, during Delay", sec, []step{
				{0, http.StateActive}, {500 * ms, http.StateIdle}, {600 * ms, http.StateActive},
				{2 * sec, http.StateIdle},
			}, 2 * sec, false,
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t, shutdown.Delay(tt.delay), shutdown.Linger(0))
			hijacked := make(chan struct{})
			srv := &http.Server{}
			srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				c, _, err := http.NewResponseController(w).Hijack()
				if !assert.NoError(t, err) {
					return
				}
				defer c.Close()
				close(hijacked)
				var now time.Duration
				for _, s := range tt.steps {
					time.Sleep(s.after - now)
					now = s.after
					srv.ConnState(c, s.state)
				}
				_, _ = io.WriteString(c, "answer\n")
				if tt.stays {
					<-gs.Done()
				}
			})
			l := gs.goHTTP("api", srv)
			gs.start()
			c := l.dial(t)
			c.send("/")
			<-hijacked
			synctest.Wait()
			gs.Shutdown(nil)
			assert.Equal(t, "answer\n", c.receiveLine())
			require.NoError(t, gs.Wait())
			assert.GreaterOrEqual(t, gs.Report().Total, tt.drain, "%s", gs.Report())
			assert.LessOrEqual(t, gs.Report().Total, tt.drain+2*sec, "%s", gs.Report())
		})
	}
}

// A gRPC server that is served by the port of an HTTP server has its calls in that one: its own
// GracefulStop would cut them at once.
func TestGRPCOnThePortOfAnHTTPServerIsStoppedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Linger(0))
		cut := make(chan struct{})
		rpc := grpcServer{graceful: func() { close(cut) }} // as its ServeHTTP transports do
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		l := newListener()
		srv := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, 2, r.ProtoMajor)
				select {
				case <-cut:
					panic(http.ErrAbortHandler)
				case <-time.After(3 * sec):
					_, _ = io.WriteString(w, "answer")
				}
			})}
		gs.grpcServer("rpc", rpc)
		require.NoError(t, gs.GoHTTP("api", srv, l))
		gs.start()
		only2 := new(http.Protocols)
		only2.SetUnencryptedHTTP2(true)
		transport := &http.Transport{DialContext: l.dialContext, Protocols: only2}
		defer transport.CloseIdleConnections()
		done := make(chan string, 1)
		go func() {
			resp, err := (&http.Client{Transport: transport}).Post("http://test", "application/grpc", nil)
			if !assert.NoError(t, err) {
				close(done)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			done <- string(body)
		}()
		synctest.Wait()
		require.NoError(t, gs.stop())
		assert.Equal(t, "answer", <-done)
		<-cut
	})
}

func TestBaseContextThatIsSetBeforeServeIsWrapped(t *testing.T) {
	for how, add := range map[string]func(gs service, srv *http.Server) *listener{
		"AddHTTPServer": func(gs service, srv *http.Server) *listener { return gs.serveInMemory(srv) },
		"GoHTTP":        func(gs service, srv *http.Server) *listener { return gs.goHTTP("api", srv) },
	} {
		bubble(t, how, func(t *testing.T) {
			type key struct{}
			gs := newService(t, shutdown.Linger(5*sec))
			release := gs.holdStop()
			srv := &http.Server{Handler: http.HandlerFunc(
				func(_ http.ResponseWriter, r *http.Request) {
					assert.Equal(t, "mine", r.Context().Value(key{}))
				})}
			l := add(gs, srv)
			srv.BaseContext = func(net.Listener) context.Context {
				return context.WithValue(context.Background(), key{}, "mine")
			}
			gs.start()
			c := l.dial(t)
			require.False(t, c.get("/"))
			synctest.Wait()
			gs.Shutdown(nil)
			assert.True(t, c.get("/"), "Connection: close")
			release()
			require.NoError(t, gs.Wait())
		})
	}
}
