package shutdown

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Report tells how a stop went. Its String is a timeline for people, its LogValue is for log records. It belongs to the caller.
type Report struct {
	Reason  error         // what the first request gave
	Manager string        // the manager that made it; empty for the end of Start's context, a component, and Shutdown
	Start   time.Time     // when it came
	Total   time.Duration // from then to the end of the stop or, while that is in progress, until now

	Delay     time.Duration    // how long the service went on as before
	Linger    time.Duration    // how long connections were waited for
	Callbacks []CallbackReport // in the order in which they were begun

	// Stacks holds the stacks of all goroutines in the moment of the first timeout, or nil if there was none. The culprit's is
	// among them.
	Stacks []byte

	final bool // Total does not grow any more
}

// A CallbackReport tells how one callback went, or the draining of a server, the wait for a component, a manager's hook.
type CallbackReport struct {
	Name     string        // of the callback, the server, the component or the manager
	Phase    Phase         // a manager's hooks have phases of their own, see [Phase.String]
	State    State         // how it ended
	Start    time.Duration // after the Report's Start
	Duration time.Duration // 0 while it is running
	Err      error         // nil, a *CallbackError or a *ComponentError
}

// State is the outcome of a callback.
type State string

// The states of a callback.
const (
	StateRunning State = "running" // only in a report of a stop in progress
	StateOK      State = "ok"
	StateError   State = "error"
	StatePanic   State = "panic"
	StateTimeout State = "timeout" // it was given up at its deadline, or returned an error because of it
	StateSkipped State = "skipped" // it was not called: neither Grace nor Tail had any time left
)

// Failed reports whether a callback has ended in any way but [StateOK].
func (r Report) Failed() bool { return len(r.errors()) > 0 }

func (r Report) errors() []error {
	var errs []error
	for _, c := range r.Callbacks {
		if c.Err != nil {
			errs = append(errs, c.Err)
		}
	}
	return errs
}

func (r Report) clone() Report {
	r.Callbacks = slices.Clone(r.Callbacks)
	if !r.final && !r.Start.IsZero() {
		r.Total = time.Since(r.Start)
	}
	return r
}

// String draws the stop as a timeline, one bar for each callback, all on one scale:
//
//	shutdown: posixsignal: received terminated (posixsignal), 1.21s
//	  delay           |#################                       | 500ms
//	  linger          |                 ###                    | 110ms
//	  ingress  api    |                    ####################| 600ms   ok
//	  store    mysql  |                                       #| 2ms     error: mysql (store): connection lost
//
// Of errors it shows the first line; what a terminal would not print is escaped.
func (r Report) String() string {
	if r.Start.IsZero() {
		return "shutdown: not requested"
	}
	by := ""
	if r.Manager != "" {
		by = " (" + printable(r.Manager) + ")"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "shutdown: %s%s, %v\n", firstLine(r.Reason), by, roundDuration(r.Total))

	rows := r.rows()
	nameWidth, phaseWidth := 0, 0
	for _, row := range rows {
		nameWidth = max(nameWidth, utf8.RuneCountInString(row.name))
		phaseWidth = max(phaseWidth, len(row.phase))
	}
	for _, row := range rows {
		line := fmt.Sprintf("  %-*s  %-*s  |%s| %-7v %s", phaseWidth, row.phase, nameWidth, row.name,
			bar(row.start, row.duration, r.Total), roundDuration(row.duration), row.outcome)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

type timelineRow struct {
	phase, name, outcome string
	start, duration      time.Duration
}

func (r Report) rows() []timelineRow {
	var before, after []timelineRow
	for _, c := range r.Callbacks {
		row := timelineRow{c.Phase.String(), printable(c.Name), string(c.State), c.Start, c.Duration}
		if c.Err != nil {
			row.outcome += ": " + firstLine(c.Err)
		}
		if c.State == StateRunning {
			row.duration = max(0, r.Total-c.Start)
		}
		if c.Phase == phaseStart {
			before = append(before, row)
		} else {
			after = append(after, row)
		}
	}
	var told time.Duration // when the managers had been told
	for _, row := range before {
		told = max(told, row.start+row.duration)
	}
	rows := before
	if r.Delay > 0 {
		rows = append(rows, timelineRow{phase: "delay", start: told, duration: r.Delay})
	}
	if r.Linger >= time.Millisecond {
		rows = append(rows, timelineRow{phase: "linger", start: told + r.Delay, duration: r.Linger})
	}
	return append(rows, after...)
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

// roundDuration leaves three digits: 1.234567s is 1.23s, 309.07ms is 309ms.
func roundDuration(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return printable(line)
}

// printable escapes what a terminal would obey and what breaks a line: names and errors may hold what a client has sent.
func printable(s string) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsPrint(c) {
			b.WriteRune(c)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		}
	}
	return b.String()
}

// LogValue implements [slog.LogValuer]: a group of reason, manager, total, delay, linger, and callbacks with a line for each.
func (r Report) LogValue() slog.Value {
	callbacks := make([]string, len(r.Callbacks)) // a list: as a group, callbacks of one name would hide each other in JSON
	for i, c := range r.Callbacks {
		callbacks[i] = fmt.Sprintf("%s %s: %s after %v", c.Phase, printable(c.Name), c.State, roundDuration(c.Duration))
		if c.Err != nil {
			callbacks[i] += ": " + firstLine(c.Err)
		}
	}
	return slog.GroupValue(
		slog.String("reason", firstLine(r.Reason)),
		slog.String("manager", r.Manager),
		slog.Duration("total", r.Total),
		slog.Duration("delay", r.Delay),
		slog.Duration("linger", r.Linger),
		slog.Any("callbacks", callbacks),
	)
}
