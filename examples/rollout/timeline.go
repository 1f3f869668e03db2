package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed timeline.svg.tmpl
var timelineTemplate string

// writeTimeline draws one picture that follows the reader's light or dark theme: on the left what
// share of the requests each way of stopping has lost, in all experiments, and on the right the
// last stop of a replica with gracekit, step by step.
func writeTimeline(rows []row, w io.Writer) error {
	t, err := template.New("").Parse(timelineTemplate)
	if err != nil {
		return err
	}
	picture := timeline{Width: 980, LostX: 16, StopX: 560}
	picture.addLost(rows)
	lostHeight := picture.Height
	if err := picture.addStop(rows); err != nil {
		return err
	}
	picture.Height = max(lostHeight, picture.Height) + 10
	return t.Execute(w, picture)
}

type timeline struct {
	Width, Height, LostX, StopX int
	LostTitle, StopTitle        string
	Bars                        []timelineBar
}

type timelineBar struct {
	NameX, TextY, AxisX, X, Y, Bottom, Width, ValueX int
	Class, Name, Value                               string
}

const barsTop, barsApart = 52, 28

// add appends a bar that goes from start to end, which are shares of the widest.
func (t *timeline) add(n, axis, widest int, start, end float64, class, name, value string) {
	b := timelineBar{
		NameX: axis - 8, AxisX: axis, Y: barsTop + n*barsApart,
		Class: class, Name: name, Value: value,
	}
	b.TextY, b.Bottom = b.Y+14, b.Y+18
	b.X = axis + int(start*float64(widest)+0.5)
	b.Width = int((end-start)*float64(widest) + 0.5)
	if end > start {
		b.Width = max(2, b.Width)
	}
	b.ValueX = b.X + b.Width + 7
	t.Bars = append(t.Bars, b)
	t.Height = barsTop + (n+1)*barsApart
}

func (t *timeline) addLost(rows []row) {
	type sum struct{ lost, requests int }
	sums, ways, replaced := make(map[string]sum), []string{}, 0
	for _, r := range rows {
		s := sums[r.Stop]
		sums[r.Stop] = sum{s.lost + r.Failures, s.requests + r.Requests}
		if !slices.Contains(ways, r.Stop) {
			ways = append(ways, r.Stop)
		}
		replaced += r.Replacements
	}
	t.LostTitle = fmt.Sprintf("Requests lost in %d rolling replacements", replaced)
	share := func(way string) float64 {
		return float64(sums[way].lost) / float64(max(1, sums[way].requests))
	}
	most := 0.0
	for _, way := range ways {
		most = max(most, share(way))
	}
	for n, way := range ways {
		end := 0.0
		if most > 0 {
			end = share(way) / most
		}
		t.add(n, t.LostX+160, 200, 0, end, "lost", (row{Stop: way}).wayOfStopping(),
			fmt.Sprintf("%s of %s", thousands(sums[way].lost), thousands(sums[way].requests)))
	}
}

// addStop does nothing if no replica was stopped with gracekit.
func (t *timeline) addStop(rows []row) error {
	var last []byte
	for _, r := range rows {
		if len(r.report) > 0 {
			last = r.report
		}
	}
	if last == nil {
		return nil
	}
	var report struct {
		TotalMS float64
		Steps   []struct {
			Name, Stage         string
			StartMS, DurationMS float64
		}
	}
	if err := json.Unmarshal(last, &report); err != nil {
		return fmt.Errorf("the report of a replica: %w", err)
	}
	ms := func(ms float64) string {
		precision := 100 * time.Microsecond
		if ms >= 100 {
			precision = 10 * time.Millisecond
		}
		return time.Duration(ms * float64(time.Millisecond)).Round(precision).String()
	}
	t.StopTitle = "One stop with gracekit: " + ms(report.TotalMS)
	for n, s := range report.Steps {
		start, end := s.StartMS/report.TotalMS, (s.StartMS+s.DurationMS)/report.TotalMS
		t.add(n, t.StopX+110, 210, start, end, stopGracekit,
			strings.TrimSpace(s.Stage+" "+s.Name), ms(s.DurationMS))
	}
	return nil
}

// thousands writes 1728897 as 1,728,897.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
