package shutdown_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// waysToFail are what a method does that keeps no promise. What hangs ends with release.
var waysToFail = map[string]func(release <-chan struct{}){
	"panics": func(<-chan struct{}) { panic("boom") },
	"exits":  func(<-chan struct{}) { runtime.Goexit() },
	"hangs":  func(release <-chan struct{}) { <-release },
}

// eachWayToFail runs a test on a fake clock for each of waysToFail.
func eachWayToFail(t *testing.T, test func(t *testing.T, way string, misbehave func())) {
	t.Helper()
	for way, misbehave := range waysToFail {
		bubble(t, way, func(t *testing.T) {
			release := makeRelease(t)
			test(t, way, func() { misbehave(release) })
		})
	}
}

// flushing adds a callback in PhaseFlush and returns whether it has run.
func (s service) flushing() *atomic.Bool {
	s.t.Helper()
	ran := new(atomic.Bool)
	s.callback("flush", shutdown.PhaseFlush, func(context.Context) error {
		ran.Store(true)
		return nil
	})
	return ran
}

// A badManager misbehaves in one of its methods.
type badManager struct {
	method    string
	misbehave func()
}

func (m *badManager) do(method string) {
	if m.method == method {
		m.misbehave()
	}
}

func (m *badManager) Name() string                             { m.do("Name"); return "culprit" }
func (m *badManager) Start(context.Context, func(error)) error { m.do("Start"); return nil }
func (m *badManager) ShutdownStart(context.Context, error) error {
	m.do("ShutdownStart")
	return nil
}
func (m *badManager) Release() { m.do("Release") }
func (m *badManager) ShutdownFinish(context.Context, shutdown.Report) error {
	m.do("ShutdownFinish")
	return nil
}

func TestManagersMethodsAreCalledUnderGuard(t *testing.T) {
	for _, method := range []string{"Name", "Start", "ShutdownStart", "ShutdownFinish", "Release"} {
		t.Run(method, func(t *testing.T) {
			eachWayToFail(t, func(t *testing.T, way string, misbehave func()) {
				gs := newService(t, shutdown.Grace(10*sec))
				released := false
				addErr := gs.AddManager(&badManager{method, misbehave},
					&manager{name: "next", release: func() { released = true }})
				flushed := gs.flushing()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begin := time.Now()
				err := gs.Run(ctx)
				took := time.Since(begin)
				assert.LessOrEqual(t, took, time.Minute+12*sec)
				assert.True(t, flushed.Load(), "PhaseFlush has not run")
				require.Error(t, err)
				switch method {
				case "Name":
					if addErr != nil {
						assert.ErrorContains(t, err, addErr.Error())
					}
					assert.ErrorContains(t, err, "badManager", "the manager's type, as it has no name")
				case "Start":
					assert.ErrorContains(t, err, "culprit")
					assert.False(t, released, "released what has not started")
				default:
					r := gs.Report()
					assert.ErrorContains(t, err, "culprit")
					assert.NotEqual(t, shutdown.StateOK, row(t, r, "culprit").State, "%s", r)
					assert.True(t, released, "the manager after it was not released")
					if way == "hangs" {
						assert.Equal(t, shutdown.StateTimeout, row(t, r, "culprit").State)
						assert.Contains(t, string(r.Stacks), "badManager", "the culprit's stack")
					}
				}
			})
		})
	}
}

// A valueManager cannot be compared, but may be a manager.
type valueManager struct {
	name  string
	hooks []func()
}

func (m valueManager) Name() string                             { return m.name }
func (m valueManager) Start(context.Context, func(error)) error { m.hooks[0](); return nil }

func TestManagersThatCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		started := 0
		start := []func(){func() { started++ }}
		require.NoError(t, gs.AddManager(valueManager{"a", start}, valueManager{"b", start}))
		require.NoError(t, gs.AddManager(valueManager{"c", start}))
		gs.start()
		require.NoError(t, gs.stop())
		assert.Equal(t, 3, started)
	})
}

func TestManagerIsAddedOnce(t *testing.T) {
	t.Run("in one call", func(t *testing.T) {
		gs, m := newService(t), &manager{name: "m"}
		err := gs.AddManager(m, &manager{name: "other"}, m)
		require.ErrorContains(t, err, "shutdown: ")
		assert.ErrorContains(t, err, "added before")
		assert.EqualError(t, gs.Start(t.Context()), err.Error())
	})
	t.Run("in two", func(t *testing.T) {
		gs, m := newService(t), &manager{name: "m"}
		gs.managers(m)
		assert.ErrorContains(t, gs.AddManager(m), "added before")
	})
	t.Run("two of one name are two", func(t *testing.T) {
		gs := newService(t)
		gs.managers(&manager{name: "m"}, &manager{name: "m"})
		gs.start()
		require.NoError(t, gs.stop())
	})
}

