package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

type seconds float64

// A row is the outcome of one experiment with one way of stopping.
type row struct {
	experiment

	Stop         string         `json:"stop"`
	Replacements int            `json:"replacements"`
	Requests     int            `json:"requests"` // while replicas were replaced, as all that follows
	Failures     int            `json:"failures"`
	Kinds        map[string]int `json:"kinds,omitempty"` // how often requests were lost how
	P50          seconds        `json:"p50Seconds"`      // of the requests that were answered
	P99          seconds        `json:"p99Seconds"`
	Slowest      seconds        `json:"slowestSeconds"`
	QuietP50     seconds        `json:"quietP50Seconds"` // before the first replacement
	QuietP99     seconds        `json:"quietP99Seconds"`
	StopMean     seconds        `json:"stopMeanSeconds"` // from SIGTERM to the end of the process
	StopMax      seconds        `json:"stopMaxSeconds"`
	Errors       map[string]int `json:"errors,omitempty"` // how often each occurred

	quiet, during *tally
	stops         []time.Duration
	report        []byte // of the last stop, with gracekit
}

// summarize sets what is printed.
func (r *row) summarize() {
	r.Replacements = len(r.stops)
	r.Requests, r.Failures = r.during.requests(), r.during.failures
	r.Kinds, r.Errors = r.during.kinds, r.during.errors
	r.P50, r.P99 = inSeconds(r.during.percentile(50)), inSeconds(r.during.percentile(99))
	r.Slowest = inSeconds(r.during.percentile(100))
	r.QuietP50, r.QuietP99 = inSeconds(r.quiet.percentile(50)), inSeconds(r.quiet.percentile(99))
	var sum time.Duration
	for _, d := range r.stops {
		sum += d
	}
	r.StopMean = inSeconds(sum) / seconds(len(r.stops))
	r.StopMax = inSeconds(slices.Max(r.stops))
}

func inSeconds(d time.Duration) seconds { return seconds(d.Seconds()) }

// printTable prints Markdown that is aligned for a terminal, too.
func printTable(rows []row, w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	line := func(cells ...string) { fmt.Fprintf(t, "| %s\t|\n", strings.Join(cells, "\t| ")) }
	line("balancer, traffic", "way of stopping", "replaced", "requests", "lost", "how",
		"p50 (quiet)", "p99 (quiet)", "stop mean", "stop max")
	line("---", "---", "--:", "--:", "--:", "---", "--:", "--:", "--:", "--:")
	for _, r := range rows {
		line(r.experiment.String(), r.wayOfStopping(), strconv.Itoa(r.Replacements),
			strconv.Itoa(r.Requests), strconv.Itoa(r.Failures), r.lostHow(),
			beside(r.P50, r.QuietP50), beside(r.P99, r.QuietP99),
			fmt.Sprintf("%.2f s", r.StopMean), fmt.Sprintf("%.2f s", r.StopMax))
	}
	_ = t.Flush() // like fmt.Fprintln: nobody is left to tell
}

func (r row) wayOfStopping() string {
	method := "Shutdown"
	if r.Traffic == trafficUnary || r.Traffic == trafficStream {
		method = "GracefulStop"
	}
	switch r.Stop {
	case stopShutdown:
		return method
	case stopSleep:
		return "sleep, then " + method
	}
	return r.Stop
}

// lostHow is "3 refused, 1 reset", the most frequent first.
func (r row) lostHow() string {
	kinds := slices.SortedFunc(maps.Keys(r.Kinds), func(a, b string) int {
		if d := r.Kinds[b] - r.Kinds[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for i, k := range kinds {
		kinds[i] = strconv.Itoa(r.Kinds[k]) + " " + k
	}
	return strings.Join(kinds, ", ")
}

func beside(now, quiet seconds) string {
	return fmt.Sprintf("%.1f (%.1f) ms", 1000*now, 1000*quiet)
}
