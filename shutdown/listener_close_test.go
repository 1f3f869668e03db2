package shutdown_test

import (
	"context"
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
			gs := newService(t, shutdown.Grace(300*ms), shutdown.Tail(300*ms), shutdown.Linger(0))
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
