package main

import (
	"context"
	"errors"
	"time"

	"github.com/gracekit/gracekit/shutdown"
)

// A manager makes Windows's Service Control Manager (SCM) ask for the stop, and tells it how far
// the start and the stop have come. It knows nothing of Windows, so that it is tested on any
// system; service_windows.go connects it.
type manager struct {
	controls <-chan control
	tell     func(status)  // called by one goroutine
	states   chan state    // to that goroutine
	ended    chan struct{} // closed when it has ended
}

// A control is what the SCM says.
type control int

const (
	interrogate     control = iota // it wants to hear the status again
	stopControl                    // "sc stop", or the Services window
	preShutdown                    // Windows ends, and this service goes first
	windowsShutdown                // Windows ends
)

// A status is what the SCM is told.
type status struct {
	state      state
	checkPoint uint32        // goes up while something is pending: a sign of life
	waitHint   time.Duration // how long it may take until the next sign
}

type state int

const (
	startPending state = iota
	running
	stopPending
)

const (
	// signOfLife is how often the SCM hears of what is pending. It takes a service that says
	// nothing for as long as its wait hint for one that hangs.
	signOfLife = time.Second

	// Windows waits so long, less a second to be sure, if nobody has changed it: 10s after
	// PreShutdown (since Windows 10, version 1703; three minutes before), 5s after Shutdown
	// (WaitToKillServiceTimeout). See "SERVICE_PRESHUTDOWN_INFO" and "HandlerEx" in Microsoft's
	// documentation.
	preShutdownTime     = 9 * time.Second
	windowsShutdownTime = 4 * time.Second
)

var (
	errStopControl     = errors.New("stopped by the Service Control Manager")
	errWindowsShutdown = errors.New("the system shuts down")
)

func newManager(controls <-chan control, tell func(status)) *manager {
	return &manager{
		controls: controls, tell: tell, states: make(chan state), ended: make(chan struct{}),
	}
}

func (*manager) Name() string { return "scm" }

// Start tells the SCM that the service starts. The goroutine ends with ctx, when the stop is
// complete.
func (m *manager) Start(ctx context.Context, request func(reason error)) error {
	go func() {
		defer close(m.ended)
		m.run(ctx, request)
	}()
	return nil
}

func (m *manager) run(ctx context.Context, request func(reason error)) {
	ticker := time.NewTicker(signOfLife)
	defer ticker.Stop()
	s := pending(startPending)
	m.tell(s)
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-m.controls:
			switch c {
			case interrogate:
				m.tell(s)
			case stopControl:
				request(errStopControl)
			case preShutdown:
				request(shutdown.Before(time.Now().Add(preShutdownTime), errWindowsShutdown))
			case windowsShutdown:
				request(shutdown.Before(time.Now().Add(windowsShutdownTime), errWindowsShutdown))
			}
		case next := <-m.states:
			if next <= s.state { // the stop began while the service was starting
				continue
			}
			if s = (status{state: next}); next != running {
				s = pending(next)
			}
			m.tell(s)
		case <-ticker.C:
			if s.state != running {
				s.checkPoint++
				m.tell(s)
			}
		}
	}
}

func pending(s state) status { return status{state: s, checkPoint: 1, waitHint: 5 * signOfLife} }

// ready tells the SCM that the service runs: "sc start", and services that depend on this one, wait
// for that.
func (m *manager) ready() { m.set(running) }

// ShutdownStart tells the SCM that the service stops, whoever has asked for it.
func (m *manager) ShutdownStart(context.Context, error) error {
	m.set(stopPending)
	return nil
}

func (m *manager) set(s state) {
	select {
	case m.states <- s:
	case <-m.ended:
	}
}

// Release returns when the SCM is told nothing more: what follows is that the service has stopped.
func (m *manager) Release() { <-m.ended }
