package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var columns = []string{"name", "version", "result", "±", "bytes", "allocs", "ratio", "remarks"}

// Numbers stand to the right.
var toTheRight = []bool{false, false, true, true, true, true, true, false}

func printText(r report, w io.Writer) {
	fmt.Fprintln(w, r.Environment)
	for _, t := range r.Tables {
		fmt.Fprintf(w, "\n=== %s: %s\n", t.Package, t.Title)
		widths := make([]int, len(columns))
		lines := [][]string{columns}
		for _, s := range t.Scenarios {
			lines = append(lines, s.lines()...)
		}
		for _, line := range lines {
			for i, cell := range line {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
		printLine(w, columns, widths)
		for _, s := range t.Scenarios {
			fmt.Fprintf(w, "-- %s%s\n", s.Name, s.unitSuffix())
			for _, line := range s.lines() {
				printLine(w, line, widths)
			}
		}
	}
}

func printLine(w io.Writer, line []string, widths []int) {
	var b strings.Builder
	for i, cell := range line {
		padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if toTheRight[i] {
			b.WriteString(padding + cell + "  ")
		} else {
			b.WriteString(cell + padding + "  ")
		}
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

func printMarkdown(r report, w io.Writer) {
	fmt.Fprintln(w, r.Environment.markdown())
	for _, t := range r.Tables {
		fmt.Fprintf(w, "\n### %s: %s\n", t.Package, t.Title)
		for _, s := range t.Scenarios {
			fmt.Fprintf(w, "\n%s%s:\n\n", s.Name, s.unitSuffix())
			fmt.Fprintf(w, "| %s |\n|", strings.Join(columns, " | "))
			for _, right := range toTheRight {
				if right {
					fmt.Fprint(w, "--:|")
				} else {
					fmt.Fprint(w, "---|")
				}
			}
			fmt.Fprintln(w)
			for _, line := range s.lines() {
				for i, cell := range line {
					line[i] = strings.ReplaceAll(cell, "|", `\|`)
				}
				fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | "))
			}
		}
	}
}

func printNames(r report, w io.Writer) {
	for _, t := range r.Tables {
		for _, s := range t.Scenarios {
			for _, row := range s.Rows {
				fmt.Fprintf(w, "%s/%s/%s\n", t.Package, s.Name, row.Name)
			}
		}
	}
}

func (r result) unitSuffix() string {
	if r.Unit == nanoseconds {
		return ""
	}
	return " (" + string(r.Unit) + ")"
}

func (r result) lines() (lines [][]string) {
	for _, row := range r.Rows {
		lines = append(lines, []string{
			row.Name, row.Version, row.value(r.Unit), row.spread(),
			count(row.Bytes), count(row.Allocs), row.ratio(), row.remarks(),
		})
	}
	return lines
}

func (r row) value(u unit) string {
	switch {
	case r.Value == nil:
		return "-"
	case u == nanoseconds:
		return formatNanoseconds(*r.Value)
	}
	return strconv.FormatFloat(math.Round(*r.Value), 'f', -1, 64)
}

// formatNanoseconds gives three digits, which is more than is to be trusted.
func formatNanoseconds(ns float64) string {
	for _, u := range []struct {
		name string
		ns   float64
	}{{"s", float64(time.Second)}, {"ms", float64(time.Millisecond)}, {"µs", float64(time.Microsecond)}} {
		if ns >= u.ns*0.9995 { // 999.5µs and more would be 1000µs
			return threeDigits(ns/u.ns) + u.name
		}
	}
	return threeDigits(ns) + "ns"
}

func threeDigits(v float64) string {
	digits := 2
	if v > 0 {
		digits = max(0, min(2, 2-int(math.Floor(math.Log10(v)))))
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func (r row) spread() string {
	if r.Spread == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100**r.Spread)
}

func (r row) ratio() string {
	if r.Ratio == nil {
		return "-"
	}
	return threeDigits(*r.Ratio)
}

func count(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

func (r row) remarks() string {
	var parts []string
	add := func(prefix, text string) {
		if text != "" {
			parts = append(parts, prefix+text)
		}
	}
	add("FAILED: ", r.Error)
	add("skipped: ", r.Skipped)
	add("not compared: ", r.Unranked)
	add("lacks: ", strings.Join(r.Lacks, ", "))
	add("", r.Note)
	return strings.Join(parts, "; ")
}
