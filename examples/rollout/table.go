package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

type seconds float64

// A row is the outcome of one experiment.
type row struct {
	Traffic      string         `json:"traffic"`
	Stop         string         `json:"stop"`
	Replacements int            `json:"replacements"`
	Requests     int            `json:"requests"`
	Failures     int            `json:"failures"`
	P99          seconds        `json:"p99Seconds"` // of the requests that were answered
	DrainMean    seconds        `json:"drainMeanSeconds"`
	DrainMax     seconds        `json:"drainMaxSeconds"`
	Errors       map[string]int `json:"errors,omitempty"` // how often each occurred
}

func newRow(traffic, stop string, r result, drains []seconds) row {
	var sum seconds
	for _, d := range drains {
		sum += d
	}
	return row{
		Traffic:      traffic,
		Stop:         stop,
		Replacements: len(drains),
		Requests:     len(r.latencies) + r.failures,
		Failures:     r.failures,
		P99:          seconds(percentile(r.latencies, 99).Seconds()),
		DrainMean:    sum / seconds(len(drains)),
		DrainMax:     slices.Max(drains),
		Errors:       r.errors,
	}
}

// percentile is the nearest-rank one. It sorts all.
func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)*p+99)/100-1]
}

func printTable(rows []row, w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "traffic\tway of stopping\treplacements\trequests\tfailures\tp99\tdrain (mean)\tdrain (max)")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%.1f ms\t%s s\t%s s\n", r.Traffic, r.wayOfStopping(), r.Replacements, r.Requests, r.Failures,
			1000*r.P99, decimals(r.DrainMean), decimals(r.DrainMax))
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

func decimals(s seconds) string { return strconv.FormatFloat(float64(s), 'f', 2, 64) }
