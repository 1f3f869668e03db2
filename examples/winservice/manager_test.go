package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
)

// An scm plays the part of Windows.
type scm struct {
	controls chan control
	told     []status
}

func newSCM() (*scm, *manager) {
	s := &scm{controls: make(chan control)}
	return s, newManager(s.controls, func(st status) { s.told = append(s.told, st) })
}

func TestConformance(t *testing.T) {
	shutdowntest.Manager(t, func() shutdown.Manager { _, m := newSCM(); return m })
}

func TestStatusOfAStartAndAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		windows, m := newSCM()
		gs := shutdown.New()
		require.NoError(t, gs.AddManager(m))
		require.NoError(t, gs.AddCallback(shutdown.Callback{Name: "work", Func: func(context.Context) error {
			time.Sleep(2200 * time.Millisecond)
			return nil
		}}))
		require.NoError(t, gs.Start(t.Context()))
		time.Sleep(1500 * time.Millisecond)
		m.ready()
		time.Sleep(10 * time.Second)
		windows.controls <- interrogate
		windows.controls <- stopControl
		windows.controls <- stopControl // again, by somebody who does not want to wait
		require.NoError(t, gs.Wait())
		assert.Equal(t, []status{
			{startPending, 1, 5 * time.Second},
			{startPending, 2, 5 * time.Second},
			{state: running},
			{state: running}, // interrogated
			{stopPending, 1, 5 * time.Second},
			{stopPending, 2, 5 * time.Second},
			{stopPending, 3, 5 * time.Second},
		}, windows.told)
		assert.Equal(t, "scm", gs.Report().Manager)
		assert.ErrorIs(t, gs.Report().Reason, errStopControl)
	})
}

// The stop is over before Windows ends the process.
func TestTimeThatWindowsLeaves(t *testing.T) {
	for _, tt := range []struct {
		name    string
		control control
		most    time.Duration
	}{
		{"the end of Windows", windowsShutdown, 5 * time.Second},
		{"before the end of Windows", preShutdown, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				windows, m := newSCM()
				gs := shutdown.New(shutdown.Grace(time.Minute))
				require.NoError(t, gs.AddManager(m))
				hang := shutdown.Callback{Name: "hangs", Func: func(ctx context.Context) error {
					<-ctx.Done()
					return context.Cause(ctx)
				}}
				require.NoError(t, gs.AddCallback(hang))
				require.NoError(t, gs.Start(t.Context()))
				windows.controls <- tt.control
				require.Error(t, gs.Wait())
				assert.Less(t, gs.Report().Total, tt.most)
				assert.Greater(t, gs.Report().Total, tt.most/2)
			})
		})
	}
}

func TestStopWhileStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		windows, m := newSCM()
		gs := shutdown.New()
		require.NoError(t, gs.AddManager(m))
		require.NoError(t, gs.Start(t.Context()))
		gs.Shutdown(errors.New("the database is gone"))
		require.NoError(t, gs.Wait())
		m.ready() // too late
		for _, s := range windows.told {
			assert.NotEqual(t, running, s.state)
		}
	})
}

func TestServe(t *testing.T) {
	windows, m := newSCM()
	served := make(chan error, 1)
	isReady := make(chan struct{})
	const addr = "127.0.0.1:0"
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	go func() { served <- serve(log, addr, m, func() { m.ready(); close(isReady) }) }()
	<-isReady
	windows.controls <- stopControl
	require.NoError(t, <-served)

	_, m = newSCM()
	require.Error(t, serve(log, "no address", m, nil))
	assert.HTTPBodyContains(t, newHandler().ServeHTTP, http.MethodGet, "/", nil, "hello")
}
