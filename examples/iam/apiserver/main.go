// Command apiserver manages users, secrets and policies, and feeds the authzservers. With its
// defaults it needs nothing but a token to share with them:
//
//	openssl rand -hex 32 >/tmp/feed.token
//	go run -C examples ./iam/apiserver -feed-token-file /tmp/feed.token
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/embedded"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/signals"
)

func main() {
	gin.SetMode(gin.ReleaseMode) // it is about what gin prints by itself; there is a logger
	ctx, stop := signals.NotifyContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp): // the flag package has printed it
	case err != nil:
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	opts := cfg.Options
	notify.SetLogger(opts.Log)
	opts.Report = stdout
	embeddedRedis := opts.Redis == ""
	if embeddedRedis {
		opts.Redis = cfg.embeddedRedis
	}
	if err := opts.Validate(); err != nil { // before anything is started
		return err
	}
	if embeddedRedis {
		at, stop, err := embedded.Redis(cfg.embeddedRedis)
		if err != nil {
			return fmt.Errorf("%w (if that is a Redis server, use it: -redis %s)", err, cfg.embeddedRedis)
		}
		defer stop()
		opts.Log.Info("Redis runs in this process", "addr", at)
		opts.Redis = at
	}
	if cfg.randomPassword {
		opts.OnFirstStart = func() { // not into the log, which others read
			fmt.Fprintf(stdout, "The user admin has been created, with the password %s\nThis is shown once.\n", opts.AdminPassword)
		}
	}
	return apiserver.Run(ctx, opts)
}
