package health

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// A view is what one answer shows.
type view struct {
	Report
	single  bool     // one check was asked for by its path
	unknown []string // names in ?exclude= that no check has, quoted
	details bool
	now     time.Time
}

var marks = map[State]string{Up: "+", Down: "-", Pending: "?", Draining: "~"}

// writeText writes "ok", or a line for each check and one for all of them together.
func (v view) writeText(b *bytes.Buffer, verbose bool) {
	for _, name := range v.unknown {
		fmt.Fprintf(b, "warning: exclude: no %v check is named %s\n", v.Kind, name)
	}
	if !verbose {
		b.WriteString("ok\n")
		return
	}
	for _, c := range v.Checks {
		fmt.Fprintf(b, "[%s] %s %v", marks[c.State], c.Name, c.State)
		if c.Optional {
			b.WriteString(" (optional)")
		}
		if text := v.errorText(c); text != "" {
			fmt.Fprintf(b, ": %s", text)
		}
		b.WriteByte('\n')
	}
	if v.single {
		return
	}
	fmt.Fprintf(b, "%v: %v", v.Kind, v.State)
	if v.idle && v.State == Pending {
		b.WriteString(" (the checks have not been started)")
	}
	b.WriteByte('\n')
}

// errorText is the error of the last run, as far as it may be shown.
func (v view) errorText(c CheckReport) string {
	err := c.Last().Err
	if err == nil || !v.details {
		return ""
	}
	return firstLine(err.Error(), 500) // the stack of a panic is too much
}

func (v view) writeJSON(b *bytes.Buffer) {
	type check struct {
		Name     string     `json:"name"`
		State    State      `json:"state"`
		Since    time.Time  `json:"since"`
		Optional bool       `json:"optional,omitempty"`
		LastRun  *time.Time `json:"lastRun,omitempty"`
		Millis   float64    `json:"lastDurationMs,omitempty"`
		Error    string     `json:"error,omitempty"`
	}
	body := struct {
		Kind    Kind     `json:"kind"`
		State   State    `json:"state"`
		Started bool     `json:"started"`
		Checks  []check  `json:"checks"`
		Unknown []string `json:"unknownExcludes,omitempty"`
	}{Kind: v.Kind, State: v.State, Started: !v.idle, Checks: []check{}, Unknown: v.unknown}
	for _, c := range v.Checks {
		item := check{Name: c.Name, State: c.State, Since: c.Since.UTC(), Optional: c.Optional, Error: v.errorText(c)}
		if last := c.Last(); !last.Time.IsZero() {
			began := last.Time.UTC()
			item.LastRun, item.Millis = &began, float64(last.Duration.Microseconds())/1000
		}
		body.Checks = append(body.Checks, item)
	}
	_ = json.NewEncoder(b).Encode(body) // neither the types in it nor a bytes.Buffer can fail
}
