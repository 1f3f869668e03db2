package gracefulstop

import (
	"net"

	"google.golang.org/grpc"
)

type service struct{ grpc *grpc.Server }

func (s *service) close() {
	defer s.grpc.Stop()   // runs after GracefulStop has returned
	s.grpc.GracefulStop() // want "holds GracefulStop for ever"
}

func wait(s *grpc.Server) {
	done := make(chan struct{})
	go func() {
		s.GracefulStop() // want "holds GracefulStop for ever"
		close(done)
	}()
	<-done
}

func told(s *grpc.Server, l net.Listener, quit chan struct{}, errs chan error) {
	go func() {
		go func() {
			<-quit
			s.GracefulStop() // want "holds GracefulStop for ever"
		}()
		errs <- s.Serve(l)
	}()
}

type api struct{ servers []*grpc.Server }

// A rule sees one package: it is reported even if whoever calls Close ends the process after a while.
func (a *api) Close() {
	for _, s := range a.servers {
		s.GracefulStop() // want "holds GracefulStop for ever"
	}
}
