package main

import (
	"errors"
	"log/slog"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
)

// runAsService runs the service if Windows has started this process as one, and returns when it has
// stopped. It asks by trying: svc.IsWindowsService goes by the session of the parent, which wine
// does not have.
func runAsService(log *slog.Logger, addr string) (asService bool, err error) {
	h := &handler{log: log, addr: addr}
	err = svc.Run("", h) // the name does not matter for a process with one service
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return false, nil
	}
	return true, errors.Join(err, h.err)
}

type handler struct {
	log  *slog.Logger
	addr string
	err  error
}

// failed is the exit code of a service that did not start, or did not stop cleanly: one of its own,
// which Windows keeps apart from those of the system. "sc query" shows it.
const failed = 1

// Execute is called by package svc, in a goroutine of its own. When it returns, Windows is told
// that the service has stopped.
func (h *handler) Execute(
	_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status,
) (ownCode bool, code uint32) {
	controls, done := make(chan control), make(chan struct{})
	defer close(done)
	go translate(requests, controls, done)
	m := newManager(controls, func(s status) { changes <- s.forWindows() })
	if h.err = serve(h.log, h.addr, m, m.ready); h.err != nil {
		h.log.Error("the service has failed", "error", h.err)
		return true, failed
	}
	return false, 0
}

// translate ends when done is closed.
func translate(requests <-chan svc.ChangeRequest, controls chan<- control, done <-chan struct{}) {
	known := map[svc.Cmd]control{
		svc.Interrogate: interrogate, svc.Stop: stopControl,
		svc.PreShutdown: preShutdown, svc.Shutdown: windowsShutdown,
	}
	for {
		select {
		case <-done:
			return
		case r := <-requests:
			if c, ok := known[r.Cmd]; ok {
				select {
				case controls <- c:
				case <-done:
					return
				}
			}
		}
	}
}

// forWindows accepts a stop as soon as the service has begun to start: one that hangs while it
// starts could not be stopped otherwise. A service that accepts PreShutdown gets no Shutdown.
func (s status) forWindows() svc.Status {
	states := [...]svc.State{svc.StartPending, svc.Running, svc.StopPending}
	status := svc.Status{
		State: states[s.state], CheckPoint: s.checkPoint,
		WaitHint: uint32(s.waitHint.Milliseconds()),
	}
	if s.state != stopPending {
		status.Accepts = svc.AcceptStop | svc.AcceptPreShutdown
	}
	return status
}
