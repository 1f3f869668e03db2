package shutdown

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gracekit/gracekit/internal/guard"
	"github.com/gracekit/gracekit/internal/oneline"
)

// A Report tells how a stop went. Its String is a timeline for people, its LogValue is for log
// records, and it can be marshalled as JSON. It is a copy that belongs to the caller. None of its
// methods runs user code: error texts are kept as they were recorded.
type Report struct {
	Reason  error         // of the first request
	Manager string        // that made it; empty for Start's context, a component and Shutdown
	Start   time.Time     // the trigger: when the first request came
	Total   time.Duration // from Start to the end of the stop, or until now while it is in progress
	Steps   []Step        // in the order in which they began

	// Stacks is a profile of all goroutines, taken after the first stage in which a step timed out,
	// or nil if none did. Goroutines with the same stack are one entry. Those that run user code
	// for this package have a label such as {"gracekit":"shutdown/mysql"}.
	Stacks []byte

	reason string // the text of Reason
}

// Failed reports whether a step has failed: its Err is not nil.
func (r Report) Failed() bool { return len(r.errors()) > 0 }

func (r Report) errors() []error {
	var errs []error
	for _, s := range r.Steps {
		if s.Err != nil {
			errs = append(errs, s.Err)
		}
	}
	return errs
}

// String draws the stop as a timeline, with a bar for each step:
//
//	shutdown: signals: received terminated, by posixsignal, 1.21s
//	  delay           |#################                       | 500ms   ok
//	  linger          |                 ###                    | 110ms   ok
//	  ingress  api    |                    ####################| 600ms   ok
//	  store    mysql  |                                       #| 2ms     error: connection lost
//
// It shows the first line of each error, and escapes unprintable characters.
func (r Report) String() string {
	if r.Start.IsZero() {
		return "shutdown: not requested"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "shutdown: %s, %v\n", r.headline(), oneline.Round(r.Total))

	nameWidth, stageWidth := 0, 0
	for _, s := range r.Steps {
		nameWidth = max(nameWidth, utf8.RuneCountInString(oneline.Escape(s.Name)))
		stageWidth = max(stageWidth, len(s.stage()))
	}
	for _, s := range r.Steps {
		if s.State == StateRunning {
			s.Duration = max(0, r.Total-s.Start)
		}
		line := fmt.Sprintf("  %-*s  %-*s  |%s| %-7v %s", stageWidth, s.stage(), nameWidth, oneline.Escape(s.Name),
			bar(s.Start, s.Duration, r.Total), oneline.Round(s.Duration), s.outcome())
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func (r Report) headline() string {
	text := strings.TrimPrefix(oneline.First(r.reasonText()), "shutdown: ")
	if r.Manager != "" {
		text += ", by " + oneline.Escape(r.Manager)
	}
	return text
}

func (r Report) reasonText() string {
	if r.reason == "" && r.Reason != nil { // not recorded but made by hand
		return guard.Text(r.Reason)
	}
	return r.reason
}

// bar returns a bar of barWidth characters for the whole, at least one of them a mark.
func bar(start, duration, total time.Duration) string {
	const barWidth = 40
	column := func(d time.Duration) int {
		if total <= 0 {
			return 0
		}
		return max(0, min(barWidth, int(float64(barWidth)*float64(d)/float64(total)+0.5)))
	}
	from := min(column(start), barWidth-1)
	to := max(column(start+duration), from+1)
	return strings.Repeat(" ", from) + strings.Repeat("#", to-from) + strings.Repeat(" ", barWidth-to)
}

// LogValue implements [slog.LogValuer]: a group of reason, manager, total, and an attribute for
// each step. Failed steps come first; of more than 50 steps the rest is counted.
func (r Report) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("reason", oneline.First(r.reasonText()))}
	if r.Manager != "" {
		attrs = append(attrs, slog.String("manager", r.Manager))
	}
	attrs = append(attrs, slog.Duration("total", r.Total))

	const most = 50
	failed := func(s Step) bool { return s.Err != nil }
	succeeded := func(s Step) bool { return s.Err == nil }
	steps := slices.Concat(
		slices.DeleteFunc(slices.Clone(r.Steps), succeeded),
		slices.DeleteFunc(slices.Clone(r.Steps), failed))
	seen := make(map[string]int)
	for _, s := range steps[:min(most, len(steps))] {
		key := strings.Trim(s.stage()+"."+oneline.Escape(s.Name), ".")
		if seen[key]++; seen[key] > 1 { // one of the same name must not hide the other
			key = fmt.Sprintf("%s#%d", key, seen[key])
		}
		outcome := s.outcome()
		if s.Err != nil && s.Err == r.Reason { // said already
			outcome = string(s.State) + ": the reason"
		}
		attrs = append(attrs, slog.String(key, fmt.Sprintf("%v %s", oneline.Round(s.Duration), outcome)))
	}
	if more := len(steps) - most; more > 0 {
		attrs = append(attrs, slog.Int("more", more))
	}
	return slog.GroupValue(attrs...)
}

// MarshalJSON gives durations as milliseconds, errors as their texts, and Stacks as a string.
func (r Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Reason  string    `json:"reason"`
		Manager string    `json:"manager,omitempty"`
		Start   time.Time `json:"start,omitzero"`
		Total   float64   `json:"totalMs"`
		Steps   []Step    `json:"steps"`
		Stacks  string    `json:"stacks,omitempty"`
	}{r.reasonText(), r.Manager, r.Start, milliseconds(r.Total), r.Steps, string(r.Stacks)})
}
