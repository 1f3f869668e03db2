package client

import (
	"context"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// watch prints the state of a service, and each change of it, until the server or ctx ends.
func watch(ctx context.Context, conn grpc.ClientConnInterface, service string, w io.Writer) error {
	stream, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		fmt.Fprintln(w, resp.GetStatus())
	}
}
