package shutdown

import (
	"context"
	"errors"
)

// A GRPCServer is what this package needs of a *grpc.Server.
type GRPCServer interface {
	GracefulStop() // refuses new calls, tells clients to leave, returns when the last call has ended
	Stop()         // ends all calls
}

// AddGRPCServer drains srv in [PhaseIngress]: GracefulStop, and at the end of its time Stop, with
// an error that says that calls were cut. GracefulStop alone has no deadline: a stream that never
// ends would hold it up without end. If HTTP servers pass calls to srv (its ServeHTTP), they are
// drained first, because GracefulStop would cut these calls.
//
// A connection whose client has not said anything yet holds up GracefulStop and Stop for as long as
// grpc.ConnectionTimeout, by default 120s: give the server one that is well below Grace.
//
// A stop may come before srv.Serve is called. Serve then returns grpc.ErrServerStopped, which this
// package does not know, so the function given to [GracefulShutdown.Go] has to make nil of it;
// [GracefulShutdown.GoGRPC] does not need that.
//
// It may be called before or after Start. It returns [ErrShuttingDown] after the trigger, and an
// error if srv is nil or was added before, name is empty, or there is an [InPhase] among the
// options.
func (gs *GracefulShutdown) AddGRPCServer(name string, srv GRPCServer, opts ...ServerOption) error {
	return gs.addUnserved("gRPC server", name, srv, opts, func() *server { return gs.newGRPCServer(name, srv) })
}

func (gs *GracefulShutdown) newGRPCServer(name string, srv GRPCServer) *server {
	s := newServer(name, srv)
	told := make(chan struct{})
	s.told = func() bool { return isClosed(told) }
	s.step.run = func(ctx context.Context) error {
		if err := gs.waitForGRPCOverHTTP(ctx); err != nil {
			return err
		}
		close(told)
		srv.GracefulStop()
		return nil
	}
	s.step.cut = func() error {
		srv.Stop()
		return errors.New("calls in flight were cut")
	}
	return s
}

// waitForGRPCOverHTTP waits until the HTTP servers over which gRPC calls have come have drained.
func (gs *GracefulShutdown) waitForGRPCOverHTTP(ctx context.Context) error {
	for _, s := range gs.servers { // nothing is added any more
		if s.http == nil || !s.http.sawGRPC.Load() || s.step.stage.phase > PhaseIngress {
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
