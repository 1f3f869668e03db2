package shutdown

import (
	"context"
	"errors"
)

// A GRPCServer is the part of *grpc.Server that this package needs.
type GRPCServer interface {
	GracefulStop() // refuses new calls, tells clients to leave, waits for the last call
	Stop()         // ends all calls
}

// AddGRPCServer drains srv in [PhaseIngress]: it calls GracefulStop and, at the end of its time,
// Stop, with an error that says that calls were cut. GracefulStop alone has no deadline: a stream
// that never ends would hold it up forever. HTTP servers that pass calls to srv (its ServeHTTP) are
// drained first if they have the same phase, because GracefulStop would cut these calls. The errors
// are those of [GracefulShutdown.AddServer].
//
// A connection that arrives just as the listener closes is lost; [GracefulShutdown.GoGRPC] keeps
// it.
//
// A connection whose client has not sent anything yet holds up GracefulStop and Stop for
// grpc.ConnectionTimeout, by default 120s. Set it well below Grace, or use GoGRPC.
//
// If the stop comes before srv.Serve is called, Serve returns grpc.ErrServerStopped, which this
// package does not know. The function given to [GracefulShutdown.Go] must turn it into nil; with
// [GracefulShutdown.GoGRPC] that is not needed.
func (gs *GracefulShutdown) AddGRPCServer(name string, srv GRPCServer, opts ...ServerOption) error {
	return gs.addUnserved("gRPC server", name, srv, opts, func() *server { return gs.newGRPCServer(name, srv) })
}

func (gs *GracefulShutdown) newGRPCServer(name string, srv GRPCServer) *server {
	s := newServer(name, srv)
	s.told = make(chan struct{})
	s.step.run = func(ctx context.Context) error {
		if err := gs.waitForGRPCOverHTTP(ctx, s.step.stage); err != nil {
			return err
		}
		close(s.told)
		srv.GracefulStop()
		return nil
	}
	s.step.cut = func() error {
		srv.Stop()
		return errors.New("calls in flight were cut")
	}
	return s
}

// waitForGRPCOverHTTP waits until the HTTP servers of this stage that have received gRPC calls have
// drained.
func (gs *GracefulShutdown) waitForGRPCOverHTTP(ctx context.Context, current stage) error {
	for _, s := range gs.servers { // these do not change during a stop
		if s.http == nil || !s.http.sawGRPC.Load() || s.step.stage != current {
			continue
		}
		select {
		case <-s.http.drained:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
