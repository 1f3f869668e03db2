package shutdown_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// grpcServer ends its calls after a while; Stop ends GracefulStop unless the server is stuck. (With real grpc-go it
// is tested in the examples module.)
type grpcServer struct {
	calls time.Duration
	stuck bool
	stop  chan struct{}
	end   chan struct{}
}

func (s *grpcServer) GracefulStop() {
	select {
	case <-time.After(s.calls):
	case <-s.stop:
	case <-s.end:
	}
}

func (s *grpcServer) Stop() {
	if s.stuck {
		<-s.end
	}
	close(s.stop)
}

func TestGRPCServer(t *testing.T) {
	tests := []struct {
		name  string
		srv   grpcServer
		total time.Duration
		err   string
	}{
		{"drains", grpcServer{calls: 3 * time.Second}, 3 * time.Second, ""},
		{"a stream that never ends is cut", grpcServer{calls: time.Hour}, 5 * time.Second,
			"grpc (ingress): shutdown: timed out after 5s: calls in flight were cut"},
		{"Stop that waits for its handlers is not waited for", grpcServer{calls: time.Hour, stuck: true}, 5*time.Second + 100*time.Millisecond,
			"grpc (ingress): shutdown: timed out after 5.1s: cutting what was left has not returned"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.srv.stop, tt.srv.end = make(chan struct{}), make(chan struct{})
				gs := shutdown.New(shutdown.Grace(5 * time.Second))
				require.NoError(t, gs.AddGRPCServer("grpc", &tt.srv))
				begin := time.Now()
				gs.Shutdown(nil)
				err := gs.Wait()
				assert.Equal(t, tt.total, time.Since(begin))
				if tt.err == "" {
					assert.NoError(t, err)
				} else {
					assert.EqualError(t, err, tt.err)
				}
				close(tt.srv.end)
			})
		})
	}
}

func TestGRPCServerCutAtTheVeryEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &grpcServer{calls: time.Hour, stuck: true, stop: make(chan struct{}), end: make(chan struct{})}
		gs := shutdown.New(shutdown.Grace(5*time.Second), shutdown.Tail(0))
		require.NoError(t, gs.AddGRPCServer("grpc", srv))
		begin := time.Now()
		gs.Shutdown(nil)
		assert.ErrorIs(t, gs.Wait(), shutdown.ErrTimeout)
		assert.Equal(t, 5*time.Second, time.Since(begin), "Grace+Tail is the end, whatever Stop does")
		close(srv.end)
	})
}
