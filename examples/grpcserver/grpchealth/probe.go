package grpchealth

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gracekit/gracekit/health"
)

// Probe asks a server how a service of it is, once for each call: for health.Wait, for a
// container's health check, or for a check of another server's registry. The connection stays the
// caller's. A server that is not there is a failure at once.
func Probe(conn grpc.ClientConnInterface, service string) health.Probe {
	client := grpc_health_v1.NewHealthClient(conn)
	return func(ctx context.Context) error {
		resp, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			return fmt.Errorf("service %q: %w", service, err)
		}
		if resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			return fmt.Errorf("service %q is %v, want SERVING", service, resp.GetStatus())
		}
		return nil
	}
}
