package reqid_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/gracekit/gracekit/reqid"
)

// gRPC: Extract in an interceptor of the server, with the same options as Middleware, and Inject in
// one of the client. examples/grpcserver has both for streams, too.
func Example_grpc() {
	log := newLogger()
	server := grpc.NewServer(grpc.UnaryInterceptor(func(
		ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		ctx, _ = reqid.Extract(ctx, md.Get, reqid.Chain(), numbered())
		log.InfoContext(ctx, info.FullMethod)
		return handler(ctx, req)
	}))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener := bufconn.Listen(1 << 16)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	conn, err := grpc.NewClient("passthrough:///in-memory",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}),
		grpc.WithUnaryInterceptor(func(
			ctx context.Context, method string, req, reply any, conn *grpc.ClientConn,
			invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			md, _ := metadata.FromOutgoingContext(ctx) // a copy
			md = metadata.Join(md)                     // never nil
			reqid.Inject(ctx, func(key, value string) { md.Set(key, value) })
			return invoke(metadata.NewOutgoingContext(ctx, md), method, req, reply, conn, opts...)
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	ctx, err := reqid.NewContext(context.Background(), "of-the-caller")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	fmt.Println(err)
	// Output:
	// level=INFO msg=/grpc.health.v1.Health/Check requestID=id-1 parentRequestID=of-the-caller rootRequestID=of-the-caller
	// <nil>
}
