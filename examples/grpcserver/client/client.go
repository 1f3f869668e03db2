// Package client is the client of the example: what it takes on this side so that nobody notices
// the stop of a server.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gracekit/gracekit/examples/grpcserver/demo"
	"github.com/gracekit/gracekit/examples/grpcserver/interceptor"
	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/signals"
)

// Run is the command: args begin with the name of what to do.
func Run(args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	ctx, stop := signals.NotifyContext(context.Background())
	defer stop()
	err = cfg.run(ctx, stdout)
	if _, interrupted := signals.FromContext(ctx); interrupted && err != nil {
		return context.Cause(ctx) // that says why; the status of a call that was broken off does not
	}
	return err
}

func (cfg config) run(ctx context.Context, w io.Writer) error {
	if cfg.command == "watch" {
		conn, err := DialPlain(cfg.addrs[0])
		if err != nil {
			return err
		}
		defer conn.Close()
		return watch(ctx, conn, cfg.service, w)
	}

	var opts []grpc.DialOption
	if cfg.noRetry {
		opts = append(opts, grpc.WithDisableRetry())
	}
	conn, err := Dial(cfg.addrs, opts...)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := demo.NewDemoClient(conn)
	if ctx, err = cfg.withRequestID(ctx); err != nil {
		return err
	}
	switch cfg.command {
	case "count":
		return cfg.count(ctx, client, w)
	case "sum":
		return cfg.sum(ctx, client, w)
	case "visit":
		if cfg.calls == 1 {
			return visitOnce(ctx, client, cfg.work, w)
		}
		visits := VisitMany(ctx, client, cfg.calls, cfg.parallel, cfg.work)
		fmt.Fprintln(w, visits)
		return errors.Join(visits.Failed[:min(len(visits.Failed), 3)]...)
	}
	return nil
}

// withRequestID gives all calls one ID: a fresh one, or what the user wants to see the server's
// answer to.
func (cfg config) withRequestID(ctx context.Context) (context.Context, error) {
	if cfg.requestID == "" {
		return reqid.NewContext(ctx, reqid.New())
	}
	return metadata.AppendToOutgoingContext(ctx, interceptor.Header, cfg.requestID), nil
}

func (cfg config) count(ctx context.Context, client demo.DemoClient, w io.Writer) error {
	numbers, streams, server := 0, 1, ""
	counter := Counter{Client: client, UpTo: cfg.upTo, Pause: cfg.pause,
		Each: func(resp *demo.CountResponse) {
			numbers++
			if resp.GetServer() != server {
				server = resp.GetServer()
				fmt.Fprintf(w, "%d from %s\n", resp.GetNumber(), server)
			}
		},
		Resumed: func(after int64, err error) {
			streams++
			fmt.Fprintf(w, "%d was the last: %v\n", after, err)
		},
	}
	err := counter.Run(ctx)
	fmt.Fprintf(w, "%d numbers, each once and in order; streams: %d\n", numbers, streams)
	return err
}

func (cfg config) sum(ctx context.Context, client demo.DemoClient, w io.Writer) error {
	streams := 1
	sum, err := Adder{Client: client, Numbers: cfg.upTo, Pause: cfg.pause, Resumed: func(after int64, err error) {
		streams++
		fmt.Fprintf(w, "%d was the last: %v\n", after, err)
	}}.Run(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "1 to %d make %d; streams: %d\n", cfg.upTo, sum, streams)
	if want := cfg.upTo * (cfg.upTo + 1) / 2; sum != want {
		return fmt.Errorf("the sum is %d, want %d", sum, want)
	}
	return nil
}
