package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gracekit/gracekit/internal/drain"
)

const width = 100 // of the table, in columns

// printTable prints a row for each experiment, and what to do about each fault.
func printTable(w io.Writer, report *drain.Report) {
	for _, row := range report.Rows {
		printRow(w, row.Name, string(row.Verdict), row.Figure)
		if row.Verdict == drain.Fault {
			printRow(w, "", "", "What it is about: "+row.Means)
			printRow(w, "", "", "What to do: "+row.Mend)
		}
	}
	passed, faults := report.Count(drain.OK), report.Count(drain.Fault)
	fmt.Fprintf(w, "\n%d of %d in order", passed, passed+faults)
	if n := report.Count(drain.NotApplicable); n > 0 {
		fmt.Fprintf(w, ", %d do not apply", n)
	}
	fmt.Fprintf(w, "; %v\n", report.Took.Round(100*time.Millisecond))
}

const indent = 24 // of the third column

func printRow(w io.Writer, name, verdict, text string) {
	head := fmt.Sprintf("%-16s %-6s ", name, verdict)
	for _, line := range wrap(text, width-indent) {
		fmt.Fprintln(w, head+line)
		head = strings.Repeat(" ", indent)
	}
}

// wrap breaks text at spaces, into lines of at most limit characters where that is possible.
func wrap(text string, limit int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > limit {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

func printList(w io.Writer) {
	for _, e := range drain.List() {
		quick := ""
		if e.Quick {
			quick = "quick"
		}
		printRow(w, e.Name, quick, e.Means)
	}
}

// printJSON prints the document that the doc of this command describes.
func printJSON(w io.Writer, command []string, report *drain.Report) error {
	type row struct {
		Name    string  `json:"name"`
		Verdict string  `json:"verdict"`
		Figure  string  `json:"figure"`
		Means   string  `json:"means"`
		Mend    string  `json:"mend,omitempty"`
		Seconds float64 `json:"seconds"`
	}
	document := struct {
		Command       []string `json:"command"`
		OK            bool     `json:"ok"`
		Passed        int      `json:"passed"`
		Faults        int      `json:"faults"`
		NotApplicable int      `json:"notApplicable"`
		Seconds       float64  `json:"seconds"`
		Rows          []row    `json:"rows"`
	}{
		command, report.Count(drain.Fault) == 0,
		report.Count(drain.OK), report.Count(drain.Fault), report.Count(drain.NotApplicable),
		inSeconds(report.Took), nil,
	}
	for _, r := range report.Rows {
		out := row{r.Name, string(r.Verdict), r.Figure, r.Means, "", inSeconds(r.Took)}
		if r.Verdict == drain.Fault {
			out.Mend = r.Mend
		}
		document.Rows = append(document.Rows, out)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}

func inSeconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

type suite struct {
	XMLName  xml.Name   `xml:"testsuite"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Time     float64    `xml:"time,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    float64  `xml:"time,attr"`
	Failure *message `xml:"failure"`
	Skipped *message `xml:"skipped"`
	Output  string   `xml:"system-out,omitempty"`
}

// A message has all of it in its text: GitLab shows that, and no attribute.
type message struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes what CI systems read: a test suite whose cases are the experiments.
func writeJUnit(file string, command []string, report *drain.Report) error {
	s := suite{
		Name: "draintest " + strings.Join(command, " "), Tests: len(report.Rows),
		Failures: report.Count(drain.Fault), Skipped: report.Count(drain.NotApplicable),
		Time: inSeconds(report.Took),
	}
	for _, r := range report.Rows {
		c := testCase{Class: "draintest", Name: r.Name, Time: inSeconds(r.Took)}
		switch r.Verdict {
		case drain.Fault:
			c.Failure = &message{r.Figure, r.Figure + "\n" + r.Means + "\n" + r.Mend}
		case drain.NotApplicable:
			c.Skipped = &message{r.Figure, r.Figure}
		default:
			c.Output = r.Figure
		}
		s.Cases = append(s.Cases, c)
	}
	out, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append([]byte(xml.Header), append(out, '\n')...), 0o644)
}
