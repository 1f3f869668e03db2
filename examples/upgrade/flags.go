//go:build unix

package main

import (
	"flag"
	"fmt"
	"io"
	"time"
)

type config struct {
	addr          string
	pidFile       string
	store         string
	healthTimeout time.Duration
	linger        time.Duration
	grace         time.Duration
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("upgrade", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&cfg.pidFile, "pid-file", "", "`file` that always holds the ID of the process that serves; none if empty")
	flags.StringVar(&cfg.store, "store", "", "`file` that stands for a database: the server is healthy while it is there; none if empty")
	flags.DurationVar(&cfg.healthTimeout, "health-timeout", 10*time.Second, "how long a new process gets to become healthy")
	flags.DurationVar(&cfg.linger, "linger", 5*time.Second, "how long idle connections get to make their last request to the old process")
	flags.DurationVar(&cfg.grace, "grace", 25*time.Second, "how long stopping may take in all")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: upgrade [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	case cfg.healthTimeout <= 0:
		return cfg, fmt.Errorf("-health-timeout is %v, must be positive", cfg.healthTimeout)
	case cfg.grace <= 0:
		return cfg, fmt.Errorf("-grace is %v, must be positive", cfg.grace)
	case cfg.linger < 0:
		return cfg, fmt.Errorf("-linger is %v, must not be negative", cfg.linger)
	}
	return cfg, nil
}
