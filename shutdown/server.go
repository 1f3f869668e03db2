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
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

type server struct {
	value     any // what the caller has passed
	step      *step
	http      *httpServer   // nil for others
	told      chan struct{} // closed when it is told to stop; nil if that is not known
	conns     *conns        // nil if they are not known
	listeners []net.Listener
	serve     func(net.Listener) error
}

// A lingerFunc returns when each connection has had d since trigger, since it was accepted and
// since its last response, or when ctx ends.
type lingerFunc func(ctx context.Context, trigger time.Time, d time.Duration)

// A ServerOption changes how one server is stopped. A nil ServerOption is skipped.
type ServerOption interface{ applyTo(*step) }

type serverOption func(*step)

func (f serverOption) applyTo(s *step) { f(s) }

// InPhase makes a server of [GracefulShutdown.GoHTTP] or [GracefulShutdown.GoGRPC] drain in phase p
// instead of [PhaseIngress]. In a later phase it still accepts until then, and gets its Linger
// then: an admin server in PhaseFlush can show the metrics of the stop. The other functions return
// an error for InPhase, because the Serve given to [GracefulShutdown.Go] is waited for in
// PhaseWork, which may come before p. It panics if p is not positive.
func InPhase(p Phase) ServerOption {
	if p <= 0 {
		panic(fmt.Sprintf("shutdown: InPhase(%d): must be positive", int(p)))
	}
	return serverOption(func(s *step) { s.stage.phase = p })
}

// DrainTimeout is the most that draining a server may take; then it is closed by force. It keeps a
// stream that never ends from using up the time of the later phases. The default is what is left of
// Grace. It panics if d is not positive.
func DrainTimeout(d time.Duration) ServerOption {
	if d <= 0 {
		panic(fmt.Sprintf("shutdown: DrainTimeout(%v): must be positive", d))
	}
	return serverOption(func(s *step) { s.timeout = d })
}

// GoHTTP serves l with srv from Start on, or at once after Start, and drains srv when the service
// stops, as [GracefulShutdown.AddHTTPServer] does. But a TCP or Unix listener is closed as soon as
// Delay is over (with an [InPhase] after PhaseIngress, when that phase begins), and the connections
// in its queue are still served. The end of Serve is waited for in the same phase, and an error of
// Serve requests the shutdown. GoHTTP serves TLS if srv.TLSConfig has Certificates, GetCertificate
// or GetConfigForClient. A second call for the same server adds a listener; only the first may have
// options.
//
// GoHTTP takes over l, and closes it if it returns an error: [ErrShuttingDown] after the trigger,
// or an error if srv or l is nil, name is empty, srv was added before without a listener, or a
// second call has options.
func (gs *GracefulShutdown) GoHTTP(name string, srv *http.Server, l net.Listener, opts ...ServerOption) error {
	create := func() *server {
		s := gs.newHTTPServer(name, srv)
		withTLS := sync.OnceValue(func() bool { // once: the first Serve changes it
			c := srv.TLSConfig
			return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
		})
		s.serve = func(l net.Listener) error {
			serve := srv.Serve
			if withTLS() {
				serve = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
			}
			err := serve(l)
			if err == http.ErrServerClosed && !s.http.served.Load() { // net/http does not wrap it
				return errors.New("shutdown: the server was closed before it could serve")
			}
			return err
		}
		return s
	}
	return gs.goServe("HTTP server", name, srv, l, opts, create)
}

// GoGRPC is [GracefulShutdown.GoHTTP] for a gRPC server, which is drained as by
// [GracefulShutdown.AddGRPCServer]. An error of Serve requests the shutdown, unless the stop has
// told srv to end. Connections whose client has not sent anything yet get Linger to do so, and are
// closed as the drain begins.
func (gs *GracefulShutdown) GoGRPC(name string, srv interface {
	GRPCServer
	Serve(net.Listener) error
}, l net.Listener, opts ...ServerOption) error {
	return gs.goServe("gRPC server", name, srv, l, opts, func() *server {
		s := gs.newGRPCServer(name, srv)
		silent := silentConns{conns: conns{open: make(map[net.Conn]conn)}}
		drain := s.step.run
		s.conns = &silent.conns
		s.step.run = func(ctx context.Context) error { silent.close(); return drain(ctx) }
		s.serve = func(l net.Listener) error { return srv.Serve(silentListener{l, &silent}) }
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
		gs.addComponent(&component{
			name: name, serves: name + " on " + address, step: s.step, told: s.told, listener: l,
			run: func(context.Context) error {
				defer l.Close() // Serve may fail before it looks at l
				return s.serve(l)
			},
		})
		return nil
	})
	if err != nil && !isNil(l) {
		_ = closeGuarded(l)
	}
	return err
}

