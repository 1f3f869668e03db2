// Command authzserver answers POST /v1/authz from a copy of all secrets and policies, which it keeps equal to the apiserver's. Run
// as many of them as the questions need:
//
//	go run -C examples ./iam/authzserver -addr 127.0.0.1:9090 -feed 127.0.0.1:8081 -redis 127.0.0.1:6379 -feed-token-file token
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

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/signals"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signals.NotifyContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp): // the flag package has printed it
	case err != nil:
		fmt.Fprintln(os.Stderr, "authzserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	opts, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	opts.Log = slog.New(reqid.LogHandler(slog.NewTextHandler(stderr, nil)))
	notify.SetLogger(opts.Log)
	return authzserver.Run(ctx, opts)
}
