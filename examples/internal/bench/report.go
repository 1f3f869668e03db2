package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
)

// A report is what -json prints.
type report struct {
	Environment env     `json:"environment"`
	Tables      []table `json:"tables"`
}

type env struct {
	Date       time.Time `json:"date"`
	Go         string    `json:"go"`
	OS         string    `json:"os"`
	Arch       string    `json:"arch"`
	CPU        string    `json:"cpu"`
	GOMAXPROCS int       `json:"gomaxprocs"`
	Count      int       `json:"count"`
	Benchtime  string    `json:"benchtime"`
}

type table struct {
	Package   string   `json:"package"`
	Title     string   `json:"title"`
	Scenarios []result `json:"scenarios"`
}

type result struct {
	Name string `json:"name"`
	Unit unit   `json:"unit"`
	Rows []row  `json:"rows"`
}

// A row has no value if it was skipped or failed, no bytes and allocations if they say nothing
// here, and no ratio if it is not compared or the best of its scenario is zero.
type row struct {
	Name     string   `json:"name"`
	Module   string   `json:"module,omitempty"`
	Version  string   `json:"version"`
	Value    *float64 `json:"value,omitempty"`  // in the unit of the scenario; the median
	Spread   *float64 `json:"spread,omitempty"` // how far the values lie from it at most: 0.1 is 10%
	Bytes    *int64   `json:"bytesPerOp,omitempty"`
	Allocs   *int64   `json:"allocsPerOp,omitempty"`
	Ratio    *float64 `json:"ratioToBest,omitempty"`
	Measured bool     `json:"measured"` // here and now; otherwise Value is a figure from elsewhere
	Lacks    []string `json:"lacks,omitempty"`
	Note     string   `json:"note,omitempty"`
	Unranked string   `json:"unranked,omitempty"`
	Skipped  string   `json:"skipped,omitempty"`
	Error    string   `json:"error,omitempty"`
}

func newRow(c contestant) row {
	r := row{Name: c.name, Module: c.module, Version: version(c.module), Note: c.note, Unranked: c.unranked, Skipped: c.skip}
	if c.figure != 0 {
		r.Value, r.Version = new(c.figure), "-"
	}
	return r
}

// prepare finds out what the contestant does right and what it does not do.
func (r *row) prepare(c contestant) {
	if c.skip != "" {
		return
	}
	if c.check != nil {
		if err := c.check(); err != nil {
			r.Error = err.Error()
			return
		}
	}
	if c.lacks != nil {
		r.Lacks = c.lacks()
	}
}

// failed says which rows are wrong: those of a library that does not do its job, or of a benchmark
// that is wrong about it.
func (r report) failed() error {
	var errs []error
	for _, t := range r.Tables {
		for _, s := range t.Scenarios {
			for _, row := range s.Rows {
				if row.Error != "" {
					errs = append(errs, fmt.Errorf("%s/%s/%s: %s", t.Package, s.Name, row.Name, row.Error))
				}
			}
		}
	}
	return errors.Join(errs...)
}

func environment(cfg config) env {
	cpu := cpuid.CPU.BrandName
	if cpu == "" { // it knows few processors other than those of PCs
		cpu = "unknown processor"
	}
	return env{
		Date: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpu,
		GOMAXPROCS: runtime.GOMAXPROCS(0), Count: cfg.count, Benchtime: cfg.benchtime,
	}
}

func (e env) String() string {
	return fmt.Sprintf("%s, %s/%s, %s, GOMAXPROCS %d, %s; medians of %d rounds of %s",
		e.Go, e.OS, e.Arch, e.CPU, e.GOMAXPROCS, e.Date.Format("2006-01-02 15:04 MST"), e.Count, e.Benchtime)
}

// markdown is String in two lines, which a page has room for.
func (e env) markdown() string { return strings.Replace(e.String(), "; ", ";\n", 1) }

// version is that which this program is built with.
func version(module string) string {
	switch module {
	case "":
		return runtime.Version()
	case gracekit:
		return "this tree"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				return dep.Version
			}
		}
	}
	return "unknown"
}
