// Package interceptor follows gRPC calls as package reqid follows HTTP requests, and keeps a
// handler's bug from ending the process.
//
//	srv := grpc.NewServer(interceptor.ServerOptions(log, 30*time.Second)...)
//	conn, err := grpc.NewClient(target, append(interceptor.DialOptions(), …)...)
//
// The parts can be used one by one: [RequestIDUnaryServer] and its three relatives, [AccessLog],
// [Recovery], [Deadline].
package interceptor

import (
	"log/slog"
	"time"

	"google.golang.org/grpc"
)

// ServerOptions returns, in the order in which they have to stand: the request ID, so that
// everything inside of it can log it; the access log; the recovery inside of the log, so that the
// log has the status that a panic became; and longest, the longest time that a unary call may take,
// where 0 is no limit. log should have a [reqid.LogHandler], which adds the ID to the records.
//
// Further interceptors, such as one for authentication, are chained behind these:
// grpc.ChainUnaryInterceptor may be given several times.
func ServerOptions(log *slog.Logger, longest time.Duration) []grpc.ServerOption {
	logUnary, logStream := AccessLog(log)
	recoverUnary, recoverStream := Recovery(log)
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(RequestIDUnaryServer, logUnary, recoverUnary, Deadline(longest)),
		grpc.ChainStreamInterceptor(RequestIDStreamServer, logStream, recoverStream),
	}
}

// DialOptions returns the options of a connection to a server of ours: calls take the request ID
// along. A connection has one target, so, other than with reqid.Transport, there is no list of
// hosts: do not use it for servers of others.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(RequestIDUnaryClient),
		grpc.WithChainStreamInterceptor(RequestIDStreamClient),
	}
}
