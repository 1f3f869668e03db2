package main

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// A tally is what became of requests.
type tally struct {
	latencies []time.Duration // of the requests that were answered
	failures  int
	kinds     map[string]int // how often a failure was of a kind
	errors    map[string]int // how often each error occurred
}

func newTally() *tally { return &tally{kinds: map[string]int{}, errors: map[string]int{}} }

func (t *tally) add(latency time.Duration, err error) {
	if err == nil {
		t.latencies = append(t.latencies, latency)
		return
	}
	text := countable(err.Error())
	t.failures++
	t.kinds[kindOf(text)]++
	t.errors[text]++
}

func (t *tally) requests() int { return len(t.latencies) + t.failures }

// percentile is the nearest-rank one. It sorts the latencies.
func (t *tally) percentile(p int) time.Duration {
	if len(t.latencies) == 0 {
		return 0
	}
	slices.Sort(t.latencies)
	return t.latencies[(len(t.latencies)*p+99)/100-1]
}

// countable makes errors that differ only in a number the same.
func countable(text string) string {
	text = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "address")
	return regexp.MustCompile(`stream ID \d+`).ReplaceAllString(text, "stream")
}

// kindOf says how a request was lost. It goes by the text, because gRPC keeps nothing else of an
// error, and the errors of net/http's HTTP/2 have no names. The first that fits is taken.
func kindOf(text string) string {
	for _, k := range []struct{ part, kind string }{
		{"connection refused", "refused"},
		{"502 ", "502"},
		{"503 ", "503"},
		{"504 ", "504"},
		{"GOAWAY", "GOAWAY"},
		{"graceful shutdown", "GOAWAY"},
		{"REFUSED_STREAM", "GOAWAY"},
		{"H3_REQUEST_REJECTED", "GOAWAY"},
		{"connection reset", "reset"},
		{"broken pipe", "reset"},
		{"timeout", "timeout"},
		{"deadline exceeded", "timeout"},
		{"EOF", "closed"},
		{"closed", "closed"},
		{"connection lo", "closed"}, // lost, loss
		{"transport", "closed"},
		{"H3_NO_ERROR", "closed"},
	} {
		if strings.Contains(text, k.part) {
			return k.kind
		}
	}
	return "other"
}
