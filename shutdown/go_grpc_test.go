package shutdown_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// errServerStopped is what a grpc.Server returns from Serve when it was stopped before.
var errServerStopped = errors.New("grpc: the server has been stopped")

// An rpcServer behaves as a *grpc.Server does: each connection that it accepts is a call, which
// ends when the connection is closed.
type rpcServer struct {
	mu        sync.Mutex
	listeners []net.Listener
	conns     []net.Conn
	calls     sync.WaitGroup
	stopped   bool
	cut       bool // by Stop
	serveErr  error
}

func (s *rpcServer) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		_ = l.Close()
		return errServerStopped
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	if s.serveErr != nil {
		return s.serveErr
	}
	for {
		c, err := l.Accept()
		s.mu.Lock()
		stopped := s.stopped
		if err == nil && !stopped {
			s.conns = append(s.conns, c)
			s.calls.Go(func() { _, _ = io.Copy(io.Discard, c) })
		}
		s.mu.Unlock()
		if stopped {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *rpcServer) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

func (s *rpcServer) GracefulStop() { s.refuse(); s.calls.Wait() }

func (s *rpcServer) Stop() {
	s.refuse()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for _, c := range s.conns {
		_ = c.Close()
	}
}

func TestGoGRPCIsServedAndDrained(t *testing.T) {
	bubble(t, "calls in flight are waited for, in one row", func(t *testing.T) {
		gs, srv, l := newService(t), &rpcServer{}, newListener()
		require.NoError(t, gs.GoGRPC("rpc", srv, l))
		gs.start()
		c := l.dial(t)
		c.send("/")
		synctest.Wait()
		gs.Shutdown(nil)
		time.AfterFunc(3*sec, func() { _ = c.Close() })
		begin := time.Now()
		require.NoError(t, gs.Wait())
		assert.GreaterOrEqual(t, time.Since(begin), 3*sec)
		assert.LessOrEqual(t, time.Since(begin), 4*sec)
		assert.False(t, srv.cut)
		rows := rowsOf(gs.Report())
		require.Len(t, rows, 1, "%s", gs.Report())
		assert.Equal(t, "rpc", rows[0].Name)
		assert.Equal(t, shutdown.PhaseIngress, rows[0].Phase)
		assertClosed(t, l)
	})
	bubble(t, "and cut at the end of DrainTimeout", func(t *testing.T) {
		gs, srv, l := newService(t), &rpcServer{}, newListener()
		require.NoError(t, gs.GoGRPC("rpc", srv, l, shutdown.DrainTimeout(2*sec)))
		gs.callback("store", shutdown.PhaseStore, sleep(sec))
		gs.start()
		l.dial(t).send("/")
		synctest.Wait()
		took, err := gs.timedStop()
		assert.ErrorIs(t, err, shutdown.ErrTimeout)
		assert.ErrorContains(t, err, "rpc (ingress): ")
		assert.True(t, srv.cut)
		assert.LessOrEqual(t, took, 4*sec)
		assert.Equal(t, "timeout ok", states(gs.Report()))
	})
	bubble(t, "connections that say nothing are not waited for", func(t *testing.T) {
		gs, srv, l := newService(t), &rpcServer{}, newListener()
		require.NoError(t, gs.GoGRPC("rpc", srv, l))
		gs.start()
		silent, gone, talks := l.dial(t), l.dial(t), l.dial(t)
		talks.send("/")
		require.NoError(t, gone.Close())
		synctest.Wait()
		time.AfterFunc(sec, func() { _ = talks.Close() })
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Equal(t, sec, took)
		assert.False(t, srv.cut)
		silent.expectClosed()
	})
	bubble(t, "connections that were just accepted get Linger", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec), shutdown.Linger(500*ms))
		srv, l := &rpcServer{}, newListener()
		require.NoError(t, gs.GoGRPC("rpc", srv, l))
		gs.start()
		silent := l.dial(t) // for the whole of Delay
		gs.Shutdown(nil)
		time.Sleep(900 * ms)
		late, later := l.dial(t), l.dial(t)
		time.AfterFunc(400*ms, func() { late.send("/") })
		time.AfterFunc(450*ms, func() { later.send("/") })
		time.AfterFunc(2*sec, func() { _ = late.Close(); _ = later.Close() })
		require.NoError(t, gs.Wait())
		silent.expectClosed()
		assert.False(t, srv.cut)
		assert.Equal(t, 2900*ms, gs.Report().Total, "%s", gs.Report())
	})
	bubble(t, "and not a moment longer than they need", func(t *testing.T) {
		gs, l := newService(t), newListener()
		require.NoError(t, gs.GoGRPC("rpc", &rpcServer{}, l))
		gs.start()
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Zero(t, took)
	})
	bubble(t, "on two listeners", func(t *testing.T) {
		gs, srv, a, b := newService(t), &rpcServer{}, newListener(), newListener()
		require.NoError(t, gs.GoGRPC("rpc", srv, a))
		require.NoError(t, gs.GoGRPC("rpc", srv, b))
		gs.start()
		_ = a.dial(t).Close()
		_ = b.dial(t).Close()
		require.NoError(t, gs.stop())
		assertClosed(t, a)
		assertClosed(t, b)
		assert.Len(t, rowsOf(gs.Report()), 1, "%s", gs.Report())
	})
	bubble(t, "after Start", func(t *testing.T) {
		gs, l := newService(t), newListener()
		gs.start()
		require.NoError(t, gs.GoGRPC("rpc", &rpcServer{}, l))
		_ = l.dial(t).Close()
		require.NoError(t, gs.stop())
		assertClosed(t, l)
	})
	bubble(t, "in a later phase it accepts until then", func(t *testing.T) {
		gs, l := newService(t), newListener()
		require.NoError(t, gs.GoGRPC("admin", &rpcServer{}, l,
			shutdown.InPhase(shutdown.PhaseFlush)))
		gs.callback("store", shutdown.PhaseStore, func(ctx context.Context) error {
			_ = l.dial(t).Close()
			return nil
		})
		gs.start()
		require.NoError(t, gs.stop())
		assert.Equal(t, shutdown.PhaseFlush, row(t, gs.Report(), "admin").Phase)
	})
}

