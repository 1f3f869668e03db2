package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

type config struct {
	journal string
	history bool
	addr    string

	grace   time.Duration
	timeout time.Duration

	collectEvery time.Duration
	collectTakes time.Duration
	reportEvery  time.Duration
	reportTakes  time.Duration
	fault        string
}

// Times in the journal have milliseconds.
const shortestInterval = 10 * time.Millisecond

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.journal, "journal", "worker.db", "SQLite `file` that remembers the ticks; it is made if it does not exist")
	flags.BoolVar(&cfg.history, "history", false, "print what the journal knows and exit; works while the worker runs")
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:8081", "`host:port` of /livez and /readyz; port 0 takes a free one")
	flags.DurationVar(&cfg.grace, "grace", 25*time.Second, "how long stopping may take in all; a tick that is not finished then is given up")
	flags.DurationVar(&cfg.timeout, "timeout", 20*time.Second, "how long one tick may take: its context ends then; less than -grace")
	flags.DurationVar(&cfg.collectEvery, "collect-every", time.Second, "interval of the job collect")
	flags.DurationVar(&cfg.collectTakes, "collect-takes", time.Second, "how long a tick of collect takes")
	flags.DurationVar(&cfg.reportEvery, "report-every", time.Minute, "interval of the job report")
	flags.DurationVar(&cfg.reportTakes, "report-takes", 2*time.Second, "how long a tick of report takes")
	flags.StringVar(&cfg.fault, "fault", faultNone, "`what` every third tick of collect does: "+strings.Join(faults, ", "))

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: worker [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	}
	return cfg, cfg.validate()
}

func (c config) validate() error {
	switch {
	case c.journal == "" || strings.Contains(c.journal, "?"): // the SQLite driver takes what follows for options
		return fmt.Errorf("-journal is %q, want the name of a file, without a question mark", c.journal)
	case c.grace <= 0:
		return fmt.Errorf("-grace is %v, must be positive", c.grace)
	case c.timeout <= 0:
		return fmt.Errorf("-timeout is %v, must be positive", c.timeout)
	case c.timeout >= c.grace:
		return fmt.Errorf("-timeout is %v, must be less than -grace %v, or a tick could not be waited for", c.timeout, c.grace)
	case c.collectTakes < 0:
		return fmt.Errorf("-collect-takes is %v, must not be negative", c.collectTakes)
	case c.reportTakes < 0:
		return fmt.Errorf("-report-takes is %v, must not be negative", c.reportTakes)
	case !slices.Contains(faults, c.fault):
		return fmt.Errorf("-fault is %q, want one of %s", c.fault, strings.Join(faults, ", "))
	}
	return cmp.Or(validInterval("-collect-every", c.collectEvery), validInterval("-report-every", c.reportEvery))
}

func validInterval(name string, d time.Duration) error {
	if d < shortestInterval || d%time.Millisecond != 0 {
		return fmt.Errorf("%s is %v, want %v or more, in whole milliseconds", name, d, shortestInterval)
	}
	return nil
}
