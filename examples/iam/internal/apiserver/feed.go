package apiserver

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/reqid"
)

// newFeedServer gives all secrets and policies to whoever presents the token.
func newFeedServer(db *store.Store, token string, log *slog.Logger) *grpc.Server {
	server := grpc.NewServer(
		grpc.ChainStreamInterceptor(logCalls(log), requireToken(token)),
		// GracefulStop and Stop both wait for connections that have not said a word yet, and tell no other one to leave meanwhile.
		// gRPC's 120s is longer than a stop may take.
		grpc.ConnectionTimeout(5*time.Second),
	)
	feed.RegisterFeedServer(server, &feedServer{db: db})
	return server
}

// chunkSize keeps messages well below the 4 MiB that a gRPC client accepts by default.
const chunkSize = 256 << 10

type feedServer struct {
	feed.UnimplementedFeedServer
	db *store.Store
}

// Secrets reads everything before it sends anything, so that a slow receiver does not hold a transaction.
func (f *feedServer) Secrets(req *feed.SnapshotRequest, stream grpc.ServerStreamingServer[feed.SecretChunk]) error {
	version, secrets, err := f.db.AllSecrets(stream.Context(), req.GetKnownVersion())
	if err != nil {
		return err
	}
	chunk, size := &feed.SecretChunk{Version: version}, 0
	for _, s := range secrets {
		if size > chunkSize {
			if err := stream.Send(chunk); err != nil {
				return err
			}
			chunk, size = &feed.SecretChunk{Version: version}, 0
		}
		secret := &feed.Secret{Id: s.ID.String(), Username: s.Username, Key: []byte(s.SigningKey), Expires: s.Expires}
		chunk.Secrets = append(chunk.Secrets, secret)
		size += len(secret.Id) + len(secret.Username) + len(secret.Key) + 32
	}
	return stream.Send(chunk)
}

// Policies does the same for policies.
func (f *feedServer) Policies(req *feed.SnapshotRequest, stream grpc.ServerStreamingServer[feed.PolicyChunk]) error {
	version, policies, err := f.db.AllPolicies(stream.Context(), req.GetKnownVersion())
	if err != nil {
		return err
	}
	chunk, size := &feed.PolicyChunk{Version: version}, 0
	for _, p := range policies {
		if size > chunkSize {
			if err := stream.Send(chunk); err != nil {
				return err
			}
			chunk, size = &feed.PolicyChunk{Version: version}, 0
		}
		policy := &feed.Policy{Id: p.ID.String(), Username: p.Username, Document: p.Document}
		chunk.Policies = append(chunk.Policies, policy)
		size += len(policy.Id) + len(policy.Username) + len(policy.Document) + 32
	}
	return stream.Send(chunk)
}

// logCalls goes on with the request ID that the call came with, writes a record for each call, and keeps what a client must not see, and
// a panic, in the log.
func logCalls(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
		md, _ := metadata.FromIncomingContext(stream.Context())
		ctx, _ := reqid.Extract(stream.Context(), md.Get) // one that is not valid is replaced
		begin := time.Now()
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic: %v\n\n%s", v, debug.Stack())
			}
			level, code := slog.LevelInfo, status.Code(err)
			if code == codes.Unknown { // no status of ours
				if level = slog.LevelError; ctx.Err() != nil {
					level = slog.LevelInfo // the caller has gone
				}
			}
			attrs := []slog.Attr{slog.String("method", info.FullMethod), slog.String("code", code.String()), slog.Duration("took", time.Since(begin))}
			if err != nil {
				attrs = append(attrs, slog.Any("error", err))
			}
			log.LogAttrs(ctx, level, "feed", attrs...)
			if code == codes.Unknown {
				err = status.Error(codes.Internal, "internal error")
			}
		}()
		return next(srv, streamContext{stream, ctx})
	}
}

func requireToken(token string) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		values := md.Get("authorization")
		if len(values) != 1 {
			return status.Error(codes.Unauthenticated, "want one authorization: Bearer <token>")
		}
		scheme, got, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(got), []byte(token)) != 1 {
			return status.Error(codes.Unauthenticated, "wrong token of the feed")
		}
		return next(srv, stream)
	}
}

// A streamContext is a stream with another context.
type streamContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s streamContext) Context() context.Context { return s.ctx }
