package shutdown

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// AddHTTPServer drains srv when the service stops: from the trigger on, each of its responses says "Connection: close" (HTTP/2:
// GOAWAY); after Delay, its connections get Linger; in [PhaseIngress] its listeners are closed and the requests in flight are
// waited for. What is left at the end of Grace is closed by force, and the error says how many connections that cut.
//
// On HTTP/2, GOAWAY makes net/http throw away what the client sends until it has heard of it. So the responses of a connection are held back
// first, once, until nothing has happened on it for 100ms, 300ms at most.
//
// It has to be called before srv serves, and after srv.Handler, srv.ConnState and srv.ConnContext are set: it wraps these (a nil Handler
// is [net/http.DefaultServeMux]), and they keep working. Hijacked connections are not waited for; see [Tracker].
//
// It returns [ErrShuttingDown] after the trigger, and an error if srv is nil or was added before, or name is empty. srv is untouched then.
func (gs *GracefulShutdown) AddHTTPServer(name string, srv *http.Server) error {
	if name == "" {
		return errors.New("shutdown: HTTP server without a name")
	}
	if srv == nil {
		return fmt.Errorf("shutdown: HTTP server %q is nil", name)
	}
	return gs.add(func() error {
		for _, other := range gs.servers {
			if other.srv == srv {
				return fmt.Errorf("shutdown: HTTP server %q was added before, as %q", name, other.name)
			}
		}
		s := &httpServer{name: name, srv: srv, ingress: make(chan struct{})}
		handler := srv.Handler
		if handler == nil {
			handler = http.DefaultServeMux
		}
		srv.Handler = gs.DrainHandler(handler)
		srv.ConnState = s.watch(srv.ConnState)
		srv.ConnContext = goAwayContext(s.ingress, srv.ConnContext)

		gs.servers = append(gs.servers, s)
		gs.tasks = append(gs.tasks, task{name: name, phase: PhaseIngress, run: s.shutdown, cut: s.cut})
		return nil
	})
}

// An httpServer knows the connections of a server. net/http knows them too, but does not tell.
type httpServer struct {
	name    string
	srv     *http.Server
	ingress chan struct{} // closed by shutdown

	mu     sync.Mutex
	states map[net.Conn]http.ConnState
	empty  chan struct{} // closed when the last connection goes; nil while nobody waits for that
}

func (s *httpServer) watch(next func(net.Conn, http.ConnState)) func(net.Conn, http.ConnState) {
	s.states = make(map[net.Conn]http.ConnState)
	return func(c net.Conn, state http.ConnState) {
		s.note(c, state)
		if next != nil {
			next(c, state)
		}
	}
}

func (s *httpServer) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != http.StateClosed && state != http.StateHijacked {
		s.states[c] = state
		return
	}
	delete(s.states, c)
	if len(s.states) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// none returns a channel that is closed when there is no connection.
func (s *httpServer) none() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		none := make(chan struct{})
		close(none)
		return none
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	return s.empty
}

func (s *httpServer) shutdown(ctx context.Context) error {
	close(s.ingress)
	return s.srv.Shutdown(ctx)
}

func (s *httpServer) cut() error {
	s.mu.Lock()
	busy := 0 // the idle ones are closed by Shutdown; nothing of theirs is cut
	for _, state := range s.states {
		if state != http.StateIdle {
			busy++
		}
	}
	s.mu.Unlock()

	text := "connections were"
	if busy == 1 {
		text = "connection was"
	}
	return errors.Join(fmt.Errorf("%d %s cut", busy, text), s.srv.Close())
}
