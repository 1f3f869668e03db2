// Command iam runs a whole system for access control in one process: the apiserver, which manages
// users, secrets and policies, two authzservers, which answer who may do what, SQLite, and Redis.
//
//	go run -C examples ./iam
//
// It prints four commands to try. The programs in apiserver and authzserver run the same parts one
// by one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver"
	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/embedded"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/reqid"
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
		fmt.Fprintln(os.Stderr, "iam:", err)
		os.Exit(1)
	}
}

// run is main with an error: its defers run whatever happens, and a test can call it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	// Every record whose context belongs to a request carries its ID and user; the attribute server
	// says which of the three wrote it.
	log := slog.New(reqid.LogHandler(slog.NewTextHandler(stderr, nil)))
	notify.SetLogger(log)

	redisAddr := cfg.redis
	if redisAddr == "" {
		at, stop, err := embedded.Redis("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer stop() // when all servers have ended
		redisAddr = at
	}

	// The first server that fails ends the others, and so does the end of ctx. Each one stops in
	// its own order.
	group := newGroup(ctx)
	api, firstStart := cfg.apiserver(log, redisAddr)
	ready := make(chan addresses, 1)
	api.OnReady = func(addr, feed string) { ready <- addresses{api: addr, feed: feed} }
	group.run("apiserver", func(ctx context.Context) error { return apiserver.Run(ctx, api) })
	group.run("authzservers", func(ctx context.Context) error {
		at, err := wait(ctx, ready)
		if err != nil {
			return nil // somebody has asked for the end, or says why
		}
		for i := range authzservers {
			up := make(chan string, 1)
			authz := cfg.authzserver(log, redisAddr, at.feed, i)
			authz.OnReady = func(addr string) { up <- addr }
			group.run(fmt.Sprint("authzserver ", i+1), func(ctx context.Context) error { return authzserver.Run(ctx, authz) })
			addr, err := wait(ctx, up)
			if err != nil {
				return nil
			}
			at.authz = append(at.authz, addr)
		}
		return introduce(ctx, stdout, at, api.AdminPassword, firstStart())
	})
	return group.wait()
}

const authzservers = 2

// addresses are where the servers answer.
type addresses struct {
	api, feed string
	authz     []string
}

func wait[T any](ctx context.Context, c <-chan T) (v T, err error) {
	select {
	case v = <-c:
		return v, nil
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}
