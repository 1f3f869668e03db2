package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func drawn(t *testing.T, scenarios ...result) map[string]string {
	t.Helper()
	dir := t.TempDir()
	r := report{Tables: []table{{Package: "p", Title: "a job", Scenarios: scenarios}}}
	require.NoError(t, writeCharts(r, dir))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	charts := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		checkXML(t, string(text))
		assert.Contains(t, string(text), "prefers-color-scheme: dark")
		charts[filepath.Base(file)] = string(text)
	}
	return charts
}

func checkXML(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err, "%.400s", text)
	}
}

func TestBarChart(t *testing.T) {
	own := row{Name: "ours & yours", Module: gracekit, Value: new(50.0), Measured: true}
	peer := row{Name: "peer", Value: new(100.0), Measured: true}
	aside := row{Name: "aside", Value: new(0.1), Measured: true, Unranked: "it does less"}
	skipped := row{Name: "skipped", Skipped: "not here"}
	rows := []row{own, peer, aside, skipped}
	charts := drawn(t, result{Name: "a < b", Unit: nanoseconds, Rows: rows})
	require.Contains(t, charts, "p.svg")
	chart := charts["p.svg"]
	assert.Contains(t, chart, ">p: a job<")
	assert.Contains(t, chart, ">a &lt; b<")
	assert.Contains(t, chart, ">ours &amp; yours<")
	for class, width := range map[string]int{"own": 65, "peer": 130, "aside": 1} { // of 130
		assert.Regexp(t, fmt.Sprintf(`<rect class="%s" [^>]*width="%d"`, class, width), chart)
	}
	assert.Regexp(t,
		`>skipped</text>\n<rect class="aside" [^>]*width="0" [^>]*/>\n<text[^>]*>-<`, chart)
}

func TestLineChart(t *testing.T) {
	scenario := func(percent int, values ...float64) result {
		name := fmt.Sprintf("read %d%% of the members of an object, 500 bytes", percent)
		s := result{Name: name, Unit: nanoseconds}
		for i, v := range values {
			r := row{Name: fmt.Sprint("library ", i), Note: "lookups", Value: new(v)}
			s.Rows = append(s.Rows, r)
		}
		return s
	}
	charts := drawn(t, scenario(10, 100, 100), scenario(20, 200, 201), scenario(30, 400, 401))
	require.Contains(t, charts, "p-part.svg")
	assert.NotContains(t, charts, "p.svg", "there is nothing else to draw")
	chart := charts["p-part.svg"]
	assert.Contains(t, chart, ">Reading a part of a JSON object of 500 bytes<")
	assert.Contains(t, chart, ">30%<")
	assert.Equal(t, 2, strings.Count(chart, "<polyline"))
	assert.Equal(t, 6, strings.Count(chart, "<circle"))

	var labels []string
	label := regexp.MustCompile(`class="line" x="\d+" y="(\d+)"`)
	for _, m := range label.FindAllStringSubmatch(chart, -1) {
		labels = append(labels, m[1])
	}
	require.Len(t, labels, 2)
	assert.NotEqual(t, labels[0], labels[1], "one label covers the other")
}
