package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// What the clients send.
const (
	trafficHTTP1  = "http1"
	trafficHTTP2  = "http2"
	trafficUnary  = "grpc-unary"
	trafficStream = "grpc-stream"
)

// How a replica is stopped.
const (
	stopKill     = "kill"
	stopShutdown = "shutdown"
	stopSleep    = "sleep"
	stopGracekit = "gracekit"
)

var (
	allTraffic = []string{trafficHTTP1, trafficHTTP2, trafficUnary, trafficStream}
	allStops   = []string{stopKill, stopShutdown, stopSleep, stopGracekit}
)

type config struct {
	traffic, stop []string

	replicas, replacements, requests int
	clients, parallel                int

	lag, delay, work time.Duration
	timeout          time.Duration
	json             bool
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	var cfg config
	var traffic, stop string
	flags := flag.NewFlagSet("rollout", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&traffic, "traffic", trafficHTTP1, "what the clients send: a `list` of "+strings.Join(allTraffic, ", ")+", or all")
	flags.StringVar(&stop, "stop", "all", "how replicas are stopped: a `list` of "+strings.Join(allStops, ", ")+", or all")
	flags.IntVar(&cfg.replicas, "replicas", 3, "how `many` processes serve")
	flags.IntVar(&cfg.replacements, "replacements", 20, "how `many` of them are replaced, one after the other")
	flags.IntVar(&cfg.requests, "requests", 10_000, "at least `so many` requests for each row; more if the replacements take longer")
	flags.IntVar(&cfg.clients, "clients", 4, "how `many` clients, each with connections of its own")
	flags.IntVar(&cfg.parallel, "parallel", 4, "how `many` requests each client has in flight")
	flags.DurationVar(&cfg.lag, "lag", 200*time.Millisecond, "how long the balancer goes on choosing a replica that is being stopped")
	flags.DurationVar(&cfg.delay, "delay", time.Second, "how long sleep and gracekit go on serving after SIGTERM; more than -lag")
	flags.DurationVar(&cfg.work, "work", 2*time.Millisecond, "how long a request takes on average")
	flags.DurationVar(&cfg.timeout, "timeout", 3*time.Minute, "how long one row may take")
	flags.BoolVar(&cfg.json, "json", false, "print JSON instead of the table")

	err := flags.Parse(args)
	if err == flag.ErrHelp { //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: rollout [flags]")
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
	if cfg.traffic, err = list("-traffic", traffic, allTraffic); err != nil {
		return cfg, err
	}
	if cfg.stop, err = list("-stop", stop, allStops); err != nil {
		return cfg, err
	}
	return cfg, cfg.validate()
}

// list splits a list of names, of which each has to be one of all.
func list(name, value string, all []string) ([]string, error) {
	if value == "all" {
		return all, nil
	}
	var chosen []string
	for item := range strings.SplitSeq(value, ",") {
		item = strings.TrimSpace(item)
		if !slices.Contains(all, item) {
			return nil, fmt.Errorf("%s has %q, want some of %s, or all", name, item, strings.Join(all, ","))
		}
		chosen = append(chosen, item)
	}
	return chosen, nil
}

func (c config) validate() error {
	for _, n := range []struct {
		name       string
		value, min int
		max        int
	}{
		{"-replicas", c.replicas, 2, 100}, // with one, nobody serves while it is replaced
		{"-replacements", c.replacements, 1, 1000},
		{"-requests", c.requests, 1, maxRequests},
		{"-clients", c.clients, 1, 1000},
		{"-parallel", c.parallel, 1, 1000},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("%s is %d, want %d to %d", n.name, n.value, n.min, n.max)
		}
	}
	switch {
	case c.lag < 0:
		return fmt.Errorf("-lag is %v, must not be negative", c.lag)
	case c.work < 0:
		return fmt.Errorf("-work is %v, must not be negative", c.work)
	case c.timeout <= 0:
		return fmt.Errorf("-timeout is %v, must be positive", c.timeout)
	case c.delay <= c.lag:
		return fmt.Errorf("-delay is %v, must be more than -lag %v: nothing can save requests that are sent to a replica that is gone", c.delay, c.lag)
	case c.delay >= grace:
		return fmt.Errorf("-delay is %v, which leaves nothing of the %v that a replica has to stop in", c.delay, grace)
	}
	return nil
}
