package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"time"
)

// A scenario is one job that all of its contestants do.
type scenario struct {
	name        string
	unit        unit
	contestants []contestant
	rounds      int // 0: -count

	// sideBySide contestants are observed at the same time: they wait rather than work, so they do
	// not disturb one another.
	sideBySide bool
}

// The unit of a scenario's values; what is less is better in each.
type unit string

const (
	nanoseconds unit = "ns"
	calls       unit = "calls"
	lost        unit = "requests lost" // in as many replacements for all; a slow stop gets more requests, so a share of them would flatter it
)

// A contestant does the job in its way. One of op, sample and figure is set, or skip.
type contestant struct {
	name   string
	module string // whose version is shown; empty is the standard library
	note   string

	op     func() error                               // does the job once; its time, bytes and allocations are measured
	sample func(ctx context.Context) (float64, error) // makes one observation itself, in the unit of the scenario
	figure float64                                    // recorded elsewhere, since it cannot be measured here
	skip   string                                     // why it cannot take part in this build

	check    func() error    // whether the job is done right; called before it is measured
	lacks    func() []string // what the others do and this one does not, found out by trying
	unranked string          // why it is shown, but not compared: it does another job
}

const gracekit = "github.com/gracekit/gracekit"

// measure takes rounds, and in each of them every contestant has its turn, so that a disturbance
// hits all alike.
func (s scenario) measure(ctx context.Context, cfg config, packageName string, progress io.Writer) (result, error) {
	res := result{Name: s.name, Unit: s.unit}
	for _, c := range s.contestants {
		res.Rows = append(res.Rows, newRow(c))
	}
	if cfg.list {
		return res, nil
	}
	samples := make([][]sample, len(s.contestants))
	for i, c := range s.contestants {
		res.Rows[i].prepare(c)
	}
	rounds := s.rounds
	if rounds == 0 {
		rounds = cfg.count
	}
	for round := range rounds {
		fmt.Fprintf(progress, "%s: %s, round %d of %d\n", packageName, s.name, round+1, rounds)
		turn := func(i int) {
			row := &res.Rows[i]
			if row.Skipped != "" || row.Error != "" || s.contestants[i].figure != 0 {
				return
			}
			taken, err := s.contestants[i].takeSample(ctx)
			if err != nil {
				row.Error = err.Error()
				return
			}
			samples[i] = append(samples[i], taken)
		}
		if s.sideBySide {
			var wg sync.WaitGroup
			for i := range s.contestants {
				wg.Go(func() { turn(i) })
			}
			wg.Wait()
		} else {
			for n := range s.contestants {
				turn((round + n) % len(s.contestants)) // nobody is always the first after the others' garbage
			}
		}
		if ctx.Err() != nil {
			return res, context.Cause(ctx)
		}
	}
	for i := range res.Rows {
		res.Rows[i].summarize(samples[i])
	}
	res.rank()
	return res, nil
}

type sample struct {
	value         float64
	bytes, allocs int64
	hasMemory     bool
}

func (c contestant) takeSample(ctx context.Context) (sample, error) {
	if c.sample != nil {
		value, err := c.sample(ctx)
		return sample{value: value}, err
	}
	var failure error
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if failure = c.op(); failure != nil {
				b.FailNow()
			}
		}
	})
	if failure == nil && r.N == 0 {
		failure = errors.New("the benchmark did not end")
	}
	if failure != nil {
		return sample{}, failure
	}
	return sample{
		value: float64(r.T) / float64(time.Nanosecond) / float64(r.N),
		bytes: r.AllocedBytesPerOp(), allocs: r.AllocsPerOp(), hasMemory: true,
	}, nil
}

// summarize takes the median of each, and how far the values lie from theirs.
func (r *row) summarize(samples []sample) {
	if len(samples) == 0 || r.Error != "" {
		return
	}
	r.Measured = true
	value := medianOf(samples, func(s sample) float64 { return s.value })
	r.Value = new(value)
	if len(samples) > 1 && value != 0 {
		r.Spread = new(0.0)
		for _, s := range samples {
			*r.Spread = max(*r.Spread, math.Abs(s.value-value)/value)
		}
	}
	if samples[0].hasMemory {
		r.Bytes = new(int64(medianOf(samples, func(s sample) float64 { return float64(s.bytes) })))
		r.Allocs = new(int64(medianOf(samples, func(s sample) float64 { return float64(s.allocs) })))
	}
}

func medianOf(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// rank compares each row with the best of those that do the same job and were measured here.
func (r *result) rank() {
	best := math.Inf(1)
	for _, row := range r.Rows {
		if row.Measured && row.Unranked == "" {
			best = min(best, *row.Value)
		}
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		switch {
		case row.Value == nil || row.Unranked != "" || math.IsInf(best, 1):
		case *row.Value == best:
			row.Ratio = new(1.0)
		case best != 0: // nothing is a multiple of none
			row.Ratio = new(*row.Value / best)
		}
	}
}
