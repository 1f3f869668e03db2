package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

type config struct {
	via, mode, traffic, load, stop []string

	replicas, replacements, requests int
	clients, parallel, rate          int

	lag, delay, work, quiet time.Duration
	timeout                 time.Duration
	json, require           bool
	svg, timeline           string
}

// quick is what -quick sets, unless a flag says otherwise.
func quick() map[string]string {
	return map[string]string{
		"via": "own,haproxy,nginx,caddy", "stop": stopGracekit, "replacements": "2", "requests": "1",
		"lag": "200ms", "delay": "500ms", "quiet": "300ms",
	}
}

// parseFlags returns a usageError of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	var cfg config
	var isQuick bool
	flags := flag.NewFlagSet("rollout", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	lists := cfg.lists()
	for _, l := range lists {
		flags.StringVar(&l.value, l.name, l.value,
			l.usage+": a `list` of "+strings.Join(l.all, ", ")+", or all")
	}
	flags.IntVar(&cfg.replicas, "replicas", 3, "how `many` processes serve")
	flags.IntVar(&cfg.replacements, "replacements", 20,
		"at least so `many` of them are replaced, one after the other")
	flags.IntVar(&cfg.requests, "requests", 10_000,
		"at least so `many` requests a row: replacements go on until then")
	flags.IntVar(&cfg.clients, "clients", 4, "how `many` clients, each with its own connections")
	flags.IntVar(&cfg.parallel, "parallel", 4,
		"how `many` requests each client has in flight, in a closed loop")
	flags.IntVar(&cfg.rate, "rate", 500, "how `many` requests a second, in an open loop")
	flags.DurationVar(&cfg.lag, "lag", 200*time.Millisecond,
		"how long a balancer takes to notice that a replica is stopping")
	flags.DurationVar(&cfg.delay, "delay", time.Second,
		"how long sleep and gracekit go on serving after SIGTERM; more than -lag")
	flags.DurationVar(&cfg.work, "work", 2*time.Millisecond, "how long a request takes on average")
	flags.DurationVar(&cfg.quiet, "quiet", 2*time.Second,
		"how long requests are measured before the first replacement")
	flags.DurationVar(&cfg.timeout, "timeout", 10*time.Minute, "how long one row may take")
	flags.BoolVar(&cfg.json, "json", false, "print JSON instead of the table")
	flags.StringVar(&cfg.svg, "svg", "", "draw loss and stop time to this `file`")
	flags.StringVar(&cfg.timeline, "timeline", "",
		"draw loss in all, and one stop of gracekit step by step, to this `file`")
	flags.BoolVar(&cfg.require, "require", false, "fail if a balancer of -via is not installed")
	flags.BoolVar(&isQuick, "quick", false, "a run of some 15s that shows whether it works")

	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(w, "usage: rollout [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		return cfg, usageError{fmt.Errorf("%w (-help lists the flags)", expected(flags, err))}
	}
	if isQuick {
		setUnlessGiven(flags, quick())
	}
	for _, l := range lists {
		if *l.to, err = l.split(); err != nil {
			return cfg, usageError{err}
		}
	}
	if err := cfg.validate(); err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

// A usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A listFlag is one whose value is a list of names, of which each has to be one of all.
type listFlag struct {
	name, value, usage string
	all                []string
	to                 *[]string
}

func (c *config) lists() []*listFlag {
	return []*listFlag{
		{"via", viaOwn, "what stands before the replicas", allVia(), &c.via},
		{"mode", modeSurge, "how a replica is replaced", allModes(), &c.mode},
		{"traffic", trafficHTTP1, "what the clients send", allTraffic(), &c.traffic},
		{"load", loadClosed, "when the clients send", allLoads(), &c.load},
		{"stop", "all", "how replicas are stopped", allStops(), &c.stop},
	}
}

func (l *listFlag) split() ([]string, error) {
	if l.value == "all" {
		return l.all, nil
	}
	var chosen []string
	for item := range strings.SplitSeq(l.value, ",") {
		item = strings.TrimSpace(item)
		if !slices.Contains(l.all, item) {
			return nil, fmt.Errorf("-%s has %q, want some of %s, or all",
				l.name, item, strings.Join(l.all, ","))
		}
		if !slices.Contains(chosen, item) {
			chosen = append(chosen, item)
		}
	}
	return chosen, nil
}

// expected makes an error of the flag package say what was expected instead of the value.
func expected(flags *flag.FlagSet, err error) error {
	m := regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-(\S+): `).
		FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	want := "true or false"
	switch f := flags.Lookup(m[2]); f.Value.(flag.Getter).Get().(type) {
	case int:
		want = "a whole number such as " + f.DefValue
	case time.Duration:
		want = "a duration such as " + f.DefValue
	}
	return fmt.Errorf("-%s is %s, want %s", m[2], m[1], want)
}

func setUnlessGiven(flags *flag.FlagSet, values map[string]string) {
	flags.Visit(func(f *flag.Flag) { delete(values, f.Name) })
	for name, value := range values {
		_ = flags.Set(name, value) // the test of -quick would show an error
	}
}

func (c config) validate() error {
	for _, n := range []struct {
		name            string
		value, min, max int
	}{
		{"-replicas", c.replicas, 2, 100}, // with one, nobody serves while it is replaced
		{"-replacements", c.replacements, 1, 1000},
		{"-requests", c.requests, 1, maxRequests},
		{"-clients", c.clients, 1, 1000},
		{"-parallel", c.parallel, 1, 1000},
		{"-rate", c.rate, 1, 100_000},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("%s is %d, want %d to %d", n.name, n.value, n.min, n.max)
		}
	}
	switch {
	case c.lag < 0:
		return fmt.Errorf("-lag is %v, want 0 or more", c.lag)
	case c.lag < leastLag && slices.ContainsFunc(c.via, isProgram):
		return fmt.Errorf("-lag is %v, want at least %v: the balancers check that often", c.lag, leastLag)
	case c.work < 0:
		return fmt.Errorf("-work is %v, want 0 or more", c.work)
	case c.quiet <= 0:
		return fmt.Errorf("-quiet is %v, want more than 0", c.quiet)
	case c.timeout <= 0:
		return fmt.Errorf("-timeout is %v, want more than 0", c.timeout)
	case c.delay <= c.lag:
		return fmt.Errorf("-delay is %v, want more than -lag, %v: "+
			"until then requests come in any case", c.delay, c.lag)
	case c.delay >= grace:
		return fmt.Errorf("-delay is %v, want less than the %v that a stop may take", c.delay, grace)
	}
	return nil
}