// A valueServer cannot be compared, but may be a server of any kind.
type valueServer struct{ stops []func() }

func (s valueServer) Shutdown(context.Context) error { s.stops[0](); return nil }
func (s valueServer) GracefulStop()                  { s.stops[0]() }
func (s valueServer) Stop()                          {}
func (s valueServer) Serve(l net.Listener) error     { _, err := l.Accept(); return err }

func TestServersThatCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		stopped := make(chan string, 4)
		server := func(name string) valueServer {
			return valueServer{[]func(){func() { stopped <- name }}}
		}
		require.NoError(t, gs.AddServer("a", server("a")))
		require.NoError(t, gs.AddServer("b", server("b")))
		require.NoError(t, gs.AddGRPCServer("c", server("c")))
		require.NoError(t, gs.AddGRPCServer("d", server("d")))
		gs.start()
		require.NoError(t, gs.stop())
		assert.Len(t, stopped, 4)
	})
}

// What a server's method does at the end of its time costs the phases after it nothing.
func TestServersMethodsAreCalledUnderGuard(t *testing.T) {
	hang := func(t *testing.T) func() { f := hanging(t); return func() { _ = f(t.Context()) } }
	for method, add := range map[string]func(gs service, misbehave func()) error{
		"Shutdown": func(gs service, misbehave func()) error {
			return gs.AddServer("culprit", &plainServer{
				shutdown: func(context.Context) error { misbehave(); return nil },
			})
		},
		"Close": func(gs service, misbehave func()) error {
			return gs.AddServer("culprit", &plainServer{
				shutdown: hanging(gs.t),
				close:    func() error { misbehave(); return nil },
			})
		},
		"GracefulStop": func(gs service, misbehave func()) error {
			return gs.AddGRPCServer("culprit", grpcServer{graceful: misbehave})
		},
		"Stop": func(gs service, misbehave func()) error {
			return gs.AddGRPCServer("culprit", grpcServer{graceful: hang(gs.t), stop: misbehave})
		},
		"RegisterOnShutdown": func(gs service, misbehave func()) error {
			srv := &http.Server{Handler: answers("ok")}
			srv.RegisterOnShutdown(func() {
				defer func() { _ = recover() }() // net/http calls it in a goroutine of its own
				misbehave()
			})
			return gs.GoHTTP("fine", srv, newListener())
		},
	} {
		t.Run(method, func(t *testing.T) {
			eachWayToFail(t, func(t *testing.T, _ string, misbehave func()) {
				gs := newService(t, shutdown.Grace(10*sec))
				require.NoError(t, add(gs, misbehave))
				flushed := gs.flushing()
				gs.start()
				synctest.Wait()
				took, err := gs.timedStop()
				assert.LessOrEqual(t, took, 12*sec)
				assert.True(t, flushed.Load(), "PhaseFlush has not run")
				if method == "RegisterOnShutdown" {
					return
				}
				require.ErrorContains(t, err, "culprit")
				culprit := row(t, gs.Report(), "culprit")
				assert.NotEqual(t, shutdown.StateOK, culprit.State)
				assert.Equal(t, shutdown.PhaseIngress, culprit.Phase)
			})
		})
	}
}

// A badListener misbehaves in one of its methods, once it is told to.
type badListener struct {
	*listener
	method    string
	misbehave func()
}

func (l *badListener) do(method string) {
	if l.method == method {
		l.misbehave()
	}
}

func (l *badListener) Addr() net.Addr { l.do("Addr"); return l.listener.Addr() }
func (l *badListener) Close() error   { defer l.listener.Close(); l.do("Close"); return nil }
func (l *badListener) Accept() (net.Conn, error) {
	l.do("Accept")
	return l.listener.Accept()
}
func (l *badListener) SetDeadline(d time.Time) error {
	l.do("SetDeadline")
	return l.listener.SetDeadline(d)
}