// own wraps l so that its queue is taken and it is closed when Delay is over, or when the phase of
// s begins if that is later than PhaseIngress. It does not if HoldListener has wrapped l, or if l
// is not of package net: another type may do something in its Accept.
func (gs *GracefulShutdown) own(l net.Listener, s *server) net.Listener {
	var d deadlineListener
	switch known := l.(type) {
	case *heldListener:
		if s.step.stage.afterIngress() { // closeInPhase holds it
			gs.held = slices.DeleteFunc(gs.held, func(l *heldListener) bool { return l == known })
		}
		return l
	case *net.TCPListener:
		d = known
	case *net.UnixListener:
		d = known
	default:
		gs.log(slog.LevelWarn, "what waits in the listener's queue when it is closed will be lost",
			slog.String("server", s.step.name), slog.String("listener", fmt.Sprintf("%T", l)))
		return newGuardedListener(l)
	}
	owned := newHeldListener(d, true)
	if s.step.stage.afterIngress() { // closeInPhase holds it
		return owned
	}
	gs.held = slices.DeleteFunc(gs.held, func(l *heldListener) bool { return isClosed(l.closed) })
	gs.held = append(gs.held, owned)
	return owned
}

type addressOf struct{ net.Listener }

func (a addressOf) String() string { return a.Addr().String() }

// AddServer drains a server of another kind in [PhaseIngress]: an echo.Echo, an http3.Server. If it
// has a Close method, that is called at the end of its time. An *[http.Server] is added as by
// [GracefulShutdown.AddHTTPServer]. Give the function that serves to [GracefulShutdown.Go]. The
// responses of such a server tell clients to leave only if its handlers are wrapped in
// [GracefulShutdown.DrainHandler], for echo by e.Use(echo.WrapMiddleware(gs.DrainHandler)). The
// Shutdown of a fiber.App has another signature, so add it as a [Callback] in PhaseIngress:
//
//	gs.AddCallback(shutdown.Callback{
//		Name: "api", Phase: shutdown.PhaseIngress, Func: app.ShutdownWithContext,
//	})
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
		if s.step.stage.afterIngress() {
			gs.closeInPhase(ctx, s)
		}
		err := drain(ctx)
		for _, l := range s.listeners { // if Serve was never called, it has not closed it
			if closing := l.Close(); err == nil && hasBroken(closing) {
				err = closing
			}
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

// closeInPhase does for a server in a later phase what the stages "close" and "linger" do for the
// others. It takes at most half of the time that there is.
func (gs *GracefulShutdown) closeInPhase(ctx context.Context, s *server) {
	if s.http != nil {
		close(s.http.leaving)
	}
	end, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, min(time.Until(end)/2, closeWait+gs.linger))
	defer cancel()
	_ = hold(ctx, s.heldListeners())
	s.conns.linger(ctx, stopOf(ctx).begun, gs.linger)
}

func (s *server) heldListeners() (held []*heldListener) {
	for _, l := range s.listeners {
		if l, ok := l.(*heldListener); ok {
			held = append(held, l)
		}
	}
	return held
}

func applyAll(s *step, opts []ServerOption) {
	for _, o := range opts {
		if o != nil {
			o.applyTo(s)
		}
	}
}

// servesLocked reports whether anything serves, as far as is known. Without that, Delay is skipped.
func (gs *GracefulShutdown) servesLocked() bool {
	if gs.life != started {
		return false
	}
	_, failed := gs.report.Reason.(*ComponentError) // ours, never wrapped
	if !gs.hasServed {
		return !failed || gs.components > 0
	}
	return slices.ContainsFunc(gs.servers, func(s *server) bool {
		switch {
		case len(s.listeners) > 0: // GoHTTP or GoGRPC serves it
			return slices.ContainsFunc(s.step.components, func(c *component) bool { return c.err == nil })
		case s.http != nil:
			return s.http.served.Load() || !failed && gs.components > 0
		default:
			return !failed || gs.components > 0
		}
	})
}
