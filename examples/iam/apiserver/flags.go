package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"io"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/flags"
)

type config struct {
	apiserver.Options
	embeddedRedis  string
	randomPassword bool // of the first admin
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	cfg := config{Options: apiserver.Defaults()}
	var dbFile, redisFile, feedTokenFile, loginKeyFile, passwordFile, mode string
	fs := flag.NewFlagSet("apiserver", flag.ContinueOnError)
	log := flags.NewLog(fs)
	fs.StringVar(&mode, "mode", "release", "release, or debug, in which the middleware dump may be used")

	fs.StringVar(&cfg.Addr, "addr", "127.0.0.1:8080", "`host:port` of the API; port 0 takes a free one")
	fs.StringVar(&cfg.TLSCert, "tls-cert", "", "`file` with the certificate of the API in PEM, which turns TLS on")
	fs.StringVar(&cfg.TLSKey, "tls-key", "", "`file` with its key in PEM")
	fs.StringVar(&cfg.AdminAddr, "admin-addr", "", "loopback `host:port` for metrics, health, profiles and the version; none without it")
	flags.List(fs, &cfg.TrustedProxies, "trusted-proxies", "`addresses` or ranges whose X-Forwarded-For is believed")
	fs.StringVar(&cfg.Feed, "feed", "127.0.0.1:8081", "`host:port` of the gRPC feed for the authzservers; without TLS it must be a loopback address")
	fs.StringVar(&feedTokenFile, "feed-token-file", "", "`file` with the token that the authzservers have, too")
	fs.StringVar(&cfg.FeedToken, "feed-token", "", "the `token` itself, which everybody on this machine can then see in the list of processes")
	fs.StringVar(&cfg.DB, "db", cfg.DB, "`database`: memory, sqlite:<file>, mysql:<DSN> or postgres://<…>")
	fs.StringVar(&dbFile, "db-file", "", "`file` with what -db would say, if that has a password in it")
	fs.StringVar(&cfg.Redis, "redis", "", "`server`: host:port, or redis://user:password@host:port/0, or rediss:// for TLS; without it one runs in this process")
	fs.StringVar(&redisFile, "redis-file", "", "`file` with what -redis would say, if that has a password in it")
	fs.StringVar(&cfg.Channel, "redis-channel", cfg.Channel, "`channel` of Redis on which changes are told")
	fs.StringVar(&cfg.embeddedRedis, "embedded-redis", "127.0.0.1:6379", "`host:port` for the Redis in this process")

	fs.StringVar(&loginKeyFile, "login-key-file", "",
		"`file` with the key that signs logins, 32 bytes or more; without it a random one, with which logins end when this process does")
	fs.DurationVar(&cfg.LoginTTL, "login-ttl", cfg.LoginTTL, "how long a login is valid")
	fs.Float64Var(&cfg.LoginsPerSecond, "logins-per-second", cfg.LoginsPerSecond, "how often one client may try to log in")
	fs.IntVar(&cfg.BcryptCost, "bcrypt-cost", cfg.BcryptCost, "of the passwords; each step doubles the time of a login")
	fs.StringVar(&passwordFile, "admin-password-file", "", "`file` with the password of admin in a new database; without it a random one, printed once")
	fs.IntVar(&cfg.MaxSecrets, "max-secrets", cfg.MaxSecrets, "of one user")
	fs.IntVar(&cfg.MaxPolicies, "max-policies", cfg.MaxPolicies, "of one user")
	fs.IntVar(&cfg.MaxPolicyLength, "max-policy-length", cfg.MaxPolicyLength, "characters of all policies of one user together")

	fs.BoolVar(&cfg.CountByGroup, "count-by-group", false, "count the policies in a list of users in one query, not in one each")

	m := &cfg.Middleware
	flags.List(fs, &cfg.Middlewares, "server.middlewares", "`names`, the outermost first")
	flags.List(fs, &m.CORS.Origins, "cors.origins", "`origins` of pages that may use the API, for the middleware cors")
	flags.List(fs, &m.CORS.Methods, "cors.methods", "`methods` that they may use")
	flags.List(fs, &m.CORS.Headers, "cors.headers", "`headers` that they may send")
	fs.DurationVar(&m.CORS.MaxAge, "cors.max-age", m.CORS.MaxAge, "how long a browser may remember this")
	fs.Float64Var(&m.Limit.PerSecond, "limit.per-second", m.Limit.PerSecond, "requests of one client, for the middleware limit")
	fs.IntVar(&m.Limit.Burst, "limit.burst", m.Limit.Burst, "requests of one client at once, after a pause")
	fs.IntVar(&m.Dump.MaxBody, "dump.max-body", m.Dump.MaxBody, "bytes of each body that the middleware dump shows")
	flags.List(fs, &m.Dump.Redact, "dump.redact", "more `headers` that it does not show")

	fs.DurationVar(&cfg.Delay, "delay", 0, "how long to go on serving after the signal, while load balancers notice")
	fs.DurationVar(&cfg.Grace, "grace", cfg.Grace, "how long stopping may take in all")

	if err := flags.Parse(fs, args, w); err != nil {
		return cfg, err
	}
	switch {
	case mode != "release" && mode != "debug":
		return cfg, errors.New("-mode must be release or debug")
	case cfg.FeedToken != "" && feedTokenFile != "":
		return cfg, errors.New("-feed-token and -feed-token-file are both given, want one of them")
	case cfg.FeedToken == "" && feedTokenFile == "":
		return cfg, errors.New("-feed-token-file is missing: openssl rand -hex 32 makes a token")
	case dbFile != "" && flags.Given(fs, "db"):
		return cfg, errors.New("-db and -db-file are both given, want one of them")
	case redisFile != "" && cfg.Redis != "":
		return cfg, errors.New("-redis and -redis-file are both given, want one of them")
	}
	m.Debug = mode == "debug"

	loginKey := rand.Text() + rand.Text()
	cfg.AdminPassword, cfg.randomPassword = rand.Text(), passwordFile == ""
	logger, err := log.Logger(w)
	cfg.Log = logger
	err = errors.Join(err,
		flags.File("feed-token-file", feedTokenFile, &cfg.FeedToken),
		flags.File("db-file", dbFile, &cfg.DB),
		flags.File("redis-file", redisFile, &cfg.Redis),
		flags.File("login-key-file", loginKeyFile, &loginKey),
		flags.File("admin-password-file", passwordFile, &cfg.AdminPassword),
	)
	cfg.LoginKey = []byte(loginKey)
	return cfg, err
}
