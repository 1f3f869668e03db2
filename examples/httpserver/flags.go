package main

import (
	"flag"
	"fmt"
	"io"
	"time"
)

type config struct {
	addr        string
	delay       time.Duration
	linger      time.Duration
	grace       time.Duration
	healthcheck bool
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("httpserver", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one")
	flags.DurationVar(&cfg.delay, "delay", 0, "how long to go on serving after the signal, while load balancers notice")
	flags.DurationVar(&cfg.linger, "linger", 500*time.Millisecond, "how long idle connections get to make a last request")
	flags.DurationVar(&cfg.grace, "grace", 25*time.Second, "how long stopping may take in all")
	flags.BoolVar(&cfg.healthcheck, "healthcheck", false, "ask the server that runs at -addr whether it is ready, and exit with 0 or 1")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: httpserver [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	case cfg.grace <= 0:
		return cfg, fmt.Errorf("-grace is %v, must be positive", cfg.grace)
	case cfg.delay < 0:
		return cfg, fmt.Errorf("-delay is %v, must not be negative", cfg.delay)
	case cfg.linger < 0:
		return cfg, fmt.Errorf("-linger is %v, must not be negative", cfg.linger)
	case cfg.delay >= cfg.grace:
		return cfg, fmt.Errorf("-delay is %v, which leaves nothing of -grace %v to stop in", cfg.delay, cfg.grace)
	}
	return cfg, nil
}
