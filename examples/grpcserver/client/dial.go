package client

import (
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // makes healthCheckConfig work; without it, that is ignored
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/gracekit/gracekit/examples/grpcserver/interceptor"
)

// serviceConfig is what a client has to say to get through a stop of a server. The README has the
// reasons, line by line.
const serviceConfig = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"healthCheckConfig": {"serviceName": "gracekit.grpcserver.v1.Demo"},
	"methodConfig": [{
		"name": [{"service": "gracekit.grpcserver.v1.Demo", "method": "Visit"}],
		"waitForReady": true,
		"timeout": "10s",
		"retryPolicy": {
			"maxAttempts": 4,
			"initialBackoff": "0.05s",
			"maxBackoff": "1s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}, {
		"name": [{"service": "gracekit.grpcserver.v1.Demo"}],
		"waitForReady": true
	}],
	"retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1}
}`

// Dial returns a connection to all servers at these addresses, which takes those that serve in
// turn. The list stands in for a name service: with a headless service of Kubernetes the target is
// dns:///demo.default.svc.cluster.local:50051, and no resolver is needed.
//
// It is plain HTTP/2, without TLS. opts come last and win.
func Dial(addrs []string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	var state resolver.State
	for _, addr := range addrs {
		if err := validate(addr); err != nil {
			return nil, err
		}
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr}}})
	}
	list := manual.NewBuilderWithScheme("list") // of this connection alone: nothing is registered
	list.InitialState(state)

	all := append(interceptor.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithResolvers(list),
		grpc.WithDefaultServiceConfig(serviceConfig),
		// A server that comes back is found within two seconds; the default goes up to two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// Notices a server that has vanished without a word. Not more often than the server's
		// -min-ping allows.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
	)
	return grpc.NewClient("list:///demo", append(all, opts...)...)
}

// DialPlain returns a connection to one server, with nothing that makes up for its failures: for
// asking after its health.
func DialPlain(addr string) (*grpc.ClientConn, error) {
	if err := validate(addr); err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// validate is for what grpc does not look at: it would try to connect for ever.
func validate(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%q is no address of a server, want host:port", addr)
	}
	return nil
}
