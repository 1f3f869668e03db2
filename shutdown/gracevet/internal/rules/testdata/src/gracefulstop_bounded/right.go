package bounded

import (
	"time"

	"google.golang.org/grpc"
)

func bounded(s *grpc.Server) {
	cut := time.AfterFunc(time.Second, s.Stop)
	s.GracefulStop()
	cut.Stop()
}
