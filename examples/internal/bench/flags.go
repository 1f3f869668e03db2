package main

import (
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

type config struct {
	packages  []string
	run       string
	runRegexp *regexp.Regexp
	benchtime string
	count     int
	rollout   string

	list, json, markdown bool

	svg   string   // a directory
	write []string // documents
}

// How the rollout experiment is made.
const (
	rolloutShort = "short"
	rolloutFull  = "full"
	rolloutOff   = "off"
)

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	var cfg config
	var packages, documents string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&packages, "packages", "all",
		"a `list` of "+strings.Join(packageNames(), ", ")+", or all")
	flags.StringVar(&cfg.run, "run", "",
		"only what matches this `regexp`, which is compared with package/scenario/name")
	flags.StringVar(&cfg.benchtime, "benchtime", "100ms",
		"how `long` each measurement takes, or how often it is made: 3x")
	flags.IntVar(&cfg.count, "count", 5, "how `many` measurements of each; their median is shown")
	flags.StringVar(&cfg.rollout, "rollout", rolloutShort,
		"the experiment of package shutdown: `short` (half a minute), full (two minutes), off")
	flags.BoolVar(&cfg.list, "list", false,
		"print the names that -run is compared with, and measure nothing")
	flags.BoolVar(&cfg.json, "json", false, "print JSON instead of the tables")
	flags.BoolVar(&cfg.markdown, "markdown", false, "print the tables as Markdown")
	flags.StringVar(&cfg.svg, "svg", "",
		"draw the tables into this `directory`, a picture for each")
	flags.StringVar(&documents, "write", "",
		"write the figures into these `documents` (a,b,c), between their markers <!-- bench -->")

	err := flags.Parse(args)
	if err == flag.ErrHelp { //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: bench [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	}
	if err != nil {
		return cfg, fmt.Errorf("%w (-help lists the flags)", err)
	}
	if flags.NArg() > 0 {
		return cfg, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	}
	if cfg.packages, err = choosePackages(packages); err != nil {
		return cfg, err
	}
	if documents != "" {
		cfg.write = strings.Split(documents, ",")
	}
	if cfg.runRegexp, err = regexp.Compile(cfg.run); err != nil {
		return cfg, fmt.Errorf("-run is %q: %w", cfg.run, err)
	}
	return cfg, cfg.validate()
}

func choosePackages(list string) ([]string, error) {
	all := packageNames()
	if list == "all" {
		return all, nil
	}
	chosen := strings.Split(list, ",")
	for i, name := range chosen {
		chosen[i] = strings.TrimSpace(name)
		if !slices.Contains(all, chosen[i]) {
			return nil, fmt.Errorf("-packages has %q, want some of %s, or all", chosen[i], strings.Join(all, ","))
		}
		if slices.Contains(chosen[:i], chosen[i]) {
			return nil, fmt.Errorf("-packages has %q twice", chosen[i])
		}
	}
	return chosen, nil
}

func (c config) validate() error {
	switch {
	case !isBenchtime(c.benchtime):
		return fmt.Errorf("-benchtime is %q, want a positive duration such as 100ms, or a number of runs such as 3x", c.benchtime)
	case c.count < 1 || c.count > 1000:
		return fmt.Errorf("-count is %d, want 1 to 1000", c.count)
	case !slices.Contains([]string{rolloutShort, rolloutFull, rolloutOff}, c.rollout):
		return fmt.Errorf("-rollout is %q, want short, full or off", c.rollout)
	case c.json && c.markdown:
		return fmt.Errorf("-json and -markdown exclude each other")
	case len(c.write) > 0 && (c.run != "" || len(c.packages) != len(packageNames())):
		return fmt.Errorf("-write wants all packages, and no -run")
	case c.list && (c.svg != "" || len(c.write) > 0):
		return fmt.Errorf("-list measures nothing that -svg or -write could show")
	}
	return nil
}

func isBenchtime(s string) bool {
	if times, ok := strings.CutSuffix(s, "x"); ok {
		n, err := strconv.Atoi(times)
		return err == nil && n > 0
	}
	d, err := time.ParseDuration(s)
	return err == nil && d > 0
}

// selected returns the contestants of a scenario that -run matches.
func (c config) selected(packageName string, s scenario) []contestant {
	return slices.DeleteFunc(slices.Clone(s.contestants), func(con contestant) bool {
		return !c.runRegexp.MatchString(packageName + "/" + s.name + "/" + con.name)
	})
}