func TestListenersMethodsAreCalledUnderGuard(t *testing.T) {
	for _, method := range []string{"Addr", "Accept", "SetDeadline"} {
		t.Run(method, func(t *testing.T) {
			eachWayToFail(t, func(t *testing.T, _ string, misbehave func()) {
				gs := newService(t, shutdown.Grace(10*sec))
				l := newListener()
				defer l.Close()
				flushed := gs.flushing()
				srv := &http.Server{Handler: answers("ok")}
				require.NoError(t, gs.GoHTTP("culprit", srv, &badListener{l, method, misbehave}))
				gs.start()
				synctest.Wait()
				took, _ := gs.timedStop()
				assert.LessOrEqual(t, took, 12*sec)
				assert.True(t, flushed.Load(), "PhaseFlush has not run")
			})
		})
	}
}

// A valueConn cannot be compared, and so cannot be the key of a map.
type valueConn struct {
	net.Conn
	_ []byte
}

type valueConnListener struct{ *listener }

func (l valueConnListener) Accept() (net.Conn, error) {
	c, err := l.listener.Accept()
	return valueConn{Conn: c}, err
}

// net/http itself panics for such a connection unless it comes below TLS, so it is the server's
// failure and no crash.
func TestConnectionsThatCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Grace(10*sec))
		flushed := gs.flushing()
		l := newListener()
		srv := &http.Server{Handler: answers("ok")}
		require.NoError(t, gs.GoHTTP("api", srv, valueConnListener{l}))
		gs.start()
		c := l.dial(t)
		c.send("/")
		_, body := c.receive()
		assert.Equal(t, "ok", body)
		synctest.Wait()
		took, err := gs.timedStop()
		assert.NoError(t, err)
		assert.LessOrEqual(t, took, sec)
		assert.True(t, flushed.Load())
	})
}

// A badContext misbehaves in Value, when it is asked for a key that is not the test's.
type badContext struct {
	context.Context
	misbehave func()
}

func (c badContext) Value(any) any { c.misbehave(); return nil }

func TestStartsContextIsCalledUnderGuard(t *testing.T) {
	eachWayToFail(t, func(t *testing.T, way string, misbehave func()) {
		gs := newService(t, shutdown.Grace(10*sec))
		flushed := gs.flushing()
		gs.component("worker", untilStopped)
		gs.managers(&manager{name: "m"})
		go func() {
			defer func() { _ = recover() }() // it is the caller's own value
			_ = gs.Start(badContext{t.Context(), misbehave})
		}()
		synctest.Wait()
		took, _ := gs.timedStop()
		assert.LessOrEqual(t, took, 12*sec)
		assert.True(t, flushed.Load(), "PhaseFlush has not run")
	})
}

func TestWatchesAndHandlersAreCalledUnderGuard(t *testing.T) {
	eachWayToFail(t, func(t *testing.T, way string, misbehave func()) {
		gs := newService(t, shutdown.Grace(10*sec), shutdown.Watch(func(shutdown.Step) { misbehave() }),
			shutdown.ErrorHandler(func(error) { misbehave() }))
		flushed := gs.flushing()
		gs.callback("fails", 100, returns(errTest))
		gs.start()
		took, err := gs.timedStop()
		assert.LessOrEqual(t, took, 12*sec)
		assert.True(t, flushed.Load(), "PhaseFlush has not run")
		r := gs.Report()
		observers := stageRow(r, "observers")
		require.Error(t, observers.Err, "%s", r)
		assert.ErrorIs(t, err, observers.Err)
		if way == "hangs" {
			assert.Equal(t, shutdown.StateTimeout, observers.State)
		} else {
			assert.NotEqual(t, shutdown.StateTimeout, observers.State)
		}
		_, ok := errors.AsType[*shutdown.PanicError](err)
		assert.Equal(t, way == "panics", ok)
	})
}

// A manager's Start that hangs until the context of Run ends is an error of Run.
func TestManagerWhoseStartHangsHasARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Grace(10*sec))
		hang := hanging(t)
		gs.managers(&manager{name: "deaf", start: func(ctx context.Context, _ func(error)) error {
			return hang(ctx)
		}})
		ctx, cancel := context.WithTimeout(t.Context(), sec)
		defer cancel()
		err := gs.Run(ctx)
		assert.ErrorIs(t, err, shutdown.ErrTimeout)
		assert.ErrorContains(t, err, "deaf")
		assert.Equal(t, shutdown.StateTimeout, row(t, gs.Report(), "deaf").State)
		assert.NotEmpty(t, gs.Report().Stacks)
	})
}
