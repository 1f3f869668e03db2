package shutdown_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// progressOf returns what the log says of a stop's progress.
func progressOf(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		if _, text, ok := strings.Cut(line, `level=INFO msg="waiting for `); ok {
			lines = append(lines, strings.TrimSuffix(strings.TrimSpace(text), `"`))
		}
	}
	return lines
}

// After a second and then every five, the Logger is told what is still waited for.
func TestProgress(t *testing.T) {
	tests := []struct {
		name    string
		options []shutdown.Option
		begin   func(gs service)
		want    []string
	}{
		{"a stop of less than a second", nil, func(gs service) {
			gs.callback("c", 100, sleep(999*ms))
		}, nil},
		{"a callback", nil, func(gs service) {
			gs.callback("mysql", shutdown.PhaseStore, sleep(12*sec))
		}, []string{"mysql, 1s of 25s", "mysql, 6s of 25s", "mysql, 11s of 25s"}},
		{"several", nil, func(gs service) {
			gs.callback("a", 100, sleep(3*sec))
			gs.callback("b", 100, sleep(8*sec))
		}, []string{"a; b, 1s of 25s", "b, 6s of 25s"}},
		{"each phase", nil, func(gs service) {
			gs.callback("a", 100, sleep(4*sec))
			gs.callback("b", 200, sleep(4*sec))
		}, []string{"a, 1s of 25s", "b, 6s of 25s"}},
		{"many", nil, func(gs service) {
			for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
				gs.callback(name, 100, sleep(3*sec))
			}
		}, []string{"a; b; c; d; e; 2 more, 1s of 25s"}},
		{"a component", nil, func(gs service) {
			gs.component("consumer", func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(2 * sec)
				return nil
			})
		}, []string{"consumer, 1s of 25s"}},
		{"Delay", []shutdown.Option{shutdown.Delay(7 * sec)}, func(service) {},
			[]string{"delay, 1s of 25s", "delay, 6s of 25s"}},
		{"a hook", nil, func(gs service) {
			gs.managers(&manager{name: "consul", begin: func(context.Context, error) error {
				time.Sleep(2 * sec)
				return nil
			}})
		}, []string{"consul, 1s of 25s"}},
		{
			"Tail", []shutdown.Option{shutdown.Grace(4 * sec), shutdown.Tail(10 * sec)},
			func(gs service) {
				gs.callback("hung", 100, hanging(gs.t))
				gs.callback("flush", shutdown.PhaseFlush, sleep(3*sec))
			}, []string{"hung, 1s of 4s", "flush, 6s of 14s"},
		},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			var log strings.Builder
			gs := newService(t, append(tt.options, shutdown.Logger(textLogger(&log)))...)
			tt.begin(gs)
			gs.start()
			synctest.Wait()
			_ = gs.stop()
			assert.Equal(t, tt.want, progressOf(log.String()), log.String())
		})
	}
}

// For an HTTP server it is told how much is in flight.
func TestProgressOfAServer(t *testing.T) {
	for n, want := range map[int]string{
		1: "api: 1 request on 1 connection, 1s of 25s",
		3: "api: 3 requests on 3 connections, 1s of 25s",
	} {
		bubble(t, want, func(t *testing.T) {
			var log strings.Builder
			gs := newService(t, shutdown.Linger(0), shutdown.Logger(textLogger(&log)))
			l := newListener()
			srv := &http.Server{Handler: http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) { time.Sleep(4 * sec) })}
			require.NoError(t, gs.GoHTTP("api", srv, l))
			gs.start()
			for range n {
				c := l.dial(t)
				c.send("/")
				go c.receive()
			}
			synctest.Wait()
			require.NoError(t, gs.stop())
			assert.Equal(t, []string{want}, progressOf(log.String()), log.String())
		})
	}
	bubble(t, "HTTP/2: several requests on one connection", func(t *testing.T) {
		var log strings.Builder
		gs := newService(t, shutdown.Linger(0), shutdown.Logger(textLogger(&log)))
		_, post := serveHTTP2(t, gs)
		require.NoError(t, post(0))
		for range 3 {
			go func() { assert.NoError(t, post(4*sec)) }()
		}
		synctest.Wait()
		require.NoError(t, gs.stop())
		assert.Equal(t, []string{"api: 3 requests on 1 connection, 1s of 25s"},
			progressOf(log.String()), log.String())
	})
	bubble(t, "an idle connection is no request", func(t *testing.T) {
		var log strings.Builder
		gs := newService(t, shutdown.Linger(2*sec), shutdown.Logger(textLogger(&log)))
		l := newListener()
		require.NoError(t, gs.GoHTTP("api", &http.Server{Handler: answers("ok")}, l))
		gs.start()
		l.dial(t).get("/")
		synctest.Wait()
		require.NoError(t, gs.stop())
		lines := progressOf(log.String())
		require.Len(t, lines, 1)
		assert.NotContains(t, lines[0], "request")
	})
}

// Names and counts are bounded: one line, whatever is waited for.
func TestProgressOfManyIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		gs := newService(t, shutdown.Logger(textLogger(&log)))
		for i := range 1000 {
			gs.callback(fmt.Sprintf("tenant\n%d\x1b[2J", i), 100, sleep(2*sec))
		}
		require.NoError(t, gs.stop())
		lines := progressOf(log.String())
		require.Len(t, lines, 1)
		assert.Less(t, len(lines[0]), 2000)
		assert.NotContains(t, lines[0], `\u001b[2J`)
		assert.Contains(t, lines[0], "1s of 25s")
	})
}

// The line is told during Hurry and Before with the end that holds then.
func TestProgressFollowsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		gs := newService(t, shutdown.Logger(textLogger(&log)))
		gs.callback("work", shutdown.PhaseWork, sleep(8*sec))
		gs.start()
		gs.Shutdown(nil)
		time.Sleep(2 * sec)
		gs.Shutdown(shutdown.Before(time.Now().Add(10*sec), nil))
		require.NoError(t, gs.Wait())
		assert.Equal(t, []string{"work, 1s of 25s", "work, 6s of 10s"}, progressOf(log.String()))
	})
}
