// Command authzserver answers POST /v1/authz from a copy of all secrets and policies, which it
// keeps equal to the apiserver's. Run as many of them as the questions need:
//
//	go run -C examples ./iam/authzserver -addr 127.0.0.1:9090 -feed 127.0.0.1:8081 -redis 127.0.0.1:6379 -feed-token-file token
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/iam/internal/authzserver"
	"github.com/gracekit/gracekit/examples/iam/internal/notify"
	"github.com/gracekit/gracekit/signals"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signals.NotifyContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp): // the flag package has printed it
	case err != nil:
		fmt.Fprintln(os.Stderr, "authzserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts, decisions, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	notify.SetLogger(opts.Log)
	switch decisions {
	case "":
	case "-":
		opts.Decisions = stdout
	default:
		file, err := os.OpenFile(decisions, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("-decisions: %w", err)
		}
		defer file.Close()
		opts.Decisions = file
	}
	return authzserver.Run(ctx, opts)
}
