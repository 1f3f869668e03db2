package shutdown

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
)

// AddHTTPServer drains srv when the service stops. From the trigger on, each of its HTTP/1
// responses says "Connection: close". After Delay, HTTP/2 connections get GOAWAY, and connections
// get Linger for a last request. In [PhaseIngress] the listeners of srv are closed and the requests
// in flight are waited for. At the end of its time, srv is closed by force, and the error says how
// many connections that cut.
//
// Call srv.Serve in a function given to [GracefulShutdown.Go], after AddHTTPServer. Prefer
// [GracefulShutdown.GoHTTP] where it fits: here, connections that wait in the queue of a listener
// when it is closed are lost.
//
// Once net/http has sent GOAWAY, it discards what the client sends until the client has received
// it. So the responses of an HTTP/2 connection are held back before that, once, until nothing has
// happened on it for 100ms, 300ms at most.
//
// AddHTTPServer wraps srv's Handler (nil is [net/http.DefaultServeMux]), ConnState, ConnContext and
// BaseContext. The first three may still be set before Serve, as echo's Start does; BaseContext may
// not. Hijacked connections are not waited for, see [Tracker], except for requests in flight over
// golang.org/x/net/http2/h2c. The errors are those of [GracefulShutdown.AddServer]; srv is then
// unchanged.
func (gs *GracefulShutdown) AddHTTPServer(name string, srv *http.Server, opts ...ServerOption) error {
	return gs.addUnserved("HTTP server", name, srv, opts, func() *server { return gs.newHTTPServer(name, srv) })
}

func (gs *GracefulShutdown) newHTTPServer(name string, srv *http.Server) *server {
	s := newServer(name, srv)
	s.told = make(chan struct{})
	h := &httpServer{
		gs: gs, srv: srv, step: s.step,
		ingress: s.told, drained: make(chan struct{}), leaving: make(chan struct{}),
		conns: conns{open: make(map[net.Conn]conn)},
	}
	h.wrap()
	base := srv.BaseContext
	srv.BaseContext = func(l net.Listener) context.Context {
		h.once.Do(func() {
			h.served.Store(true)
			h.wrap()
			srv.RegisterOnShutdown(h.conns.closeUnused) // not under our lock, as it takes one of srv
		})
		if base != nil {
			return base(unwrapped(l))
		}
		return context.Background()
	}
	s.http, s.conns = h, &h.conns
	s.step.run, s.step.cut, s.step.waitingFor = h.drain, h.cut, h.waitingFor
	return s
}

// An httpServer knows the requests and connections of a server; net/http does not expose them.
type httpServer struct {
	gs      *GracefulShutdown
	srv     *http.Server
	step    *step
	ingress chan struct{} // closed by drain
	drained chan struct{} // closed when drain has returned
	leaving chan struct{} // in a phase after PhaseIngress: closed when clients should leave
	conns   conns

	connState, connContext uintptr // the functions that wrap has set

	once     sync.Once
	served   atomic.Bool  // Serve was called
	inFlight atomic.Int64 // requests
	sawGRPC  atomic.Bool  // a gRPC call came as a request
}

// wrap is called when srv is added, and again when it begins to serve, before it accepts, because
// something may have been set in between.
func (h *httpServer) wrap() {
	if w, ok := h.srv.Handler.(*leavingHandler); !ok || w.server != h {
		handler := h.srv.Handler
		if handler == nil {
			handler = http.DefaultServeMux
		}
		h.srv.Handler = &leavingHandler{handler, h.gs, h}
	}
	if f := h.srv.ConnState; f == nil || reflect.ValueOf(f).Pointer() != h.connState {
		h.srv.ConnState = h.conns.watch(f)
		h.connState = reflect.ValueOf(h.srv.ConnState).Pointer()
	}
	if f := h.srv.ConnContext; f == nil || reflect.ValueOf(f).Pointer() != h.connContext {
		h.srv.ConnContext = goAwayContext(h.ingress, f)
		h.connContext = reflect.ValueOf(h.srv.ConnContext).Pointer()
	}
}

func (h *httpServer) drain(ctx context.Context) error {
	defer close(h.drained)
	close(h.ingress)
	return errors.Join(h.srv.Shutdown(ctx), h.conns.waitForAdopted(ctx))
}

func (h *httpServer) cut() error {
	busy := h.conns.busy()
	err := errors.Join(h.conns.closeAdopted(), h.srv.Close())
	if busy > 0 {
		err = errors.Join(fmt.Errorf("%s cut", count(busy, "connection was", "connections were")), err)
	}
	return err
}

func (h *httpServer) waitingFor() string {
	requests := count(int(h.inFlight.Load()), "request", "requests")
	return requests + " on " + count(h.conns.busy(), "connection", "connections")
}

func count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