// Whatever Serve returns once its GracefulStop has begun says nothing.
func TestErrorsOfServeOfGoGRPC(t *testing.T) {
	bubble(t, "before the trigger requests the stop", func(t *testing.T) {
		gs, l := newService(t, shutdown.Delay(5*sec)), newListener()
		require.NoError(t, gs.GoGRPC("rpc", &rpcServer{serveErr: errTest}, l))
		gs.start()
		begin := time.Now()
		err := gs.Wait()
		require.ErrorIs(t, err, errTest)
		var failed *shutdown.ComponentError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "rpc", failed.Name)
		assert.Zero(t, time.Since(begin), "Delay although nothing serves")
		assertClosed(t, l)
	})
	bubble(t, "of a listener that breaks", func(t *testing.T) {
		gs, l := newService(t), newListener()
		require.NoError(t, gs.GoGRPC("rpc", &rpcServer{}, l))
		gs.start()
		synctest.Wait()
		require.NoError(t, l.Close())
		assert.ErrorIs(t, gs.Wait(), net.ErrClosed)
	})
	bubble(t, "that the stop has caused", func(t *testing.T) {
		gs, l := newService(t), newListener()
		srv := &stoppedWithError{l: l}
		require.NoError(t, gs.GoGRPC("rpc", srv, l))
		gs.start()
		synctest.Wait()
		require.NoError(t, gs.stop())
	})
	bubble(t, "of a server that was stopped by its owner", func(t *testing.T) {
		gs, l := newService(t, shutdown.Delay(5*sec)), newListener()
		srv := &rpcServer{}
		require.NoError(t, gs.GoGRPC("rpc", srv, l))
		gs.start()
		synctest.Wait()
		srv.GracefulStop()
		synctest.Wait()
		assert.False(t, gs.isDraining(), "Serve has returned nil: it is finished")
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Zero(t, took, "Delay although nothing serves")
	})
}

// stoppedWithError is a server whose Serve says why it has ended, as some wrappers do.
type stoppedWithError struct{ l *listener }

func (s *stoppedWithError) Serve(net.Listener) error { <-s.l.closed; return errServerStopped }
func (s *stoppedWithError) GracefulStop()            { _ = s.l.Close() }
func (s *stoppedWithError) Stop()                    { _ = s.l.Close() }

// A Serve that hangs after GracefulStop has returned does not hold up the later phases.
func TestServeOfGoGRPCThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Grace(5*sec))
		release := makeRelease(t)
		require.NoError(t, gs.GoGRPC("rpc", hangingServe{release: release}, newListener()))
		flushed := gs.flushing()
		gs.start()
		took, err := gs.timedStop()
		assert.ErrorContains(t, err, "rpc")
		assert.ErrorIs(t, err, shutdown.ErrTimeout)
		assert.LessOrEqual(t, took, 7*sec)
		assert.True(t, flushed.Load())
	})
}

type hangingServe struct {
	grpcServer
	release <-chan struct{}
}

func (s hangingServe) Serve(net.Listener) error { <-s.release; return nil }
