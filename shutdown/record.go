package shutdown

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// What a stop writes down and says while it runs.

func (gs *GracefulShutdown) setReport(set func(*Report)) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	set(&gs.report)
}

// begin adds t to the report and returns its row.
func (gs *GracefulShutdown) begin(t task) (row int) {
	gs.setReport(func(r *Report) {
		row = len(r.Callbacks)
		r.Callbacks = append(r.Callbacks, CallbackReport{Name: t.name, Phase: t.phase, State: StateRunning, Start: time.Since(r.Start)})
	})
	return row
}

func (gs *GracefulShutdown) end(row int, state State, err error) {
	gs.setReport(func(r *Report) {
		c := &r.Callbacks[row]
		c.State, c.Err = state, err
		c.Duration = time.Since(r.Start) - c.Start
	})
	if _, ok := err.(*ComponentError); err != nil && !ok { //nolint:errorlint // a component has spoken when it failed
		gs.observeError("shutdown callback failed", err)
	}
}

// keepStacks keeps the stacks of all goroutines at the first timeout; the later ones are consequences of it as often as not.
func (gs *GracefulShutdown) keepStacks() {
	gs.mu.Lock()
	have := gs.report.Stacks != nil
	gs.mu.Unlock()
	if have {
		return
	}
	stacks := allStacks()
	gs.setReport(func(r *Report) {
		if r.Stacks == nil {
			r.Stacks = stacks
		}
	})
}

func allStacks() []byte {
	const most = 16 << 20 // bytes; a service with more than some 10,000 goroutines gets a part
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) || len(buf) >= most {
			return buf[:n:n]
		}
		buf = make([]byte, 2*len(buf))
	}
}

func (gs *GracefulShutdown) logTrigger(reason error, manager string) {
	if gs.logger == nil {
		return
	}
	gs.observer.notify(func() {
		gs.logger.Info("shutdown begins", slog.String("reason", reason.Error()), slog.String("manager", manager))
	})
}

func (gs *GracefulShutdown) logEnd(report Report) {
	if gs.logger == nil {
		return
	}
	level, message := slog.LevelInfo, "shutdown complete"
	if report.Failed() {
		level, message = slog.LevelError, "shutdown complete, with errors"
	}
	gs.observer.notify(func() { gs.logger.Log(context.Background(), level, message, slog.Any("report", report)) })
}

func (gs *GracefulShutdown) observeError(message string, err error) {
	if gs.logger != nil {
		gs.observer.notify(func() { gs.logger.Error(message, slog.Any("error", err)) })
	}
	if gs.errorHandler != nil {
		gs.observer.notify(func() { gs.errorHandler(err) })
	}
}

// An observer calls the Logger and the ErrorHandler in the order of what happened, from one goroutine at a time, without
// anybody waiting for them. The goroutine ends when there is nothing more to say.
type observer struct {
	mu     sync.Mutex
	queue  []func()
	idle   chan struct{} // closed when the queue is empty; nil before the first notify
	busy   bool
	closed bool
	kept   []error // what is in no report
}

func (o *observer) notify(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.queue = append(o.queue, f)
	if !o.busy {
		o.busy, o.idle = true, make(chan struct{})
		go o.drain()
	}
}

func (o *observer) drain() {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 {
			o.busy = false
			close(o.idle)
			o.mu.Unlock()
			return
		}
		f := o.queue[0]
		o.queue = o.queue[1:]
		o.mu.Unlock()

		protect(func() error { f(); return nil }, func(err error) {
			if err != nil {
				o.keep(fmt.Errorf("shutdown: Logger or ErrorHandler: %w", err))
			}
			if err == errGoexit { //nolint:errorlint // our own, never wrapped
				go o.drain() // this goroutine is on its way out
			}
		})
	}
}

// close waits until everything is said, but not beyond latest. After it nothing is said any more: whoever waited for the stop may have
// closed the log.
func (o *observer) close(latest time.Time) {
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	if idle != nil {
		await(idle, time.Until(latest))
	}
	o.mu.Lock()
	o.closed, o.queue = true, nil
	o.mu.Unlock()
}

// keep adds an error that Wait returns although it is in no report.
func (o *observer) keep(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, err)
}

func (o *observer) keptErrors() []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept
}
