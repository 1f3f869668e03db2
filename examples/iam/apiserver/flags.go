package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/flagfile"
)

type config struct {
	apiserver.Options
	embeddedRedis  string
	randomPassword bool // of the first admin
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	cfg := config{Options: apiserver.Defaults()}
	var dbFile, feedTokenFile, loginKeyFile, passwordFile string
	flags := flag.NewFlagSet("apiserver", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.Addr, "addr", "127.0.0.1:8080", "`host:port` of the API; port 0 takes a free one")
	flags.StringVar(&cfg.Feed, "feed", "127.0.0.1:8081", "`host:port` of the gRPC feed for the authzservers; it must be a loopback address")
	flags.StringVar(&feedTokenFile, "feed-token-file", "", "`file` with the token that the authzservers have, too")
	flags.StringVar(&cfg.FeedToken, "feed-token", "", "the `token` itself, which everybody on this machine can then see in the list of processes")
	flags.StringVar(&cfg.DB, "db", cfg.DB, "`database`: memory, sqlite:<file>, mysql:<DSN> or postgres://<…>")
	flags.StringVar(&dbFile, "db-file", "", "`file` with what -db would say, if that has a password in it")
	flags.StringVar(&cfg.Redis, "redis", "", "`host:port` of the Redis server; without it one runs in this process")
	flags.StringVar(&cfg.embeddedRedis, "embedded-redis", "127.0.0.1:6379", "`host:port` for the Redis in this process")
	flags.StringVar(&loginKeyFile, "login-key-file", "",
		"`file` with the key that signs logins, 32 bytes or more; without it a random one, with which logins end when this process does")
	flags.DurationVar(&cfg.LoginTTL, "login-ttl", cfg.LoginTTL, "how long a login is valid")
	flags.Float64Var(&cfg.LoginsPerSecond, "logins-per-second", cfg.LoginsPerSecond, "how often one client may try to log in")
	flags.IntVar(&cfg.BcryptCost, "bcrypt-cost", cfg.BcryptCost, "of the passwords; each step doubles the time of a login")
	flags.StringVar(&passwordFile, "admin-password-file", "", "`file` with the password of admin in a new database; without it a random one, printed once")
	flags.DurationVar(&cfg.Delay, "delay", 0, "how long to go on serving after the signal, while load balancers notice")
	flags.DurationVar(&cfg.Grace, "grace", cfg.Grace, "how long stopping may take in all")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: apiserver [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	case cfg.FeedToken != "" && feedTokenFile != "":
		return cfg, errors.New("-feed-token and -feed-token-file are both given, want one of them")
	case cfg.FeedToken == "" && feedTokenFile == "":
		return cfg, errors.New("-feed-token-file is missing: openssl rand -hex 32 makes a token")
	case dbFile != "" && cfg.DB != apiserver.Defaults().DB:
		return cfg, errors.New("-db and -db-file are both given, want one of them")
	}

	loginKey := rand.Text() + rand.Text()
	cfg.AdminPassword, cfg.randomPassword = rand.Text(), passwordFile == ""
	err = errors.Join(
		flagfile.Read("feed-token-file", feedTokenFile, &cfg.FeedToken),
		flagfile.Read("db-file", dbFile, &cfg.DB),
		flagfile.Read("login-key-file", loginKeyFile, &loginKey),
		flagfile.Read("admin-password-file", passwordFile, &cfg.AdminPassword),
	)
	cfg.LoginKey = []byte(loginKey)
	return cfg, err
}
