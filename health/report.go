package health

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// A Report is what a registry knows at one moment. It belongs to the caller.
type Report struct {
	Kind   Kind          // as asked for
	State  State         // of the endpoint; see Registry.Report
	Checks []CheckReport // in the order in which they were added

	idle bool // Run was not called yet
}

// OK reports whether an endpoint would answer 200.
func (r Report) OK() bool { return r.State == Up }

// A CheckReport is what is known of one check.
type CheckReport struct {
	Name     string    // as in its Check
	Kind     Kind      // as in its Check
	Optional bool      // as in its Check
	State    State     // never Draining
	Since    time.Time // when it came into this state; for Pending, when it was added
	Running  time.Time // when the run in progress began; zero if none is
	History  []Result  // at most 40, the newest last

	progress string // towards the next state, such as "1 of 3 failures"; else ""
}

// Last returns the newest result, or a zero Result if there is none yet.
func (c CheckReport) Last() Result {
	if len(c.History) == 0 {
		return Result{}
	}
	return c.History[len(c.History)-1]
}

// A Result is the outcome of one run of a check. A run whose time is up has one, even if it has not
// returned: its Time is then that of Running, and its Duration grows.
type Result struct {
	Time     time.Time     // when it began
	Duration time.Duration // how long it took
	Err      error         // nil for a success

	text string // of Err
}

// MarshalJSON gives Err as its text.
func (r Result) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Time     time.Time
		Duration time.Duration
		Err      string `json:",omitempty"`
	}{r.Time, r.Duration, textOf(r.text, r.Err)})
}

// textOf is the text of err. recorded is empty if it is not known yet.
func textOf(recorded string, err error) string {
	if recorded != "" || err == nil {
		return recorded
	}
	return guard.Text(err)
}

// Report returns what is known of the checks of this kind. Its State is Down if any of them is down
// that is not Optional, else Pending if one is pending, else Up; and Draining in any case if kind
// includes Ready and the registry drains. [Startup] and Check.Grace say when a check does not
// count; its own State is given as it is. Report runs no check, not even one that is [OnDemand]. It
// panics if kind is not Live, Ready, Startup or several of them.
func (r *Registry) Report(kind Kind) Report {
	mustBeKind("Report", kind)
	return r.report(query{kind: kind}, historyLen)
}

// report is Report for a query, with so many of the newest results.
func (r *Registry) report(q query, results int) Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	report := Report{Kind: q.kind, State: r.endpointLocked(q), idle: r.ctx == nil}
	for _, c := range r.checks {
		if q.shows(c) {
			report.Checks = append(report.Checks, c.reportLocked(now, results))
		}
	}
	if q.only != "" && len(report.Checks) > 0 {
		report.State = report.Checks[0].State
	}
	return report
}

func (c *checker) reportLocked(now time.Time, results int) CheckReport {
	report := CheckReport{
		Name: c.Name, Kind: c.Kind, Optional: c.Optional, State: c.state, Since: c.since,
		Running: c.running, History: slices.Clone(c.history[max(0, len(c.history)-results):]),
	}
	if last := len(report.History) - 1; last >= 0 && report.History[last].Time.Equal(c.running) {
		report.History[last].Duration = now.Sub(c.running)
	}
	switch {
	case c.state != Down && c.failures > 0:
		report.progress = fmt.Sprintf("%d of %d failures", c.failures, c.Failures)
	case c.state != Up && c.successes > 0:
		report.progress = fmt.Sprintf("%d of %d successes", c.successes, c.Successes)
	}
	return report
}

// state is the State of a report, which is all that most requests ask for.
func (r *Registry) state(q query) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.endpointLocked(q)
}

// histories replaces the reports by those of the same checks with all of their results.
func (r *Registry) histories(reports []CheckReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for i := range reports {
		if c := r.byName[reports[i].Name]; c != nil {
			reports[i] = c.reportLocked(now, historyLen)
		}
	}
}

func mustBeKind(caller string, kind Kind) {
	if kind == 0 || kind&^allKinds != 0 {
		panic(fmt.Sprintf("health: %s(%v): expected Live, Ready, Startup or several of them", caller,
			kind))
	}
}
