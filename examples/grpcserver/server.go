package main

import (
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/gracekit/gracekit/examples/grpcserver/interceptor"
)

// newServer returns a server without services. It speaks plain HTTP/2: give it grpc.Creds where it
// is not behind something that does TLS.
func newServer(cfg config, log *slog.Logger) *grpc.Server {
	return grpc.NewServer(append(interceptor.ServerOptions(log, cfg.longest),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			// A gRPC client keeps its connection, and a balancer of connections has no say after
			// that: without an age, a new replica gets no calls from clients that are already
			// there. grpc adds or subtracts a tenth, so that they do not come back together.
			MaxConnectionAge:      cfg.age,
			MaxConnectionAgeGrace: cfg.ageMore,
			// A client that has vanished without a word is noticed after Time and Timeout.
			Time:    time.Minute,
			Timeout: 20 * time.Second,
		}),
		// The default, 120s, lets whoever says nothing keep a connection for long.
		grpc.ConnectionTimeout(5*time.Second),
		// Who pings more often is sent away with GOAWAY, ENHANCE_YOUR_CALM. The default MinTime, 5
		// minutes, sends away clients that follow the usual advice of 10s to 1m, and only once they
		// have been idle for a while.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cfg.minPing, PermitWithoutStream: true}),
	)...)
}
