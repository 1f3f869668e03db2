//go:build unix

package shutdown_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// shared returns two listeners with one socket, as two processes have them.
func shared(t *testing.T) (ours, next net.Listener) {
	t.Helper()
	ours, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	return ours, share(t, ours)
}

// share makes one more of them, without Fd of l.File, which would put the socket into blocking mode: see HoldListener.
func share(t *testing.T, l net.Listener) net.Listener {
	t.Helper()
	raw, err := l.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	var fd int
	controlErr := raw.Control(func(original uintptr) { fd, err = syscall.Dup(int(original)) })
	require.NoError(t, errors.Join(controlErr, err))
	f := os.NewFile(uintptr(fd), "shared")
	defer f.Close()
	other, err := net.FileListener(f)
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close() })
	return other
}

func TestHoldListener(t *testing.T) {
	ours, next := shared(t)
	// In place of a Delay: a hook that takes as long as the test needs.
	delay := make(chan struct{})
	gs := shutdown.New()
	require.NoError(t, gs.AddManager(&hooked{manager{name: "test"},
		func(context.Context, error) error { <-delay; return nil },
		func(context.Context, shutdown.Report) error { return nil }}))
	held, err := gs.HoldListener(ours)
	require.NoError(t, err)
	assert.Equal(t, ours.Addr(), held.Addr())
	require.NoError(t, gs.Start(t.Context()))

	accepted, ended := make(chan net.Conn, 1), make(chan error, 1)
	go func() {
		for {
			c, err := held.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	dialed := func() string { return dial(t, ours.Addr().String()).LocalAddr().String() }
	before := dialed()
	assert.Equal(t, before, (<-accepted).RemoteAddr().String())
	gs.Shutdown(nil)
	during := dialed()
	assert.Equal(t, during, (<-accepted).RemoteAddr().String(), "Delay accepts")

	close(delay)
	require.NoError(t, gs.Wait())
	after := dialed()
	require.NoError(t, next.(*net.TCPListener).SetDeadline(time.Now().Add(10*time.Second))) // never reached unless the test fails
	c, err := next.Accept()
	require.NoError(t, err)
	assert.Equal(t, after, c.RemoteAddr().String(), "what connects after Delay is for the next process")

	require.NoError(t, held.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	_, err = held.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, held.Close(), net.ErrClosed, "as the listeners of package net have it")
	_ = dialed() // the socket is still there
}

// Services follow each other on one socket, while requests come in that may not be sent twice. Without HoldListener some are lost.
func TestHandoverLosesNothing(t *testing.T) {
	next, current := shared(t)
	url := "http://" + next.Addr().String()
	start := func(l net.Listener) *shutdown.GracefulShutdown {
		gs := shutdown.New(shutdown.Linger(5 * time.Second)) // ends when all that was accepted is answered
		held, err := gs.HoldListener(l)
		require.NoError(t, err)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })}
		require.NoError(t, gs.AddHTTPServer("api", srv))
		require.NoError(t, gs.Go("http", func(context.Context) error { return srv.Serve(held) }))
		require.NoError(t, gs.Start(t.Context()))
		return gs
	}
	serving := start(current)

	var clients sync.WaitGroup
	var done atomic.Bool
	var requests atomic.Int64
	stop := func() { done.Store(true); clients.Wait() }
	t.Cleanup(stop) // a failure ends the test, but not its goroutines
	for i := range 8 {
		transport := &http.Transport{DisableKeepAlives: i%2 == 0}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			for !done.Load() {
				err := echo(&http.Client{Transport: transport}, url)
				requests.Add(1)
				assert.NoError(t, err)
			}
		})
	}
	for range 10 {
		for served := requests.Load(); requests.Load() < served+50 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		current, next = next, share(t, next)
		successor := start(current)
		serving.Shutdown(nil)
		require.NoError(t, serving.Wait())
		serving = successor
	}
	stop()
	serving.Shutdown(nil)
	require.NoError(t, serving.Wait())
}

func echo(client *http.Client, url string) error {
	resp, err := client.Post(url, "text/plain", struct{ io.Reader }{strings.NewReader("payload")})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && string(body) != "payload" {
		err = fmt.Errorf("got %q", body)
	}
	return err
}

// During Delay, balancers that have noticed nothing yet still send new connections.
func TestHoldingBeginsAfterDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New(shutdown.Delay(3 * time.Second))
		f := newFakeListener()
		defer f.end()
		l, err := gs.HoldListener(f)
		require.NoError(t, err)
		begin := time.Now()
		gs.Shutdown(nil)
		time.AfterFunc(3*time.Second-1, func() { f.conns <- nil })
		_, err = l.Accept()
		require.NoError(t, err)
		go l.Accept()
		<-f.expired
		assert.Equal(t, 3*time.Second, time.Since(begin))
		require.NoError(t, gs.Wait())
		require.NoError(t, l.Close())
	})
}

// A server that begins to accept only when the service stops already accepts nothing, and gets no error that it would make a noise about.
func TestAcceptOnceHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		l, err := gs.HoldListener(newFakeListener())
		require.NoError(t, err)
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())

		ended := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		require.Empty(t, ended, "it waits")
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
	})
}

