package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	svg "text/template"
	"time"
)

//go:embed chart.svg.tmpl
var chartTemplates string

// writeCharts writes a picture for each table into dir, and one more of the scenarios that read a
// part of a document. Each follows the reader's light or dark theme.
func writeCharts(r report, dir string) error {
	templates, err := svg.New("").Parse(chartTemplates)
	if err != nil {
		return err
	}
	write := func(file, name string, data any) error {
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, name, data); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, file), out.Bytes(), 0o644)
	}
	var errs []error
	for _, t := range r.Tables {
		var parts, others []result
		for _, s := range t.Scenarios {
			if percentOf(s.Name) > 0 {
				parts = append(parts, s)
			} else {
				others = append(others, s)
			}
		}
		if len(others) > 0 {
			title := t.Package + ": " + t.Title
			errs = append(errs, write(t.Package+".svg", "bars", newBarChart(title, others)))
		}
		if len(parts) > 1 {
			errs = append(errs, write(t.Package+"-part.svg", "lines", newLineChart(parts)))
		}
	}
	return errors.Join(errs...)
}

// Sizes in pixels of the viewBox.
const (
	chartWidth = 980
	chartTop   = 64
	margin     = 16
	barHeight  = 17
)

// A barChart has a panel for each scenario, in two columns. The scale of each panel begins at zero.
type barChart struct {
	Width, Height, NameWidth int
	Title, Subtitle          string
	Panels                   []panel
}

type panel struct {
	X, Y  int
	Title string
	Bars  []chartBar
}

type chartBar struct {
	X, Y, Text, ValueX, Width int
	Class, Name, Value        string
}

func newBarChart(title string, scenarios []result) barChart {
	const panelWidth, nameWidth, widest = chartWidth / 2, 246, 130
	c := barChart{
		Width: chartWidth, NameWidth: nameWidth,
		Title: title, Subtitle: "Shorter is better. Pale: shown, but not compared.",
	}
	y := chartTop
	for pair := range slices.Chunk(scenarios, 2) {
		height := 0
		for column, s := range pair {
			most := s.most()
			p := panel{X: margin + column*panelWidth, Y: y, Title: s.Name + s.unitSuffix()}
			for _, row := range s.Rows {
				bar := chartBar{
					X: nameWidth + 8, Y: 22 + len(p.Bars)*barHeight, Class: "peer",
					Name: row.Name, Value: row.value(s.Unit),
				}
				bar.Text = bar.Y + 10
				switch {
				case row.Unranked != "" || !row.Measured:
					bar.Class = "aside"
				case row.Module == gracekit:
					bar.Class = "own"
				}
				if row.Value != nil && most > 0 {
					bar.Width = max(1, int(widest**row.Value/most+0.5))
				}
				bar.ValueX = bar.X + bar.Width + 5
				p.Bars = append(p.Bars, bar)
			}
			c.Panels = append(c.Panels, p)
			height = max(height, 22+len(p.Bars)*barHeight)
		}
		y += height + 22
	}
	c.Height = y - 22 + margin
	return c
}

// most is the largest value, at least 0.
func (r result) most() (most float64) {
	for _, row := range r.Rows {
		if row.Value != nil {
			most = max(most, *row.Value)
		}
	}
	return most
}

// A lineChart has a line for each contestant and a point for each scenario.
type lineChart struct {
	Width, Height   int
	Title, Subtitle string
	Ticks           []tick
	Lines           []chartLine
}

type tick struct {
	X1, Y1, X2, Y2, X, Y int
	Class, Text          string
}

type point struct{ X, Y int }

type chartLine struct {
	Class, Name    string
	Points         []point
	LabelX, LabelY int
}

var percent = regexp.MustCompile(`^read (\d+)% of the members of an object, (\d+) bytes$`)

// percentOf is how much of a document the scenario reads, or 0 if it is not about that.
func percentOf(scenario string) int {
	m := percent.FindStringSubmatch(scenario)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // it has digits alone
	return n
}

// newLineChart draws what it costs to read 10%, 20% and so on of a document.
func newLineChart(scenarios []result) lineChart {
	const left, right, top, bottom = 70, 700, chartTop + 8, 400
	most := 0.0
	for _, s := range scenarios {
		most = max(most, s.most())
	}
	most = roundUp(most)
	x := func(i int) int { return left + i*(right-left)/(len(scenarios)-1) }
	y := func(ns float64) int { return bottom - int(float64(bottom-top)*ns/most+0.5) }

	c := lineChart{Width: chartWidth, Height: bottom + 56}
	c.Title = "Reading a part of a JSON object of " +
		percent.FindStringSubmatch(scenarios[0].Name)[2] + " bytes"
	c.Subtitle = "Time for one document. Lower is better."
	for i, s := range scenarios {
		c.Ticks = append(c.Ticks, tick{
			X1: x(i), Y1: bottom, X2: x(i), Y2: bottom + 5, X: x(i), Y: bottom + 20,
			Class: "middle", Text: fmt.Sprintf("%d%%", percentOf(s.Name)),
		})
	}
	for i := range 5 {
		ns := most * float64(i) / 4
		label := "0"
		if i > 0 {
			label = formatNanoseconds(ns)
		}
		c.Ticks = append(c.Ticks, tick{
			X1: left, Y1: y(ns), X2: right, Y2: y(ns), X: left - 8, Y: y(ns) + 4,
			Class: "name", Text: label,
		})
	}
	for n, row := range scenarios[0].Rows {
		line := chartLine{
			Class: fmt.Sprintf("c%d", n%8), Name: row.Name + ", " + row.Note, LabelX: right + 12,
		}
		for i, s := range scenarios {
			if value := s.Rows[n].Value; value != nil {
				line.Points = append(line.Points, point{x(i), y(*value)})
			}
		}
		if len(line.Points) > 0 {
			line.LabelY = line.Points[len(line.Points)-1].Y + 4
			c.Lines = append(c.Lines, line)
		}
	}
	spreadLabels(c.Lines, bottom)
	return c
}

// spreadLabels moves labels up until none covers another.
func spreadLabels(lines []chartLine, lowest int) {
	const apart = 16
	order := make([]*chartLine, len(lines))
	for i := range lines {
		order[i] = &lines[i]
	}
	slices.SortStableFunc(order, func(a, b *chartLine) int { return b.LabelY - a.LabelY })
	for _, line := range order {
		line.LabelY = min(line.LabelY, lowest)
		lowest = line.LabelY - apart
	}
}

// roundUp returns 1, 2, 4 or 8 times a power of ten, so that a scale has round numbers.
func roundUp(ns float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(max(ns, float64(time.Nanosecond)))))
	for _, n := range []float64{1, 2, 4, 8} {
		if ns <= n*power {
			return n * power
		}
	}
	return 10 * power
}
