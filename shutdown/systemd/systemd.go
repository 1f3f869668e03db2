package systemd

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/gracekit/gracekit/shutdown"
)

// New returns a manager that tells systemd that the service lives and, at the trigger, that it
// stops and how long it still needs. It never asks for the shutdown: systemd does that by SIGTERM,
// for which there is package posixsignal. It does not say that the service is ready, because only
// the service knows; that is [Ready].
//
// Without NOTIFY_SOCKET it does nothing. A NOTIFY_SOCKET (one of the kind vsock, too),
// WATCHDOG_USEC or WATCHDOG_PID that it cannot use is an error of
// [shutdown.GracefulShutdown.Start]. Later, a socket that is gone, or that nobody reads, holds
// nothing up: what systemd has not taken by the end of the stop, STOPPING=1, is an error in the
// report.
//
// It runs one goroutine for the watchdog, from Start to the trigger, if WatchdogSec is set; and one
// for the time of the stop, from the trigger to the end of the stop. A manager is for one
// GracefulShutdown.
func New(opts ...Option) shutdown.Manager {
	m := &manager{}
	for _, o := range opts {
		if o != nil {
			o.apply(m)
		}
	}
	return m
}

type manager struct {
	check func(context.Context) error

	// Set by Start, which comes before the hooks.
	address   string // empty without a service manager
	lifetime  context.Context
	stopPings func() // returns when no ping can follow any more

	stoppingTaken atomic.Bool // systemd has STOPPING=1
}

func (*manager) Name() string { return "systemd" }

func (m *manager) Start(ctx context.Context, _ func(reason error)) error {
	address, err := notifyAddress(os.Getenv("NOTIFY_SOCKET"))
	if err != nil || address == "" {
		return err
	}
	timeout, err := watchdogTimeout(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"), os.Getpid())
	if err != nil {
		return err
	}
	m.address, m.lifetime, m.stopPings = address, ctx, func() {}
	if timeout > 0 {
		m.startPings(ctx, timeout)
	}
	return nil
}

func (m *manager) startPings(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	m.stopPings = func() {
		cancel()
		<-ended
	}
	go func() {
		defer close(ended)
		defer cancel()
		w := watchdog{address: m.address, timeout: timeout, check: m.check}
		w.run(ctx)
	}()
}

const (
	// extendBy is for how long each EXTEND_TIMEOUT_USEC asks, extendEvery how often it is repeated:
	// systemd kills a process that hangs as a whole within extendBy, and one that is only slow may
	// be late by half of it.
	extendBy    = 10 * time.Second
	extendEvery = extendBy / 2

	// stoppingWait is how long a stop waits for a full socket. PID 1 reads at once unless something
	// is wrong, and the message is repeated.
	stoppingWait = 100 * time.Millisecond
)

// ShutdownStart says STOPPING=1. If that is not taken, it is said again with each extension.
func (m *manager) ShutdownStart(ctx context.Context, reason error) error {
	if m.address == "" {
		return nil
	}
	m.stopPings()

	status := statusLine("Stopping: " + reasonText(reason))
	deadline := shutdown.StopDeadline(ctx)
	_ = m.sayStopping(ctx, status, deadline)
	go m.extend(status, deadline)
	return nil
}

// extend asks for more time until the stop is complete, and never beyond deadline.
func (m *manager) extend(status string, deadline time.Time) {
	ticker := time.NewTicker(extendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-m.lifetime.Done():
			return
		case <-ticker.C:
			if !time.Now().Before(deadline) {
				return
			}
			_ = m.sayStopping(m.lifetime, status, deadline)
		}
	}
}

// sayStopping sends one datagram, so that the extension counts for the state that STOPPING=1 leads
// to.
func (m *manager) sayStopping(ctx context.Context, status string, deadline time.Time) error {
	var state string
	if !m.stoppingTaken.Load() {
		state = "STOPPING=1\n" + status + "\n"
	}
	if left := min(extendBy, time.Until(deadline)).Microseconds(); left > 0 {
		state += fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\n", left)
	}
	if state == "" {
		return nil
	}
	err := send(ctx, m.address, stoppingWait, state)
	if err == nil {
		m.stoppingTaken.Store(true)
	}
	return err
}

// ShutdownFinish tries a last time to say STOPPING=1, if that was in vain before, and returns the
// error if it still is.
func (m *manager) ShutdownFinish(ctx context.Context, _ shutdown.Report) error {
	if m.address == "" || m.stoppingTaken.Load() {
		return nil
	}
	status := statusLine("Stopping: " + reasonText(shutdown.Reason(ctx)))
	return m.sayStopping(ctx, status, shutdown.StopDeadline(ctx))
}
