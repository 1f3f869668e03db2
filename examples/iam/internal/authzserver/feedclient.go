package authzserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/reqid"
)

// A feedClient asks one of the apiservers, and the next one if that does not answer. It is for one
// goroutine.
type feedClient struct {
	apiservers []*grpc.ClientConn
	at         int // which of them
	log        *slog.Logger
}

const (
	// firstAnswer is how long an apiserver may take to say that it has understood.
	firstAnswer = 3 * time.Second
	// stallTimeout is how long it may send nothing in the middle of an answer. A long one may take
	// as long as it needs.
	stallTimeout = 20 * time.Second
)

// dialFeed does not connect yet. Without a CA nothing is encrypted.
func dialFeed(addrs []string, ca []byte, token string, log *slog.Logger) (*feedClient, error) {
	creds := insecure.NewCredentials()
	if len(ca) > 0 {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca) // validated already
		creds = credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13})
	}
	f := &feedClient{log: log}
	for _, addr := range addrs {
		conn, err := grpc.NewClient(addr,
			grpc.WithTransportCredentials(creds),
			grpc.WithStreamInterceptor(identify(token)),
			// gRPC's own backoff goes up to two minutes, for which this server would be behind
			// after the apiserver is back.
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
				MinConnectTimeout: 2 * time.Second,
			}),
			// A connection that is dead without a word is found before a fetch stalls, and
			// replaced.
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("feed %s: %w", addr, err), f.Close())
		}
		f.apiservers = append(f.apiservers, conn)
	}
	return f, nil
}

// Close closes all connections.
func (f *feedClient) Close() error {
	var errs []error
	for _, conn := range f.apiservers {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// identify sends the shared token and the request ID with each call.
func identify(token string) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		md := metadata.Pairs("authorization", "Bearer "+token)
		reqid.Inject(ctx, func(key, value string) { md.Set(key, value) })
		return next(metadata.NewOutgoingContext(ctx, md), desc, conn, method, opts...)
	}
}

// changes asks for what has changed since a revision, each apiserver once at most.
func (f *feedClient) changes(ctx context.Context, since revision) (*changes, error) {
	var errs []error
	for range f.apiservers {
		conn := f.apiservers[f.at]
		c, err := f.ask(ctx, feed.NewFeedClient(conn), since)
		if err == nil {
			return c, nil
		}
		if strings.Contains(err.Error(), "server preface") {
			err = fmt.Errorf("%w (if it has TLS, -feed-ca is missing here)", err)
		}
		errs = append(errs, fmt.Errorf("feed %s: %w", conn.Target(), err))
		if ctx.Err() != nil {
			break
		}
		f.at = (f.at + 1) % len(f.apiservers)
	}
	return nil, errors.Join(errs...)
}

// ask reads one answer, all of it or an error.
func (f *feedClient) ask(ctx context.Context, client feed.FeedClient, since revision) (c *changes, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(firstAnswer, func() { cancel(errors.New("the apiserver is silent")) })
	defer stalled.Stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // that says why; gRPC says that it was canceled
		}
	}()

	stream, err := client.Changes(ctx, &feed.ChangesRequest{Since: &feed.Revision{Number: since.number, Stamp: since.stamp}})
	if err != nil {
		return nil, err
	}
	if _, err := stream.Header(); err != nil {
		return nil, err
	}
	c = new(changes)
	for {
		stalled.Reset(stallTimeout)
		chunk, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && c.secrets == nil:
			return nil, errors.New("the apiserver's answer is empty, want one chunk at least")
		case errors.Is(err, io.EOF):
			return c, nil
		case err != nil:
			return nil, err
		}
		if err := c.add(chunk, f.log); err != nil {
			return nil, err
		}
	}
}
