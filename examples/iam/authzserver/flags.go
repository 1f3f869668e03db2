package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/flagfile"
)

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (authzserver.Options, error) {
	opts := authzserver.Defaults()
	var tokenFile string
	flags := flag.NewFlagSet("authzserver", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opts.Addr, "addr", "127.0.0.1:9090", "`host:port` to answer at; port 0 takes a free one")
	flags.StringVar(&opts.Feed, "feed", "127.0.0.1:8081", "`host:port` of the apiserver's gRPC feed")
	flags.StringVar(&tokenFile, "feed-token-file", "", "`file` with the token that the apiserver's feed wants")
	flags.StringVar(&opts.FeedToken, "feed-token", "", "the `token` itself, which everybody on this machine can then see in the list of processes")
	flags.StringVar(&opts.Redis, "redis", "127.0.0.1:6379", "`host:port` of the Redis server that the apiserver publishes changes to")
	flags.DurationVar(&opts.Debounce, "debounce", opts.Debounce, "how long after the news of a change to fetch it, together with what else changes meanwhile")
	flags.DurationVar(&opts.Reload, "reload", opts.Reload, "how often to compare with the apiserver without any news")
	flags.DurationVar(&opts.Delay, "delay", 0, "how long to go on serving after the signal, while load balancers notice")
	flags.DurationVar(&opts.Grace, "grace", opts.Grace, "how long stopping may take in all")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: authzserver [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return opts, err
	case err != nil:
		return opts, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return opts, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	case opts.Debounce < 0:
		return opts, fmt.Errorf("-debounce is %v, must not be negative", opts.Debounce)
	case opts.Reload <= 0:
		return opts, fmt.Errorf("-reload is %v, must be positive", opts.Reload)
	case opts.Grace <= 0:
		return opts, fmt.Errorf("-grace is %v, must be positive", opts.Grace)
	case opts.Delay < 0:
		return opts, fmt.Errorf("-delay is %v, must not be negative", opts.Delay)
	case opts.Delay >= opts.Grace:
		return opts, fmt.Errorf("-delay is %v, which leaves nothing of -grace %v to stop in", opts.Delay, opts.Grace)
	case opts.FeedToken != "" && tokenFile != "":
		return opts, errors.New("-feed-token and -feed-token-file are both given, want one of them")
	case opts.FeedToken == "" && tokenFile == "":
		return opts, errors.New("-feed-token-file is missing: the file with the token that the apiserver has, too")
	}
	err = flagfile.Read("feed-token-file", tokenFile, &opts.FeedToken)
	return opts, err
}
