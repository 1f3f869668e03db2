package apiserver

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/iam/internal/apiserver/store"
	"github.com/gracekit/gracekit/examples/iam/internal/feed"
	"github.com/gracekit/gracekit/reqid"
)

// newFeedServer gives all secrets and policies to whoever presents the token.
func newFeedServer(db *store.Store, o Options, certificate *tls.Config) *grpc.Server {
	creds := insecure.NewCredentials()
	if certificate != nil {
		creds = credentials.NewTLS(certificate.Clone())
	}
	server := grpc.NewServer(
		grpc.Creds(creds),
		grpc.ChainStreamInterceptor(logCalls(o.Log), requireToken(o.FeedToken)),
		// GracefulStop and Stop both wait for connections that have not said a word yet, and tell
		// no other one to leave meanwhile. gRPC's 120s is longer than a stop may take.
		grpc.ConnectionTimeout(5*time.Second),
		// An authzserver pings a connection that is silent; gRPC would take more than one ping in
		// five minutes for an attack.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
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

// Changes reads everything before it sends anything, so that a slow receiver does not hold a
// transaction.
func (f *feedServer) Changes(req *feed.ChangesRequest, stream grpc.ServerStreamingServer[feed.Chunk]) error {
	since := store.Revision{Number: req.GetSince().GetNumber(), Stamp: req.GetSince().GetStamp()}
	now, err := f.db.Revision(stream.Context())
	if err != nil {
		return err
	}
	if now == since {
		return stream.Send(&feed.Chunk{Revision: req.GetSince()})
	}
	if err := stream.SendHeader(nil); err != nil { // the caller waits a moment for this, and then longer
		return err
	}
	changes, err := f.db.Changes(stream.Context(), since)
	if err != nil {
		return err
	}
	return sendChunks(changes, stream.Send)
}

// sendChunks sends one in any case.
func sendChunks(c store.Changes, send func(*feed.Chunk) error) error {
	newChunk := func() *feed.Chunk {
		return &feed.Chunk{Revision: &feed.Revision{Number: c.Now.Number, Stamp: c.Now.Stamp}, Full: c.Full}
	}
	chunk, size := newChunk(), 0
	added := func(bytes int) error {
		if size += bytes + 64; size < chunkSize {
			return nil
		}
		full := chunk
		chunk, size = newChunk(), 0
		return send(full)
	}
	for _, s := range c.Secrets {
		chunk.Secrets = append(chunk.Secrets, &feed.Secret{
			Id: s.ID.String(), OwnerId: s.OwnerID.String(), Key: []byte(s.SigningKey), Expires: s.Expires,
		})
		if err := added(len(s.SigningKey)); err != nil {
			return err
		}
	}
	for _, p := range c.Policies {
		chunk.Policies = append(chunk.Policies, &feed.Policy{Id: p.ID.String(), OwnerId: p.OwnerID.String(), Document: p.Document})
		if err := added(len(p.Document)); err != nil {
			return err
		}
	}
	for _, id := range c.DeletedSecrets {
		chunk.Deleted = append(chunk.Deleted, id.String())
		if err := added(0); err != nil {
			return err
		}
	}
	for _, id := range c.DeletedPolicies {
		chunk.Deleted = append(chunk.Deleted, id.String())
		if err := added(0); err != nil {
			return err
		}
	}
	return send(chunk)
}

// logCalls goes on with the request ID that the call came with, writes a record for each call, and
// keeps what a client must not see, and a panic, in the log.
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
			switch {
			case err == nil:
				level = slog.LevelDebug // each authzserver asks every second
			case code == codes.Unknown && ctx.Err() == nil: // no status of ours, and the caller has not gone
				level = slog.LevelError
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
