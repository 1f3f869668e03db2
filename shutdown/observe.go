package shutdown

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/inorder"
	"github.com/gracekit/gracekit/internal/oneline"
)

// mostObserved is how many calls of an observer may wait. One that blocks must not fill the memory.
const mostObserved = 1 << 16

func (gs *GracefulShutdown) log(level slog.Level, message string, attrs ...slog.Attr) {
	if gs.logger != nil {
		gs.observed.Add(func() { gs.logger.LogAttrs(context.Background(), level, message, attrs...) })
	}
}

// observe tells the Logger and the ErrorHandler of err. text is its text as recorded.
func (gs *GracefulShutdown) observe(message, text string, err error) {
	gs.log(slog.LevelError, message, slog.String("error", text))
	gs.handleError(err)
}

func (gs *GracefulShutdown) handleError(err error) {
	if gs.errorHandler != nil {
		gs.observed.Add(func() { gs.errorHandler(err) })
	}
}

func (gs *GracefulShutdown) watchStep(s Step) {
	if gs.watch != nil {
		gs.watched.Add(func() { gs.watch(s) })
	}
}

// observerFailed returns a function that records the panics of an observer: the first ten, because
// it may panic at each call.
func (gs *GracefulShutdown) observerFailed(name string) func(error) {
	most := 10
	return func(err error) {
		if most--; most >= 0 {
			gs.end(-1, &step{name: name, stage: stage{kind: kindObservers}}, find(err, nil))
		}
	}
}

// observerSteps returns the last steps of a stop, in which the observers catch up. They are not
// called afterwards, because the program may close its log as soon as Wait returns. Watch gets
// little time: it shows progress, and nothing is lost without it.
func (gs *GracefulShutdown) observerSteps() []*step {
	flush := func(name string, q *inorder.Queue, timeout time.Duration) *step {
		return &step{
			name: name, stage: stage{kind: kindObservers}, timeout: timeout, quiet: true,
			run: func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				if !q.Close(time.Until(deadline)) {
					<-ctx.Done()
					return fmt.Errorf("%w, it has not returned", ErrTimeout)
				}
				return nil
			},
		}
	}
	return []*step{flush("Logger or ErrorHandler", &gs.observed, 0), flush("Watch", &gs.watched, cutTime)}
}

func (s *stop) tellEnd() {
	gs := s.gs
	if gs.logger == nil {
		return
	}
	report := gs.Report()
	level, message := slog.LevelInfo, "shutdown complete"
	if report.Failed() {
		level, message = slog.LevelError, "shutdown complete, with errors"
	}
	gs.log(level, message, slog.Any("report", report))
}

// tellProgress tells the Logger what the stop is waiting for, after a second and then every five,
// until end is called.
func (s *stop) tellProgress() (end func()) {
	if s.gs.logger == nil {
		return func() {}
	}
	over := make(chan struct{})
	go func() {
		for wait := time.Second; ; wait = 5 * time.Second {
			select {
			case <-over:
				return
			case <-time.After(wait):
				if waiting := s.gs.waiting(); waiting != "" {
					s.gs.log(slog.LevelInfo, waiting)
				}
			}
		}
	}()
	return func() { close(over) }
}

// waiting says what the stop is waiting for, such as "waiting for api: 3 requests on 2 connections,
// 12s of 25s"; it is empty if no step is in progress.
func (gs *GracefulShutdown) waiting() string {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if len(gs.running) == 0 {
		return ""
	}
	const most = 5
	var what []string
	for _, row := range slices.Sorted(maps.Keys(gs.running)) {
		t := gs.running[row]
		text := oneline.Escape(cmp.Or(t.name, t.stage.String()))
		if t.waitingFor != nil {
			text += ": " + t.waitingFor()
		}
		if what = append(what, text); len(what) == most {
			break
		}
	}
	if more := len(gs.running) - len(what); more > 0 {
		what = append(what, fmt.Sprintf("%d more", more))
	}
	_, grace, tail := gs.clock.ends()
	end := grace
	if time.Now().After(grace) {
		end = tail
	}
	return fmt.Sprintf("waiting for %s, %v of %v", strings.Join(what, "; "),
		time.Since(gs.report.Start).Round(time.Second), oneline.Round(end.Sub(gs.report.Start)))
}
