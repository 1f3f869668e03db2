package shutdown_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// net/http calls Close of a listener with a lock held, so this is no test for a fake clock.
func TestCloseOfAListenerIsCalledUnderGuard(t *testing.T) {
	for way, misbehave := range waysToFail {
		t.Run("Close/"+way, func(t *testing.T) {
			release := makeRelease(t)
			gs := newService(t, shutdown.Grace(300*ms), shutdown.Tail(20*sec), shutdown.Linger(0))
			l := newListener()
			defer l.Close()
			flushed := gs.flushing()
			srv := &http.Server{Handler: answers("ok")}
			bad := &badListener{l, "Close", func() { misbehave(release) }}
			require.NoError(t, gs.GoHTTP("culprit", srv, bad))
			gs.start()
			c := l.dial(t)
			c.get("/")
			gs.Shutdown(nil)
			select {
			case <-gs.Done():
			case <-time.After(20 * sec): // far more than a slow machine needs
				t.Fatal("the stop goes on for ever")
			}
			assert.True(t, flushed.Load(), "PhaseFlush has not run")
			assert.NotEqual(t, shutdown.StateOK, row(t, gs.Report(), "culprit").State)
			if way == "hangs" {
				return // net/http waits for Accept to return before it closes connections
			}
			_ = c.SetReadDeadline(time.Now().Add(5 * sec)) // fails if it is closed already
			_, err := c.r.ReadByte()
			assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection was not cut\n%s", gs.Report())
		})
	}
}

// closingListener is of a type of which nothing is known but the interface. Its Close fails and
// does not end Accept, for which servers wait.
type closingListener struct {
	net.Listener
	close func()
}

func (l closingListener) Close() error { l.close(); return nil }

func TestServersDoNotWaitForAcceptOnceCloseHasFailed(t *testing.T) {
	said := map[string]string{"panics": "boom", "exits": "Goexit", "hangs": "Close of a"}
	for way, misbehave := range waysToFail {
		for kind, serve := range map[string]func(gs service, l net.Listener) error{
			"HTTP": func(gs service, l net.Listener) error {
				return gs.GoHTTP("api", &http.Server{Handler: answers("ok")}, l)
			},
			"HTTP in a later phase": func(gs service, l net.Listener) error {
				return gs.GoHTTP("admin", &http.Server{Handler: answers("ok")}, l,
					shutdown.InPhase(shutdown.PhaseStore))
			},
			"gRPC": func(gs service, l net.Listener) error { return gs.GoGRPC("rpc", newAcceptor(), l) },
		} {
			t.Run(kind+"/"+way, func(t *testing.T) {
				release := makeRelease(t)
				gs := newService(t, shutdown.Grace(30*sec), shutdown.Linger(0))
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer l.Close()
				require.NoError(t, serve(gs, closingListener{l, func() { misbehave(release) }}))
				gs.start()
				begun := time.Now()
				gs.Shutdown(nil)
				assert.ErrorContains(t, gs.Wait(), said[way])
				assert.Less(t, time.Since(begun), 20*sec, "it has waited for the end of Grace\n%s", gs.Report())
				if way == "panics" {
					_, ok := errors.AsType[*shutdown.PanicError](gs.Wait())
					assert.True(t, ok, "the stack is lost")
				}
			})
		}
	}
}

// An acceptor accepts as a gRPC server does: GracefulStop closes the listener and waits for Serve.
type acceptor struct {
	stopping chan struct{}
	served   chan struct{}
}

func newAcceptor() *acceptor {
	return &acceptor{stopping: make(chan struct{}), served: make(chan struct{})}
}

func (a *acceptor) Serve(l net.Listener) error {
	defer close(a.served)
	go func() {
		<-a.stopping
		_ = l.Close()
	}()
	for {
		if _, err := l.Accept(); err != nil {
			return nil
		}
	}
}

func (a *acceptor) GracefulStop() { close(a.stopping); <-a.served }
func (a *acceptor) Stop()         {}

func TestCloseOfARefusedListenerIsCalledUnderGuard(t *testing.T) {
	for name, begin := range map[string]func(gs service, l *badListener){
		"refused": func(gs service, l *badListener) {
			_ = gs.GoHTTP("", &http.Server{}, l)
		},
		"after the trigger": func(gs service, l *badListener) {
			gs.Shutdown(nil)
			_ = gs.GoHTTP("late", &http.Server{}, l)
		},
		"a stop before Start": func(gs service, l *badListener) {
			_ = gs.GoHTTP("api", &http.Server{}, l)
			gs.Shutdown(nil)
		},
		"a manager does not start": func(gs service, l *badListener) {
			_ = gs.GoHTTP("api", &http.Server{}, l)
			gs.managers(&manager{name: "m", start: func(context.Context, func(error)) error {
				return errTest
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachWayToFail(t, func(t *testing.T, _ string, misbehave func()) {
				gs := newService(t, shutdown.Grace(10*sec))
				var called atomic.Int32
				l := newListener()
				begun := time.Now()
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { assert.Nil(t, recover(), "the caller's goroutine panics") }()
					begin(gs, &badListener{l, "Close", func() { called.Add(1); misbehave() }})
				}()
				select {
				case <-done:
				case <-time.After(15 * sec):
					t.Error("GoHTTP does not return")
				}
				_ = gs.Run(t.Context())
				assert.LessOrEqual(t, time.Since(begun), 12*sec)
				assert.Positive(t, called.Load(), "the listener was not closed")
			})
		})
	}
}