// A listener that nobody uses, that is closed, or whose server has gone away without closing it does not hold up the stop.
func TestHoldingEnds(t *testing.T) {
	tests := []struct {
		name    string
		options []shutdown.Option
		before  func(*fakeListener, net.Listener)
		want    time.Duration
	}{
		{"not used", nil, func(*fakeListener, net.Listener) {}, 0},
		{"closed", nil, func(_ *fakeListener, l net.Listener) { _ = l.Close() }, 0},
		{"used and closed", nil, func(f *fakeListener, l net.Listener) { f.acceptOne(l); _ = l.Close() }, 0},
		{"one goroutine accepts several", nil, func(f *fakeListener, l net.Listener) {
			go func() {
				for {
					if _, err := l.Accept(); err != nil {
						return
					}
				}
			}()
			for range 3 {
				f.conns <- nil
			}
		}, 0},
		{"its server is gone", nil, func(f *fakeListener, l net.Listener) { f.acceptOne(l) }, time.Second},
		{"its server is gone, and there is little time", []shutdown.Option{shutdown.Grace(time.Second)}, func(f *fakeListener, l net.Listener) { f.acceptOne(l) }, 500 * time.Millisecond},
		{"its SetDeadline hangs", nil, func(f *fakeListener, l net.Listener) { f.setDeadline = f.hang; go l.Accept() }, time.Second},
		{"its SetDeadline panics", nil, func(f *fakeListener, l net.Listener) { f.setDeadline = nil; go l.Accept() }, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New(tt.options...)
				f := newFakeListener()
				defer f.end()
				l, err := gs.HoldListener(f)
				require.NoError(t, err)
				require.NoError(t, gs.Start(t.Context()))
				tt.before(f, l)
				synctest.Wait()
				gs.Shutdown(nil)
				require.NoError(t, gs.Wait())
				assert.Equal(t, tt.want, gs.Report().Linger)
				require.NoError(t, l.Close())
			})
		})
	}
}

// Each of the goroutines that accept has to be back: what one of them has accepted is not in the server's hands when another one is.
func TestHoldingSeveralAccepters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := shutdown.New()
		f := newFakeListener()
		defer f.end()
		l, err := gs.HoldListener(f)
		require.NoError(t, err)
		for i := range 3 {
			go func() {
				if _, err := l.Accept(); err == nil {
					time.Sleep(time.Duration(i+1) * 100 * time.Millisecond) // takes note of it
					_, _ = l.Accept()
				}
			}()
		}
		synctest.Wait()
		f.conns <- nil
		f.conns <- nil
		synctest.Wait()
		begin := time.Now()
		gs.Shutdown(nil)
		require.NoError(t, gs.Wait())
		assert.GreaterOrEqual(t, time.Since(begin), 200*time.Millisecond)
		assert.Less(t, time.Since(begin), 400*time.Millisecond)
		require.NoError(t, l.Close())
	})
}

// Nobody knows the connections of a gRPC server.
func TestHoldingForGRPCLingersInFull(t *testing.T) {
	tests := map[string]struct {
		hold bool
		want time.Duration
	}{
		"held":     {true, 500 * time.Millisecond},
		"not held": {false, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs := shutdown.New()
				require.NoError(t, gs.AddHTTPServer("http", &http.Server{}))
				require.NoError(t, gs.AddGRPCServer("grpc", quickGRPC{}))
				if tt.hold {
					_, err := gs.HoldListener(newFakeListener())
					require.NoError(t, err)
				}
				gs.Shutdown(nil)
				require.NoError(t, gs.Wait())
				assert.Equal(t, tt.want, gs.Report().Linger)
			})
		})
	}
}

type quickGRPC struct{}

func (quickGRPC) GracefulStop() {}
func (quickGRPC) Stop()         {}

func TestHoldListenerRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gs := shutdown.New()
	held, err := gs.HoldListener(l)
	require.NoError(t, err)
	require.NoError(t, held.Close())

	tests := []struct {
		name string
		l    net.Listener
		want string
	}{
		{"nil", nil, "shutdown: HoldListener: the listener is nil"},
		{"a nil listener", (*net.TCPListener)(nil), "shutdown: HoldListener: invalid argument"},
		{"closed", l, "shutdown: HoldListener: use of closed network connection"},
		{
			"TLS", tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS13}),
			"shutdown: HoldListener: *tls.listener has no SetDeadline; hold the listener inside of it, and wrap (TLS) what this returns",
		},
		{"held", held, "shutdown: HoldListener: *shutdown.heldListener has no SetDeadline; hold the listener inside of it, and wrap (TLS) what this returns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := gs.HoldListener(tt.l)
			assert.EqualError(t, err, tt.want)
			assert.Nil(t, got)
		})
	}
	gs.Shutdown(nil)
	got, err := gs.HoldListener(newFakeListener())
	assert.ErrorIs(t, err, shutdown.ErrShuttingDown)
	assert.Nil(t, got)
	require.NoError(t, gs.Wait())
}

// A fakeListener accepts what is sent to conns.
type fakeListener struct {
	net.Listener // Addr is not needed
	conns        chan net.Conn
	expired      chan struct{}
	over         chan struct{}
	setDeadline  func(time.Time) error
}

func newFakeListener() *fakeListener {
	f := &fakeListener{conns: make(chan net.Conn), expired: make(chan struct{}), over: make(chan struct{})}
	f.setDeadline = func(deadline time.Time) error {
		if !deadline.IsZero() {
			close(f.expired)
		}
		return nil
	}
	return f
}

func (f *fakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.expired:
		return nil, os.ErrDeadlineExceeded
	case <-f.over:
		return nil, errors.New("the test is over")
	}
}

// acceptOne is a server that accepts one connection, or none if the test is over, and goes away.
func (f *fakeListener) acceptOne(l net.Listener) {
	go func() {
		select {
		case f.conns <- nil:
		case <-f.over:
		}
	}()
	_, _ = l.Accept()
}

func (f *fakeListener) hang(time.Time) error          { <-f.over; return nil }
func (f *fakeListener) SetDeadline(d time.Time) error { return f.setDeadline(d) }
func (f *fakeListener) Close() error                  { return nil }
func (f *fakeListener) Addr() net.Addr                { return &net.TCPAddr{} }
func (f *fakeListener) end()                          { close(f.over) }
