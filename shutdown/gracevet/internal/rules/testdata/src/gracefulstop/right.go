package gracefulstop

import (
	"net"
	"os"
	"time"

	"github.com/zeromicro/go-zero/core/proc"
	"google.golang.org/grpc"
)

// The end of the process is a bound, too.
func orExit(s *grpc.Server) {
	done := make(chan struct{})
	go func() {
		s.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
		os.Exit(1)
	}
}

func orFatal(s *grpc.Server, done chan struct{}) {
	go time.AfterFunc(time.Second, func() { os.Exit(1) })
	go func() {
		s.GracefulStop()
		close(done)
	}()
	<-done
}

// The framework ends the process after a while.
func byHook(s *grpc.Server) {
	defer proc.AddShutdownListener(func() { s.GracefulStop() })()
}

// The select of the outer function has another case.
func outer(s *grpc.Server, quit chan struct{}) {
	var stopped chan struct{}
	register := func() {
		stopped = make(chan struct{})
		go func() {
			<-quit
			s.GracefulStop()
			close(stopped)
		}()
	}
	register()
	<-quit
	select {
	case <-stopped:
	case <-time.After(time.Second):
	}
}

// Nobody waits for either goroutine.
func untold(s *grpc.Server, l net.Listener, quit chan struct{}) {
	go func() {
		go func() {
			<-quit
			s.GracefulStop()
		}()
		s.Serve(l)
		os.Exit(0)
	}()
}
