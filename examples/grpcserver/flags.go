package main

import (
	"flag"
	"fmt"
	"io"
	"time"
)

type config struct {
	addr, name, next string

	delay, grace time.Duration
	longest      time.Duration
	age, ageMore time.Duration
	minPing      time.Duration

	maintenance string
	checkEvery  time.Duration
	ignoreStop  bool

	healthcheck bool
	service     string
}

func (c config) nameOr(addr string) string {
	if c.name != "" {
		return c.name
	}
	return addr
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("grpcserver", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:50051", "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&cfg.name, "name", "", "what the server calls itself in its answers; its address if empty")
	flags.StringVar(&cfg.next, "next", "", "`host:port` of the server behind this one, which every visit goes on to")
	flags.DurationVar(&cfg.delay, "delay", 0, "how long to go on serving after the signal, while clients and balancers notice")
	flags.DurationVar(&cfg.grace, "grace", 25*time.Second, "how long stopping may take in all")
	flags.DurationVar(&cfg.longest, "longest-call", 30*time.Second, "how long a unary call may take, whatever deadline its client has")
	flags.DurationVar(&cfg.age, "max-connection-age", 30*time.Minute, "how old a connection gets before its client is asked to open a new one, 10% more or less")
	flags.DurationVar(&cfg.ageMore, "max-connection-age-grace", time.Minute, "how long the calls of such a connection may go on before it is cut")
	flags.DurationVar(&cfg.minPing, "min-ping", 10*time.Second, "how often a client may ping; one that does so more often is sent away")
	flags.StringVar(&cfg.maintenance, "maintenance-file", "", "`file` that makes the server NOT_SERVING while it exists")
	flags.DurationVar(&cfg.checkEvery, "check-every", time.Second, "how often to look for that file")
	flags.BoolVar(&cfg.ignoreStop, "ignore-stop", false, "a bug to try: Count streams do not end when the server stops")
	flags.BoolVar(&cfg.healthcheck, "healthcheck", false, "ask the server that runs at -addr how -service is, and exit with 0 or 1")
	flags.StringVar(&cfg.service, "service", "", "for -healthcheck: a `name` such as livez; the server as a whole if empty")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: grpcserver [flags]\n       grpcserver client visit|count|sum|watch [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q, want flags or, at the very beginning, client (-help lists the flags)", flags.Arg(0))
	}
	return cfg, cfg.validate()
}

func (c config) validate() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"-grace", c.grace},
		{"-longest-call", c.longest},
		{"-max-connection-age", c.age},
		{"-max-connection-age-grace", c.ageMore},
		{"-min-ping", c.minPing},
		{"-check-every", c.checkEvery},
	} {
		if d.value <= 0 {
			return fmt.Errorf("%s is %v, must be positive", d.name, d.value)
		}
	}
	switch {
	case c.addr == "": // a variable that is not set; net.Listen would take all interfaces and any port
		return fmt.Errorf("-addr is %q, want host:port", c.addr)
	case c.delay < 0:
		return fmt.Errorf("-delay is %v, must not be negative", c.delay)
	case c.delay >= c.grace:
		return fmt.Errorf("-delay is %v, which leaves nothing of -grace %v to stop in", c.delay, c.grace)
	case c.service != "" && !c.healthcheck:
		return fmt.Errorf("-service is %q, which means nothing without -healthcheck", c.service)
	}
	return nil
}
