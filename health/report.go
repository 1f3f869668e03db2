package health

import (
	"fmt"
	"slices"
	"time"
)

// A Report is what a registry knows at one moment. It belongs to the caller.
type Report struct {
	Kind   Kind          // as asked for
	State  State         // of the endpoint; see Registry.Report
	Checks []CheckReport // in the order of New

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
	Since    time.Time // when it came into this state; for Pending, when New was called
	History  []Result  // at most 40, the newest last
}

// Last returns the newest result, or a zero Result if there is none yet.
func (c CheckReport) Last() Result {
	if len(c.History) == 0 {
		return Result{}
	}
	return c.History[len(c.History)-1]
}

// A Result is the outcome of one run of a check.
type Result struct {
	Time     time.Time     // when it began
	Duration time.Duration // how long it took
	Err      error         // nil for a success
}

// Report returns what is known of the checks of this kind. Its State is Down if any of them is down that is not
// Optional, else Pending if one is pending, else Up; and Draining in any case if kind includes Ready and the
// registry drains. Whether a check counts is said at [Startup] and Check.Grace; its own State is given as it is.
// Report runs no check, not even one that is [OnDemand]. It panics if kind is not Live, Ready, Startup or
// several of them.
func (r *Registry) Report(kind Kind) Report {
	mustBeKind("Report", kind)
	return r.report(kind, "", nil, historyLen)
}

// report is Report for all checks but the excluded, or for only one, with so many of the newest results.
func (r *Registry) report(kind Kind, only string, excluded map[string]bool, results int) Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := Report{Kind: kind, idle: r.stopped == nil}
	for _, c := range r.checks {
		if c.Kind&kind == 0 || excluded[c.Name] || only != "" && only != c.Name {
			continue
		}
		newest := c.history[max(0, len(c.history)-results):]
		report.Checks = append(report.Checks, CheckReport{
			Name: c.Name, Kind: c.Kind, Optional: c.Optional, State: c.state, Since: c.since, History: slices.Clone(newest),
		})
		if only != "" {
			report.State = c.state
			return report
		}
	}
	report.State = r.endpointLocked(kind, excluded)
	return report
}

// state is the State of a report, which is all that most requests want.
func (r *Registry) state(kind Kind, excluded map[string]bool) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.endpointLocked(kind, excluded)
}

func (r *Registry) endpointLocked(kind Kind, excluded map[string]bool) State {
	if kind&Ready != 0 && r.isDrainingLocked() {
		return Draining
	}
	return r.stateLocked(kind, excluded)
}

func mustBeKind(caller string, kind Kind) {
	if kind == 0 || kind&^allKinds != 0 {
		panic(fmt.Sprintf("health: %s(%v): expected Live, Ready, Startup or several of them", caller, kind))
	}
}
