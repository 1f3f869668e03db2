package shutdown

import (
	"context"
	"errors"
	"fmt"
)

// A GRPCServer is what this package needs of a *grpc.Server.
type GRPCServer interface {
	GracefulStop() // refuses new calls, tells clients to leave, returns when the last call has ended
	Stop()         // ends all calls
}

// AddGRPCServer drains srv in [PhaseIngress]: GracefulStop, and at the end of Grace Stop, with an error that says that calls were cut.
// GracefulStop alone has no deadline: a stream that never ends would hold it for ever.
//
// A connection whose client has not said anything yet holds GracefulStop and Stop for as long as grpc.ConnectionTimeout, by default 120s:
// give the server one that is well below Grace.
//
// A stop may come before srv.Serve is called. Serve then returns grpc.ErrServerStopped, which this package does not know, so the
// function given to [GracefulShutdown.Go] has to make nil of it.
//
// It may be called before or after Start. It returns [ErrShuttingDown] after the trigger, and an error if srv is nil or name is empty.
func (gs *GracefulShutdown) AddGRPCServer(name string, srv GRPCServer) error {
	if name == "" {
		return errors.New("shutdown: gRPC server without a name")
	}
	if srv == nil {
		return fmt.Errorf("shutdown: gRPC server %q is nil", name)
	}
	return gs.add(func() error {
		gs.grpc = true
		gs.tasks = append(gs.tasks, task{
			name:  name,
			phase: PhaseIngress,
			run: func(context.Context) error {
				srv.GracefulStop()
				return nil
			},
			cut: func() error {
				srv.Stop()
				return errors.New("calls in flight were cut")
			},
		})
		return nil
	})
}
