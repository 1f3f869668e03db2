package health

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gracekit/gracekit/internal/oneline"
)

// A view is what one answer shows.
type view struct {
	Report
	query
	handlerConfig
	unknown []string // names in ?exclude= that no check has, quoted
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
	if v.only != "" {
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
	if !v.details {
		return ""
	}
	return firstLine(c.Last().text, 500) // the stack of a panic is too much
}

// writeJSON is by hand, because encoding/json takes longer than all the rest of an answer.
func (v view) writeJSON(b *bytes.Buffer) {
	b.Grow(128 * (2 + len(v.Checks)))
	out := appendString(b.AvailableBuffer(), `{"kind":`, v.Kind.String())
	out = appendString(out, `,"state":`, v.State.String())
	out = strconv.AppendBool(append(out, `,"started":`...), !v.idle)
	out = append(out, `,"checks":[`...)
	for i, c := range v.Checks {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, `{"name":`, c.Name)
		out = appendString(out, `,"state":`, c.State.String())
		out = appendTime(out, `,"since":`, c.Since)
		if c.Optional {
			out = append(out, `,"optional":true`...)
		}
		if !c.Running.IsZero() {
			out = appendTime(out, `,"runningSince":`, c.Running)
		}
		last := c.Last()
		if !last.Time.IsZero() {
			out = appendTime(out, `,"lastRun":`, last.Time)
		}
		if took := last.Duration.Microseconds(); took != 0 {
			out = append(out, `,"lastDurationMs":`...)
			out = strconv.AppendFloat(out, float64(took)/1000, 'f', -1, 64)
		}
		if text := v.errorText(c); text != "" {
			out = appendString(out, `,"error":`, text)
		}
		out = append(out, '}')
	}
	out = append(out, ']')
	key := `,"unknownExcludes":[`
	for _, name := range v.unknown {
		out = appendString(out, key, name)
		key = ","
	}
	if len(v.unknown) > 0 {
		out = append(out, ']')
	}
	b.Write(append(out, "}\n"...))
}

// appendString appends what stands before a JSON string, and the string. Only one with characters
// that may need an escape is left to encoding/json.
func appendString(b []byte, before, s string) []byte {
	b = append(b, before...)
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			quoted, _ := json.Marshal(s) // a string cannot fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendTime(b []byte, before string, t time.Time) []byte {
	b = append(append(b, before...), '"')
	return append(t.UTC().AppendFormat(b, time.RFC3339Nano), '"')
}

// firstLine is the beginning of text for people to read, at most limit bytes.
func firstLine(text string, limit int) string {
	return oneline.Cut(strings.TrimSpace(oneline.First(strings.TrimSpace(text))), limit)
}
