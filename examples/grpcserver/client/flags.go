package client

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

type config struct {
	command string
	addrs   []string

	requestID string
	noRetry   bool

	calls, parallel int           // visit
	work            time.Duration // visit
	upTo            int64         // count, sum
	pause           time.Duration // count, sum
	service         string        // watch
}

const usage = `usage: grpcserver client visit|count|sum|watch [flags]
  visit  short calls: one, whose way is printed, or many
  count  a stream of numbers from the server, which goes on elsewhere when that stops
  sum    the same in both directions
  watch  the health of one server, and each change of it`

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	var cfg config
	var addr string
	if len(args) == 0 {
		return cfg, fmt.Errorf("client: want visit, count, sum or watch (client -help says more)")
	}
	cfg.command = args[0]
	switch cfg.command {
	case "visit", "count", "sum", "watch":
		args = args[1:]
	case "-help", "--help", "-h":
		fmt.Fprintln(w, usage)
		return cfg, flag.ErrHelp
	default:
		return cfg, fmt.Errorf("client: %q is nothing that it does, want visit, count, sum or watch (client -help says more)", cfg.command)
	}

	flags := flag.NewFlagSet("client "+cfg.command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&addr, "addr", "127.0.0.1:50051", "`host:port` of the server; several with commas between them")
	if cfg.command != "watch" {
		flags.StringVar(&cfg.requestID, "request-id", "", "send this as the request ID, valid or not, in place of a fresh one")
		flags.BoolVar(&cfg.noRetry, "no-retry", false, "do without the retryPolicy, to see what fails")
	}
	switch cfg.command {
	case "visit":
		flags.IntVar(&cfg.calls, "n", 1, "how `many` calls")
		flags.IntVar(&cfg.parallel, "parallel", 4, "how `many` of them at the same time")
		flags.DurationVar(&cfg.work, "work", 0, "how long the server is to work for each")
	case "count":
		flags.Int64Var(&cfg.upTo, "up-to", 0, "the last `number`; 0 is no end")
		flags.DurationVar(&cfg.pause, "pause", 100*time.Millisecond, "between two numbers")
	case "sum":
		flags.Int64Var(&cfg.upTo, "up-to", 100, "the last `number`")
		flags.DurationVar(&cfg.pause, "pause", 100*time.Millisecond, "between two numbers")
	case "watch":
		flags.StringVar(&cfg.service, "service", "", "a `name` such as livez; the server as a whole if empty")
	}

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintf(w, "usage: grpcserver client %s [flags]\n", cfg.command)
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("client %s: %w (-help lists the flags)", cfg.command, err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("client %s: unexpected argument %q (-help lists the flags)", cfg.command, flags.Arg(0))
	}
	cfg.addrs = strings.Split(addr, ",")
	if err := cfg.validate(); err != nil {
		return cfg, fmt.Errorf("client %s: %w", cfg.command, err)
	}
	return cfg, nil
}

func (cfg config) validate() error {
	const most = 60 * time.Second // the server takes no longer ones
	switch {
	case slices.Contains(cfg.addrs, ""):
		return fmt.Errorf("-addr is %q, want host:port, or several with commas between them", strings.Join(cfg.addrs, ","))
	case cfg.command == "watch" && len(cfg.addrs) > 1:
		return fmt.Errorf("-addr is %q, want one server", strings.Join(cfg.addrs, ","))
	case cfg.command == "visit" && cfg.calls < 1:
		return fmt.Errorf("-n is %d, must be positive", cfg.calls)
	case cfg.command == "visit" && cfg.parallel < 1:
		return fmt.Errorf("-parallel is %d, must be positive", cfg.parallel)
	case cfg.work < 0 || cfg.work > most:
		return fmt.Errorf("-work is %v, want 0s to %v", cfg.work, most)
	case cfg.upTo < 0 || cfg.upTo > 1_000_000_000: // so that the sum fits
		return fmt.Errorf("-up-to is %d, want 0 to 1000000000", cfg.upTo)
	case (cfg.command == "count" || cfg.command == "sum") && (cfg.pause < time.Millisecond || cfg.pause > most):
		return fmt.Errorf("-pause is %v, want 1ms to %v", cfg.pause, most)
	}
	return nil
}
