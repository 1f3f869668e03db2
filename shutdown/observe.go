package shutdown

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
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
			gs.end(&step{name: name, stage: stage{kind: kindObservers}}, find(err, nil))
		}
	}
}

// observerSteps returns the last steps of a stop, in which the observers catch up. They are not
// called afterwards, because the program may close its log as soon as Wait returns. Watch gets
// little time: it shows progress, and nothing is lost without it.
func (gs *GracefulShutdown) observerSteps() []*step {
	flush := func(name string, q *inorder.Queue, timeout time.Duration) *step {
		return &step{
			name: name, stage: stage{kind: kindObservers}, timeout: timeout,
			run: func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				if !q.Close(time.Until(deadline)) {
					if q.InProgress() < timeout/2 {
						return nil // Watch is slow, but does not hang
					}
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
	report := s.gs.Report()
	level, message := slog.LevelInfo, "shutdown complete"
	if report.Failed() {
		level, message = slog.LevelError, "shutdown complete, with errors"
	}
	s.gs.log(level, message, slog.Any("report", report))
}

// tellProgress tells the Logger what the stop is waiting for, after a second and then every five.
func (s *stop) tellProgress() {
	if waiting := s.gs.waiting(); waiting != "" {
		s.gs.log(slog.LevelInfo, waiting)
	}
	s.progress.Reset(5 * time.Second)
}

// waiting says what the stop is waiting for, such as "waiting for api: 3 requests on 2 connections,
// 12s of 25s"; it is empty if no step is in progress.
func (gs *GracefulShutdown) waiting() string {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	const most = 5
	var what []string
	more := 0
	for i, t := range gs.rows {
		if gs.report.Steps[i].State != StateRunning {
			continue
		}
		if len(what) == most {
			more++
			continue
		}
		text := oneline.Escape(cmp.Or(t.name, t.stage.String()))
		if t.waitingFor != nil {
			text += ": " + t.waitingFor()
		}
		what = append(what, text)
	}
	if len(what) == 0 {
		return ""
	}
	if more > 0 {
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
