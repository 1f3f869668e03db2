package systemd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// watchdogTimeout returns WatchdogSec, or 0 if this process is not asked to ping:
// sd_watchdog_enabled(3).
func watchdogTimeout(usec, watchdogPID string, self int) (time.Duration, error) {
	if usec == "" {
		return 0, nil
	}
	const most = math.MaxInt64 / int64(time.Microsecond)
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > most {
		return 0, fmt.Errorf("systemd: WATCHDOG_USEC is %q, want a number of microseconds from 1 to %d", usec, most)
	}
	if watchdogPID != "" {
		pid, err := strconv.ParseInt(watchdogPID, 10, 32)
		if err != nil || pid <= 0 {
			return 0, fmt.Errorf("systemd: WATCHDOG_PID is %q, want a process ID", watchdogPID)
		}
		if int(pid) != self { // inherited from a parent that it was meant for
			return 0, nil
		}
	}
	return time.Duration(n) * time.Microsecond, nil
}

// A watchdog pings. It belongs to one goroutine.
type watchdog struct {
	address string
	timeout time.Duration
	check   func(context.Context) error // nil: every ping is sent

	running *guard.Call // a check that has not returned in its time
	failing bool
}

// run pings at once and then twice in each timeout, as sd_watchdog_enabled(3) recommends, until ctx
// ends. With a check that takes a quarter at most, two pings are never more than three quarters
// apart.
func (w *watchdog) run(ctx context.Context) {
	ticker := time.NewTicker(max(1, w.timeout/2))
	defer ticker.Stop()
	for {
		err := w.ask(ctx, w.timeout/4)
		if ctx.Err() != nil {
			return
		}
		if state := w.state(err); state != "" {
			_ = send(ctx, w.address, w.timeout/4, state) // the next one comes soon, and systemd says so if none does
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// state returns what to say after a check.
func (w *watchdog) state(err error) string {
	was := w.failing
	w.failing = err != nil
	switch {
	case w.failing && !was:
		return statusLine("Watchdog ping withheld: "+reasonText(err)) + "\n"
	case w.failing:
		return ""
	case was:
		return "WATCHDOG=1\n" + statusLine("Watchdog check passes again") + "\n"
	}
	return "WATCHDOG=1\n"
}

var (
	errCheckTimeout = errors.New("the check takes too long")
	errCheckRuns    = errors.New("the check has not returned")
	errCheckExited  = errors.New("the check called runtime.Goexit")
)

// ask calls check in a goroutine of its own, which ends when check returns, and waits for it until
// limit is over or ctx ends. When limit is over, a check that obeys its context gets a moment more
// to say why.
func (w *watchdog) ask(ctx context.Context, limit time.Duration) error {
	if w.check == nil {
		return nil
	}
	if w.running != nil {
		if !w.running.WaitFor(0) {
			return errCheckRuns
		}
		w.running = nil // it came too late, which was said
	}
	checkCtx, cancel := context.WithTimeoutCause(ctx, limit, errCheckTimeout)
	defer cancel()
	call := guard.Go(checkCtx, "shutdown/systemd/watchdog", func() error {
		return w.check(checkCtx)
	})
	select {
	case <-call.Done():
	case <-checkCtx.Done():
		if ctx.Err() != nil || !call.WaitFor(min(guard.Notice, limit)) {
			w.running = call
			return context.Cause(checkCtx)
		}
	}
	err := call.Err()
	if err == guard.ErrExited { // guard never wraps it, and Is is user code
		return errCheckExited
	}
	if err == nil {
		err = context.Cause(checkCtx) // nil unless it was too late
	}
	return err
}
