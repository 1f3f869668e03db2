package shutdown_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

func (s service) holdListener(l net.Listener) net.Listener {
	s.t.Helper()
	held, err := s.HoldListener(l)
	require.NoError(s.t, err)
	return held
}

func TestHoldListenerRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gs := newService(t)
	held := gs.holdListener(l)
	assert.Equal(t, l.Addr(), held.Addr())
	require.NoError(t, held.Close())
	require.ErrorIs(t, held.Close(), net.ErrClosed, "as the listeners of package net have it")

	const noDeadline = " has no SetDeadline; " +
		"hold the listener inside of it, and wrap (TLS) what this returns"
	tests := []struct {
		name string
		l    net.Listener
		want string
	}{
		{"nil", nil, "the listener is nil"},
		{"a nil pointer", (*net.TCPListener)(nil), "invalid argument"},
		{"closed", l, "use of closed network connection"},
		{
			"TLS", tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS13}),
			"*tls.listener" + noDeadline,
		},
		{"held", held, "*shutdown.heldListener" + noDeadline},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := gs.HoldListener(tt.l)
			assert.EqualError(t, err, "shutdown: HoldListener: "+tt.want)
			assert.Nil(t, got)
		})
	}
	gs.Shutdown(nil)
	got, err := gs.HoldListener(newListener())
	assert.ErrorIs(t, err, shutdown.ErrShuttingDown)
	assert.Nil(t, got)
	require.NoError(t, gs.Wait())
}

// Balancers that have noticed nothing still send new connections during Delay.
func TestHoldingBeginsAfterDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Delay(3*sec))
		l := newListener()
		held := gs.holdListener(l)
		gs.start()
		begin := time.Now()
		gs.Shutdown(nil)
		time.AfterFunc(3*sec-1, func() { l.conns <- nil })
		_, err := held.Accept()
		require.NoError(t, err)
		go func() { _, _ = held.Accept() }()
		<-l.expired
		assert.Equal(t, 3*sec, time.Since(begin))
		require.NoError(t, gs.Wait())
		require.NoError(t, held.Close())
	})
}

// A server that begins to accept when the stop has begun gets no error until it is closed.
func TestAcceptOnceHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		held := gs.holdListener(newListener())
		require.NoError(t, gs.stop())
		ended := make(chan error, 1)
		go func() {
			_, err := held.Accept()
			ended <- err
		}()
		synctest.Wait()
		require.Empty(t, ended, "it waits")
		require.NoError(t, held.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
	})
}

// Neither a listener that nobody uses, nor one whose server has gone away, holds up the stop.
func TestHoldingEnds(t *testing.T) {
	acceptOne := func(l *listener, held net.Listener) {
		go func() { l.conns <- nil }()
		_, _ = held.Accept()
	}
	tests := []struct {
		name   string
		grace  time.Duration
		before func(l *listener, held net.Listener)
		want   time.Duration
	}{
		{"not used", 25 * sec, func(*listener, net.Listener) {}, 0},
		{"closed", 25 * sec, func(_ *listener, held net.Listener) { _ = held.Close() }, 0},
		{
			"used and closed", 25 * sec,
			func(l *listener, held net.Listener) { acceptOne(l, held); _ = held.Close() }, 0,
		},
		{
			"one goroutine accepts several", 25 * sec,
			func(l *listener, held net.Listener) {
				go func() {
					for {
						if _, err := held.Accept(); err != nil {
							return
						}
					}
				}()
				for range 3 {
					l.conns <- nil
				}
			},
			0,
		},
		{"its server is gone", 25 * sec, acceptOne, sec},
		{"its server is gone, and there is little time", sec, acceptOne, 500 * ms},
		{
			"its SetDeadline hangs", 25 * sec,
			func(l *listener, held net.Listener) {
				l.setDeadline = func(time.Time) error { <-l.closed; return nil }
				go func() { _, _ = held.Accept() }()
			},
			sec,
		},
		{
			"its SetDeadline panics", 25 * sec,
			func(l *listener, held net.Listener) {
				l.setDeadline = nil
				go func() { _, _ = held.Accept() }()
			},
			sec,
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t, shutdown.Grace(tt.grace))
			l := newListener()
			held := gs.holdListener(l)
			gs.start()
			tt.before(l, held)
			synctest.Wait()
			require.NoError(t, gs.stop())
			assert.Equal(t, tt.want, stageRow(gs.Report(), "close").Duration)
			require.NoError(t, held.Close())
		})
	}
}

// What one goroutine has accepted is not in the server's hands when another one is back.
func TestHoldingWaitsForAllThatAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t)
		l := newListener()
		held := gs.holdListener(l)
		for i := range 3 {
			go func() {
				if _, err := held.Accept(); err == nil {
					time.Sleep(time.Duration(i+1) * 100 * ms) // takes note of it
					_, _ = held.Accept()
				}
			}()
		}
		synctest.Wait()
		l.conns <- nil
		l.conns <- nil
		synctest.Wait()
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.GreaterOrEqual(t, took, 200*ms)
		assert.Less(t, took, 400*ms)
		require.NoError(t, held.Close())
	})
}

// The connections of a gRPC server are not known.
func TestHoldingForGRPCLingersInFull(t *testing.T) {
	for name, tt := range map[string]struct {
		hold bool
		want time.Duration
	}{
		"held":     {true, 500 * ms},
		"not held": {false, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			gs := newService(t)
			require.NoError(t, gs.AddHTTPServer("http", &http.Server{}))
			gs.grpcServer("grpc", grpcServer{})
			if tt.hold {
				gs.holdListener(newListener())
			}
			require.NoError(t, gs.stop())
			assert.Equal(t, tt.want, lingered(gs.Report()))
		})
	}
}
