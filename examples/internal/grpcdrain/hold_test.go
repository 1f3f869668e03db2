//go:build unix

package grpcdrain

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gracekit/gracekit/shutdown"
)

// Servers follow each other on one socket. Clients that make a connection for each call meet the moment of the change most often: gRPC closes
// a connection that was accepted but not yet set up when GracefulStop is called, and the call fails.
func TestHandoverLosesNoCall(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	target := "passthrough:///" + first.Addr().String()
	next := share(t, first)
	start := func(l net.Listener) *shutdown.GracefulShutdown {
		goOn := make(chan struct{})
		close(goOn)
		begun := make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		go func() {
			for {
				select {
				case <-begun:
				case <-ctx.Done():
					return
				}
			}
		}()
		server := grpc.NewServer()
		server.RegisterService(&description, &service{begun: begun, goOn: goOn})
		gs := shutdown.New()
		held, err := gs.HoldListener(l)
		require.NoError(t, err)
		require.NoError(t, gs.AddGRPCServer("grpc", server))
		require.NoError(t, gs.Go("serve", func(context.Context) error { return server.Serve(held) }))
		require.NoError(t, gs.Start(t.Context()))
		return gs
	}
	serving := start(first)

	var clients sync.WaitGroup
	var done atomic.Bool
	var calls atomic.Int64
	stop := func() { done.Store(true); clients.Wait() }
	t.Cleanup(stop) // a failure ends the test, but not its goroutines
	newClient := func() *grpc.ClientConn {
		conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		return conn
	}
	for i := range 8 {
		kept := newClient()
		clients.Go(func() {
			defer kept.Close()
			for !done.Load() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // never reached unless the test fails
				conn := kept
				if i%2 == 0 {
					conn = newClient()
				}
				err := unary(ctx, conn)
				if i%4 == 1 && err == nil {
					_, err = stream(ctx, conn)
				}
				if conn != kept {
					conn.Close()
				}
				cancel()
				calls.Add(1)
				assert.NoError(t, err)
			}
		})
	}
	for range 5 {
		for served := calls.Load(); calls.Load() < served+50 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		current := next
		next = share(t, current)
		successor := start(current)
		serving.Shutdown(nil)
		require.NoError(t, serving.Wait())
		serving = successor
	}
	stop()
	t.Log(calls.Load(), "calls")
	serving.Shutdown(nil)
	require.NoError(t, serving.Wait())
}

// share returns one more listener with the socket of l, as another process has it. See HoldListener for why it does not use l.File.
func share(t *testing.T, l net.Listener) net.Listener {
	t.Helper()
	raw, err := l.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	var fd int
	controlErr := raw.Control(func(original uintptr) { fd, err = syscall.Dup(int(original)) })
	require.NoError(t, errors.Join(controlErr, err))
	f := os.NewFile(uintptr(fd), "shared")
	defer f.Close()
	other, err := net.FileListener(f)
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close() })
	return other
}
