package shutdown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A server is what is drained when the service stops.
type server struct {
	value     any // what the caller has given
	step      *step
	http      *httpServer // nil for others
	told      func() bool // whether it was told to end; may be nil
	addresses []string    // of its listeners, if GoHTTP or GoGRPC serves
	listeners []net.Listener
	serve     func(net.Listener) error
}

// A ServerOption changes how one server is stopped. A nil ServerOption is skipped.
type ServerOption interface{ applyTo(*step) }

type serverOption func(*step)

func (f serverOption) applyTo(s *step) { f(s) }

// InPhase has a server of [GracefulShutdown.GoHTTP] or [GracefulShutdown.GoGRPC] drain in phase p
// in place of [PhaseIngress]. One in a later phase goes on accepting until then: an admin server in
// PhaseFlush shows the metrics of the stop. With the other functions it is an error: the Serve that
// was given to [GracefulShutdown.Go] would be waited for in PhaseWork, before p. It panics if p is
// not positive.
func InPhase(p Phase) ServerOption {
	if p <= 0 {
		panic(fmt.Sprintf("shutdown: InPhase(%d): must be positive", int(p)))
	}
	return serverOption(func(s *step) { s.stage.phase = p })
}

// DrainTimeout is the most that draining a server may take; then it is closed by force. So a stream
// that never ends does not take the time that the later phases need. The default is what is left of
// Grace. It panics if d is not positive.
func DrainTimeout(d time.Duration) ServerOption {
	if d <= 0 {
		panic(fmt.Sprintf("shutdown: DrainTimeout(%v): must be positive", d))
	}
	return serverOption(func(s *step) { s.timeout = d })
}

// GoHTTP serves l with srv from Start on, or at once after Start, and drains srv when the service
// stops, as [GracefulShutdown.AddHTTPServer] does; its Serve is waited for in the same phase. An
// error of Serve requests the shutdown. It serves TLS if srv.TLSConfig has Certificates,
// GetCertificate or GetConfigForClient. A second call for the same server adds a listener; options
// belong to the first.
//
// l belongs to the GracefulShutdown from the call on, also if GoHTTP returns an error: it is closed
// then. The errors are those of AddHTTPServer, and one for a nil l.
func (gs *GracefulShutdown) GoHTTP(name string, srv *http.Server, l net.Listener, opts ...ServerOption) error {
	create := func() *server {
		s := gs.newHTTPServer(name, srv)
		withTLS := sync.OnceValue(func() bool { // once: the first Serve changes it
			c := srv.TLSConfig
			return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
		})
		s.serve = func(l net.Listener) error {
			if withTLS() {
				return srv.ServeTLS(l, "", "")
			}
			return srv.Serve(l)
		}
		return s
	}
	return gs.goServe("HTTP server", name, srv, l, opts, create)
}

// GoGRPC serves l with srv from Start on, or at once after Start, and drains srv when the service
// stops, as [GracefulShutdown.AddGRPCServer] does; its Serve is waited for in the same phase. An
// error of Serve requests the shutdown, unless the stop has told srv to end. What
// [GracefulShutdown.GoHTTP] says of l and of a second call holds here, too.
func (gs *GracefulShutdown) GoGRPC(name string, srv interface {
	GRPCServer
	Serve(net.Listener) error
}, l net.Listener, opts ...ServerOption) error {
	return gs.goServe("gRPC server", name, srv, l, opts, func() *server {
		s := gs.newGRPCServer(name, srv)
		s.serve = srv.Serve
		return s
	})
}

func (gs *GracefulShutdown) goServe(
	what, name string, srv any, l net.Listener, opts []ServerOption, create func() *server,
) error {
	address := guard.Text(addressOf{l})
	err := gs.add(func() error {
		if err := errors.Join(check(what, name, srv), check("listener of "+what, name, l)); err != nil {
			return err
		}
		s := gs.serverOf(srv)
		switch {
		case s == nil:
			s = create()
			gs.addServer(s, opts)
		case len(s.listeners) == 0:
			return fmt.Errorf("shutdown: %s %q was added before, as %q, without a listener", what, name, s.step.name)
		case len(opts) > 0:
			return fmt.Errorf("shutdown: %s %q: options belong to the first call for a server", what, name)
		}
		l := gs.own(l, s)
		s.listeners = append(s.listeners, l)
		s.addresses = append(s.addresses, name+" on "+address)
		gs.addComponent(&component{
			name: name, step: s.step, told: s.told,
			run: func(context.Context) error { return s.serve(l) },
		})
		return nil
	})
	if err != nil && !isNil(l) {
		_ = closeGuarded(l)
	}
	return err
}

// closeGuarded closes a listener, which may be a user's. net/http closes listeners under its lock, so
// one that hangs would keep it from closing anything else.
func closeGuarded(l net.Listener) error { return guard.Within(guard.Moment, "shutdown/close", l.Close) }

// A guardedListener is one that can only be closed.
type guardedListener struct{ net.Listener }

func (l guardedListener) Close() error { return closeGuarded(l.Listener) }

