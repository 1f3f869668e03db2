package main

import (
	"errors"
	"flag"
	"io"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/flags"
)

// parseFlags returns an error of one line; the help goes to w only if it was asked for. Decisions
// says where they are to go.
func parseFlags(args []string, w io.Writer) (opts authzserver.Options, decisions string, err error) {
	opts = authzserver.Defaults()
	var ca, caFile, tokenFile, redisFile string
	fs := flag.NewFlagSet("authzserver", flag.ContinueOnError)
	log := flags.NewLog(fs)
	fs.StringVar(&opts.Addr, "addr", "127.0.0.1:9090", "`host:port` to answer at; port 0 takes a free one")
	fs.StringVar(&opts.AdminAddr, "admin-addr", "", "loopback `host:port` for metrics, health, profiles and the version; none without it")
	opts.Feeds = []string{"127.0.0.1:8081"}
	flags.List(fs, &opts.Feeds, "feed", "`host:port` of the gRPC feed of each apiserver")
	fs.StringVar(&caFile, "feed-ca", "", "`file` with the CA of the feed's certificate in PEM, which turns TLS on")
	fs.StringVar(&tokenFile, "feed-token-file", "", "`file` with the token that the apiserver's feed wants")
	fs.StringVar(&opts.FeedToken, "feed-token", "", "the `token` itself, which everybody on this machine can then see in the list of processes")
	fs.StringVar(&opts.Redis, "redis", "127.0.0.1:6379", "`server` to which the apiserver publishes changes: host:port, or redis://user:password@host:port/0, or rediss:// for TLS")
	fs.StringVar(&redisFile, "redis-file", "", "`file` with what -redis would say, if that has a password in it")
	fs.StringVar(&opts.Channel, "redis-channel", opts.Channel, "`channel` of Redis on which changes are told")
	fs.DurationVar(&opts.Debounce, "debounce", opts.Debounce, "how long to wait after fetching a change before the next one is fetched, together with what else changes meanwhile")
	fs.DurationVar(&opts.Poll, "poll", opts.Poll, "how often to ask the apiserver without any news")
	fs.DurationVar(&opts.MaxStale, "max-stale", opts.MaxStale, "after how long without an apiserver to be not ready and deny everything; 0 goes on")
	fs.StringVar(&decisions, "decisions", "-", "`file` to which every decision is appended as a line of JSON; - is standard output, empty is none")
	fs.DurationVar(&opts.Delay, "delay", 0, "how long to go on serving after the signal, while load balancers notice")
	fs.DurationVar(&opts.Grace, "grace", opts.Grace, "how long stopping may take in all")

	if err := flags.Parse(fs, args, w); err != nil {
		return opts, decisions, err
	}
	switch {
	case opts.FeedToken != "" && tokenFile != "":
		return opts, decisions, errors.New("-feed-token and -feed-token-file are both given, want one of them")
	case opts.FeedToken == "" && tokenFile == "":
		return opts, decisions, errors.New("-feed-token-file is missing: the file with the token that the apiserver has, too")
	case redisFile != "" && flags.Given(fs, "redis"):
		return opts, decisions, errors.New("-redis and -redis-file are both given, want one of them")
	}
	opts.Log, err = log.Logger(w)
	err = errors.Join(err,
		flags.File("feed-token-file", tokenFile, &opts.FeedToken),
		flags.File("feed-ca", caFile, &ca),
		flags.File("redis-file", redisFile, &opts.Redis),
	)
	opts.FeedCA = []byte(ca)
	return opts, decisions, err
}
