package authzserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/reqid"
)

// A feedClient fetches snapshots from the apiserver.
type feedClient struct {
	*grpc.ClientConn
	feed feed.FeedClient
}

// stallTimeout is how long the apiserver may send nothing in the middle of an answer. A long one may take as long as it needs.
const stallTimeout = 20 * time.Second

// dialFeed does not connect yet. The feed carries keys: outside of one machine replace insecure.NewCredentials by credentials.NewTLS.
func dialFeed(addr, token string) (*feedClient, error) {
	conn, err := grpc.NewClient(addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStreamInterceptor(identify(token)),
		// gRPC's own backoff goes up to two minutes, for which this server would be behind after the apiserver is back.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		// A connection that is dead without a word is found before a fetch stalls, and replaced.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
	)
	if err != nil {
		return nil, err
	}
	return &feedClient{ClientConn: conn, feed: feed.NewFeedClient(conn)}, nil
}

// identify sends the shared token and the request ID with each call.
func identify(token string) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		md := metadata.Pairs("authorization", "Bearer "+token)
		reqid.Inject(ctx, func(key, value string) { md.Set(key, value) })
		return next(metadata.NewOutgoingContext(ctx, md), desc, conn, method, opts...)
	}
}

func (f *feedClient) loadSecrets(c *cache) func(context.Context) (changed bool, err error) {
	return func(ctx context.Context) (bool, error) {
		version, rows, err := fetch(ctx, c.secrets.version(), f.feed.Secrets,
			func(chunk *feed.SecretChunk) (uint64, []*feed.Secret) { return chunk.GetVersion(), chunk.GetSecrets() })
		if err != nil || c.secrets.loaded() && version == c.secrets.version() {
			return false, err
		}
		return c.took(c.storeSecrets(version, rows), "secrets", version, c.secrets.version()), nil
	}
}

func (f *feedClient) loadPolicies(c *cache) func(context.Context) (changed bool, err error) {
	return func(ctx context.Context) (bool, error) {
		version, rows, err := fetch(ctx, c.policies.version(), f.feed.Policies,
			func(chunk *feed.PolicyChunk) (uint64, []*feed.Policy) { return chunk.GetVersion(), chunk.GetPolicies() })
		if err != nil || c.policies.loaded() && version == c.policies.version() {
			return false, err
		}
		return c.took(c.storePolicies(version, rows), "policies", version, c.policies.version()), nil
	}
}

// took says so in the log if a snapshot was not newer than what is held: a database that was set back to an earlier state needs its
// authzservers restarted.
func (c *cache) took(newer bool, kind string, version, held uint64) bool {
	if !newer {
		c.log.Warn("the apiserver's "+kind+" are older than those held, which are kept", "version", version, "held", held)
	}
	return newer
}

// fetch reads one snapshot, all of it or an error.
func fetch[C, R any](
	ctx context.Context, known uint64,
	call func(context.Context, *feed.SnapshotRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[C], error),
	open func(*C) (version uint64, rows []R),
) (version uint64, rows []R, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTimeout, func() {
		cancel(fmt.Errorf("the apiserver sent nothing for %v", stallTimeout))
	})
	defer stalled.Stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // that says why; gRPC says that it was canceled
		}
	}()

	stream, err := call(ctx, &feed.SnapshotRequest{KnownVersion: known})
	if err != nil {
		return 0, nil, err
	}
	for first := true; ; first = false {
		chunk, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && first:
			return 0, nil, errors.New("the apiserver's answer is empty, want one chunk at least")
		case errors.Is(err, io.EOF):
			return version, rows, nil
		case err != nil:
			return 0, nil, err
		}
		stalled.Reset(stallTimeout)
		v, more := open(chunk)
		if !first && v != version {
			return 0, nil, fmt.Errorf("the apiserver's answer has chunks of version %d and %d", version, v)
		}
		version, rows = v, append(rows, more...)
	}
}
