package shutdown_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// A connection that has made a request and is silent from then on is waited for.
func TestLingerOfASilentConnection(t *testing.T) {
	tests := []struct {
		name    string
		options []shutdown.Option
		linger  time.Duration
	}{
		{"by default", nil, 500 * ms},
		{"in full", []shutdown.Option{shutdown.Linger(5 * sec)}, 5 * sec},
		{"not at all", []shutdown.Option{shutdown.Linger(0)}, 0},
		{
			"not after a Delay that was longer",
			[]shutdown.Option{shutdown.Delay(2 * sec), shutdown.Linger(sec)}, 0,
		},
		{
			"for the rest after a Delay that was shorter",
			[]shutdown.Option{shutdown.Delay(sec), shutdown.Linger(3 * sec)}, 2 * sec,
		},
		{
			"for half of what is left of Grace",
			[]shutdown.Option{
				shutdown.Grace(10 * sec), shutdown.Delay(4 * sec), shutdown.Linger(time.Hour),
			},
			3 * sec,
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			gs := newService(t, tt.options...)
			l := gs.serveInMemory(&http.Server{Handler: answers("ok")})
			gs.start()
			c := l.dial(t)
			c.get("/")
			synctest.Wait()
			took, err := gs.timedStop()
			require.NoError(t, err)
			assert.Equal(t, tt.linger, lingered(gs.Report()))
			assert.Equal(t, delayed(gs.Report())+tt.linger, took)
			c.expectClosed()
		})
	}
}

func TestLingerEndsWithTheLastConnection(t *testing.T) {
	bubble(t, "that makes its last request during Delay", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec), shutdown.Linger(5*sec))
		l := gs.serveInMemory(&http.Server{Handler: answers("ok")})
		gs.start()
		c := l.dial(t)
		require.False(t, c.get("/"))
		gs.Shutdown(nil)
		synctest.Wait()
		require.True(t, c.get("/"))
		require.NoError(t, gs.Wait())
		assert.Equal(t, sec, gs.Report().Total)
		assert.Zero(t, lingered(gs.Report()))
	})
	bubble(t, "that makes its last request during Linger", func(t *testing.T) {
		gs := newService(t, shutdown.Delay(sec), shutdown.Linger(5*sec))
		l := gs.serveInMemory(&http.Server{Handler: answers("ok")})
		gs.start()
		a, b := l.dial(t), l.dial(t)
		a.get("/")
		b.get("/")
		gs.Shutdown(nil)
		time.Sleep(2 * sec)
		require.True(t, a.get("/"))
		time.Sleep(sec)
		require.True(t, b.get("/"))
		require.NoError(t, gs.Wait())
		assert.Equal(t, 3*sec, gs.Report().Total)
		assert.Equal(t, 2*sec, lingered(gs.Report()))
	})
	// The header of its response went out before the trigger, so the next response says close.
	bubble(t, "that is in the midst of a response", func(t *testing.T) {
		gs := newService(t, shutdown.Linger(5*sec))
		goOn := make(chan struct{})
		l := gs.serveInMemory(&http.Server{Handler: http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stream" {
					fmt.Fprint(w, "first ")
					w.(http.Flusher).Flush()
					<-goOn
					fmt.Fprint(w, "second")
					w.Header().Set(http.TrailerPrefix+"Sum", "x")
				}
			})})
		gs.start()
		c := l.dial(t)
		c.send("/stream")
		resp, err := http.ReadResponse(c.r, nil)
		require.NoError(t, err)
		first := make([]byte, 6)
		_, err = io.ReadFull(resp.Body, first)
		require.NoError(t, err)
		gs.Shutdown(nil)
		time.Sleep(sec)
		close(goOn)
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "first second", string(first)+string(rest))
		assert.Equal(t, "x", resp.Trailer.Get("Sum"))
		time.Sleep(sec)
		assert.True(t, c.get("/"))
		require.NoError(t, gs.Wait())
		assert.Equal(t, 2*sec, gs.Report().Total, "%s", gs.Report())
	})
}

func TestLingerIsNotForHijackedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Linger(5*sec))
		l := gs.serveInMemory(&http.Server{Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				hijacked, _, _ := http.NewResponseController(w).Hijack()
				t.Cleanup(func() { _ = hijacked.Close() })
				_, _ = io.WriteString(hijacked, "hijacked\n")
			})})
		gs.start()
		c := l.dial(t)
		c.send("/")
		require.Equal(t, "hijacked\n", c.receiveLine())
		synctest.Wait()
		took, err := gs.timedStop()
		require.NoError(t, err)
		assert.Zero(t, took)
	})
}

func TestRequestThatTakesLongerThanLingerIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Linger(sec))
		l := gs.serveInMemory(&http.Server{Handler: http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(9 * sec)
				assert.NoError(t, r.Context().Err())
				fmt.Fprint(w, "late")
			})})
		gs.start()
		c := l.dial(t)
		c.send("/")
		synctest.Wait()
		gs.Shutdown(nil)
		resp, body := c.receive()
		assert.True(t, resp.Close)
		assert.Equal(t, "late", body)
		require.NoError(t, gs.Wait())
		assert.LessOrEqual(t, gs.Report().Total, 10*sec)
	})
}

func TestConnectionThatWasNeverUsedDoesNotHoldTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Linger(sec))
		l := gs.serveInMemory(&http.Server{Handler: answers("ok")})
		gs.start()
		l.dial(t)
		synctest.Wait()
		require.NoError(t, gs.stop())
		assert.LessOrEqual(t, gs.Report().Total, 25*sec)
	})
}

func TestConnStateThatHangsDoesNotHoldTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newService(t, shutdown.Grace(10*sec), shutdown.Linger(sec))
		release := make(chan struct{})
		defer close(release)
		l := gs.serveInMemory(&http.Server{
			Handler: answers("ok"),
			ConnState: func(_ net.Conn, s http.ConnState) {
				if s == http.StateIdle {
					<-release
				}
			},
		})
		gs.start()
		l.dial(t).get("/")
		synctest.Wait()
		_ = gs.stop()
		assert.LessOrEqual(t, gs.Report().Total, 12*sec)
	})
}
