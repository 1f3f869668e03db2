package main

import (
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
)

type config struct {
	ports int
	db    string
	redis string
	delay time.Duration
	grace time.Duration
	cost  int // of the passwords

	feedToken, loginKey, adminPassword string // made anew at each start
}

// parseFlags returns an error of one line; the help goes to w only if it was asked for.
func parseFlags(args []string, w io.Writer) (config, error) {
	cfg := config{feedToken: rand.Text(), loginKey: rand.Text() + rand.Text(), adminPassword: rand.Text()}
	flags := flag.NewFlagSet("iam", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&cfg.ports, "ports", 8080, "first of the four `ports` on loopback: apiserver, its feed, two authzservers; 0 takes free ones")
	flags.StringVar(&cfg.db, "db", "memory", "`database`: memory, sqlite:<file>, mysql:<DSN> or postgres://<…>")
	flags.StringVar(&cfg.redis, "redis", "", "`host:port` of a Redis server; without it one runs in this process")
	flags.DurationVar(&cfg.delay, "delay", 0, "how long to go on serving after the signal, while load balancers notice")
	flags.DurationVar(&cfg.grace, "grace", 25*time.Second, "how long stopping may take in all")

	flags.IntVar(&cfg.cost, "bcrypt-cost", apiserver.Defaults().BcryptCost, "of the passwords; each step doubles the time of a login")

	err := flags.Parse(args)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // Parse returns it as it is
		fmt.Fprintln(w, "usage: iam [flags]")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("%w (-help lists the flags)", err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	case cfg.ports < 0 || cfg.ports > 65535-authzservers-1:
		return cfg, fmt.Errorf("-ports is %d, must be 0 to %d", cfg.ports, 65535-authzservers-1)
	case cfg.grace <= 0:
		return cfg, fmt.Errorf("-grace is %v, must be positive", cfg.grace)
	case cfg.delay < 0:
		return cfg, fmt.Errorf("-delay is %v, must not be negative", cfg.delay)
	case cfg.delay >= cfg.grace:
		return cfg, fmt.Errorf("-delay is %v, which leaves nothing of -grace %v to stop in", cfg.delay, cfg.grace)
	}
	return cfg, nil
}

// apiserver returns its options, and a function that says, once it is ready, whether it has created
// the user admin.
func (c config) apiserver(log *slog.Logger, redis string) (o apiserver.Options, firstStart func() bool) {
	var first atomic.Bool
	o = apiserver.Defaults()
	o.Addr, o.Feed, o.FeedToken = c.addr(0), c.addr(1), c.feedToken
	o.DB, o.Redis = c.db, redis
	o.LoginKey, o.AdminPassword = []byte(c.loginKey), c.adminPassword
	o.BcryptCost = c.cost
	o.OnFirstStart = func() { first.Store(true) }
	o.Delay, o.Grace = c.delay, c.grace
	o.Log = log
	return o, first.Load
}

func (c config) authzserver(log *slog.Logger, redis, feed string, i int) authzserver.Options {
	o := authzserver.Defaults()
	o.Addr, o.Feeds, o.FeedToken, o.Redis = c.addr(2+i), []string{feed}, c.feedToken, redis
	o.Delay, o.Grace = c.delay, c.grace
	o.Log = log
	return o
}

func (c config) addr(i int) string {
	if c.ports == 0 {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.ports+i))
}