// own returns l as a listener that is emptied and closed when Delay is over, unless that is not
// wanted, is done otherwise (HoldListener), or l has no way to do it.
func (gs *GracefulShutdown) own(l net.Listener, s *server) net.Listener {
	if _, held := l.(*heldListener); held {
		return l
	}
	if s.step.stage.phase > PhaseIngress {
		return guardedListener{l}
	}
	d, ok := l.(deadlineListener)
	if _, raw := l.(syscall.Conn); !ok || !raw {
		gs.log(slog.LevelWarn, "what waits in the listener's queue when it is closed will be lost",
			slog.String("server", s.step.name), slog.String("listener", fmt.Sprintf("%T", l)))
		return guardedListener{l}
	}
	owned := newHeldListener(d, true)
	gs.held = slices.DeleteFunc(gs.held, func(l *heldListener) bool { return isClosed(l.closed) })
	gs.held = append(gs.held, owned)
	return owned
}

// addressOf has the text of a listener's address, which is a user's.
type addressOf struct{ net.Listener }

func (a addressOf) String() string { return a.Addr().String() }

// AddServer drains a server of another kind in [PhaseIngress]: an echo.Echo, an http3.Server. At
// the end of its time, its Close is called if it has one. An *[http.Server] is treated as by
// [GracefulShutdown.AddHTTPServer]. The function that serves is given to [GracefulShutdown.Go]. A
// fiber.App, whose Shutdown has another signature, is a [Callback] in PhaseIngress:
//
//	gs.AddCallback(shutdown.Callback{Name: "api", Phase: shutdown.PhaseIngress, Func: app.ShutdownWithContext})
//
// It returns [ErrShuttingDown] after the trigger, and an error if srv is nil or was added before,
// name is empty, or there is an [InPhase] among the options.
func (gs *GracefulShutdown) AddServer(name string, srv interface{ Shutdown(context.Context) error }, opts ...ServerOption) error {
	if srv, ok := srv.(*http.Server); ok {
		return gs.AddHTTPServer(name, srv, opts...)
	}
	return gs.addUnserved("server", name, srv, opts, func() *server {
		s := newServer(name, srv)
		s.step.run = srv.Shutdown
		if c, ok := srv.(io.Closer); ok {
			s.step.cut = func() error { return errors.Join(errors.New("what was in flight was cut"), c.Close()) }
		}
		return s
	})
}

// addUnserved adds a server whose Serve the caller calls.
func (gs *GracefulShutdown) addUnserved(what, name string, srv any, opts []ServerOption, create func() *server) error {
	return gs.add(func() error {
		if err := check(what, name, srv); err != nil {
			return err
		}
		if other := gs.serverOf(srv); other != nil {
			return fmt.Errorf("shutdown: %s %q was added before, as %q", what, name, other.step.name)
		}
		var probe step
		applyAll(&probe, opts)
		if probe.stage.phase != 0 {
			return fmt.Errorf("shutdown: %s %q: InPhase is for GoHTTP and GoGRPC", what, name)
		}
		gs.addServer(create(), opts)
		return nil
	})
}

func newServer(name string, value any) *server {
	return &server{value: value, step: &step{name: name, stage: stage{kindPhase, PhaseIngress}}}
}

func (gs *GracefulShutdown) serverOf(value any) *server {
	for _, s := range gs.servers {
		if same(s.value, value) {
			return s
		}
	}
	return nil
}

func (gs *GracefulShutdown) addServer(s *server, opts []ServerOption) {
	applyAll(s.step, opts)
	drain := s.step.run
	s.step.run = func(ctx context.Context) error {
		err := drain(ctx)
		for _, l := range s.listeners { // a Serve that was never called has not closed it
			_ = l.Close()
		}
		if ended := s.step.waitForComponents(ctx); err == nil { // a *ComponentError stays one
			return ended
		} else {
			return errors.Join(err, ended)
		}
	}
	gs.hasServed = true
	gs.servers = append(gs.servers, s)
	gs.steps = append(gs.steps, s.step)
}

func applyAll(s *step, opts []ServerOption) {
	for _, o := range opts {
		if o != nil {
			o.applyTo(s)
		}
	}
}

// servesLocked reports whether something serves, as far as is known: without it there is nobody for
// whom a Delay would be.
func (gs *GracefulShutdown) servesLocked() bool {
	if gs.life != started {
		return false
	}
	_, failed := gs.report.Reason.(*ComponentError) //nolint:errorlint // ours, never wrapped
	if !gs.hasServed {
		return !failed || len(gs.components) > 0
	}
	for _, s := range gs.servers {
		switch {
		case len(s.listeners) > 0:
			if s.isServed() {
				return true
			}
		case s.http != nil:
			if s.http.served.Load() || !failed && len(gs.components) > 0 {
				return true
			}
		case !failed || len(gs.components) > 0:
			return true
		}
	}
	return false
}

// isServed reports whether GoHTTP or GoGRPC serves a listener of s.
func (s *server) isServed() bool {
	return slices.ContainsFunc(s.step.components, func(c *component) bool { return c.err == nil })
}
