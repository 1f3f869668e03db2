package shutdown

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/oneline"
)

// A Step is one thing that a stop has done or is doing: a callback, the drain of a server, the wait
// for a component, a manager's hook, Delay, Linger. Abandoned and skipped steps are included.
//
// The stages are, in order, "start" (ShutdownStart), "delay", "close" (listeners stop accepting),
// "linger", the phases, "finish" (ShutdownFinish), and, only if they fail, "release" (Release) and
// "observers" (Logger, ErrorHandler and Watch catch up).
type Step struct {
	Name     string        // "mysql"; empty for "delay", "close" and "linger"
	Stage    string        // its name, or that of the Phase
	Phase    Phase         // 0 outside of the phases
	State    State         // how it ended
	Start    time.Duration // after the trigger
	Duration time.Duration // 0 while it is running
	Err      error         // nil, a *CallbackError or a *ComponentError

	text string // of the error that Err wraps, as it was recorded
}

// State is the outcome of a [Step].
type State string

// The states of a step.
const (
	StateRunning State = "running" // only while the stop is in progress
	StateOK      State = "ok"
	StateError   State = "error"
	StatePanic   State = "panic"
	StateTimeout State = "timeout" // abandoned at its deadline, or returned an error after it
	StateSkipped State = "skipped" // not called: neither Grace nor Tail had any time left
)

// MarshalJSON gives durations as milliseconds, and Err as its text.
func (s Step) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name     string  `json:"name,omitempty"`
		Stage    string  `json:"stage"`
		Phase    Phase   `json:"phase,omitempty"`
		State    State   `json:"state"`
		Start    float64 `json:"startMs"`
		Duration float64 `json:"durationMs"`
		Err      string  `json:"error,omitempty"`
	}{s.Name, s.stage(), s.Phase, s.State, milliseconds(s.Start), milliseconds(s.Duration), s.errText()})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (s Step) outcome() string {
	if text := s.errText(); text != "" {
		return string(s.State) + ": " + oneline.First(text)
	}
	return string(s.State)
}

// errText and stage also work for a Step that a user has made.
func (s Step) errText() string {
	if s.text != "" {
		return s.text
	}
	switch err := s.Err.(type) { // the row has the name and the stage already
	case nil:
		return ""
	case *CallbackError:
		return guard.Text(err.Err)
	case *ComponentError:
		return guard.Text(err.Err)
	default:
		return guard.Text(err)
	}
}

func (s Step) stage() string {
	if s.Stage == "" && s.Phase > 0 {
		return s.Phase.String()
	}
	return s.Stage
}

// addRow adds a row for t, which begins now, to the report.
func (gs *GracefulShutdown) addRow(t *step) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	s := Step{Name: t.name, Stage: t.stage.String(), Phase: t.stage.phase, State: StateRunning}
	if gs.isDraining() {
		s.Start = time.Since(gs.report.Start)
	}
	gs.report.Steps = append(gs.report.Steps, s)
	gs.rows = append(gs.rows, t)
	t.row = len(gs.rows)
	gs.watchStep(s)
}

// end completes the row of t with its result. If t has none yet, it gets one if it failed.
func (gs *GracefulShutdown) end(t *step, f finding) {
	if t.row == 0 && f.err == nil || isClosed(gs.done) {
		return
	}
	if t.row == 0 {
		gs.addRow(t)
	}
	err := f.failure(t)
	gs.mu.Lock()
	s := &gs.report.Steps[t.row-1]
	s.State, s.Err, s.text = f.state(), err, f.text
	if gs.isDraining() {
		s.Duration = time.Since(gs.report.Start) - s.Start
	}
	gs.watchStep(*s)
	gs.mu.Unlock()

	_, ok := err.(*CallbackError)            // a component's error was told when it occurred
	if ok && t.stage.kind != kindObservers { // an observer that fails is not told of it
		gs.observe("shutdown step failed", fmt.Sprintf("%s (%s): %s", t.name, t.stage, f.text), err)
	}
}

func (f finding) failure(t *step) error {
	switch err := f.err.(type) { // of ours, never wrapped
	case nil:
		return nil
	case *ComponentError: // names itself
		return err
	}
	err := &CallbackError{Name: t.name, Phase: t.stage.phase, Err: f.err}
	if t.stage.kind != kindPhase {
		err.Stage = t.stage.String()
	}
	return err
}

func (f finding) state() State {
	switch {
	case f.err == nil:
		return StateOK
	case f.skipped:
		return StateSkipped
	case f.late:
		return StateTimeout
	case f.panicked:
		return StatePanic
	}
	return StateError
}

// lastWords returns what is to be said of a step that was cut or skipped: why its components have
// failed, or else what its run has returned.
func (t *step) lastWords() (words []finding) {
	for _, c := range t.components {
		if isClosed(c.done) && c.err != nil {
			words = append(words, find(c.err, nil))
		}
	}
	if words == nil && t.said.err != nil && !t.said.onlyTimeout {
		words = append(words, t.said)
	}
	return words
}

// and adds what others say to f.
func (f finding) and(others ...finding) finding {
	for _, other := range others {
		f.text += "; " + other.text
		f.err = &textError{f.text, errors.Join(f.err, other.err)}
	}
	return f
}

func notCalled() finding {
	err := fmt.Errorf("not called, no time was left: %w", ErrTimeout)
	return finding{err: err, text: err.Error(), skipped: true}
}

// timedOut marks f as late. after is the time that the step had; its error says so.
func (f finding) timedOut(after time.Duration) finding {
	f.late = true
	if f.timeout && f.err != ErrTimeout { // it says more than ErrTimeout does
		return f
	}
	text := fmt.Sprintf("%v after %v", ErrTimeout, oneline.Round(after))
	if f.err == nil || f.err == ErrTimeout || f.err == context.DeadlineExceeded { // see above
		f.err, f.text = &textError{text, ErrTimeout}, text
		return f
	}
	f.text = text + ": " + f.text
	f.err = &textError{f.text, errors.Join(ErrTimeout, f.err)}
	return f
}
