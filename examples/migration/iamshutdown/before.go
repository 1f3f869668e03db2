// Package iamshutdown moves from iam's pkg/shutdown to package shutdown.
package iamshutdown

import (
	"context"
	"database/sql"
	"log"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/gracekit/gracekit/examples/migration/iamshutdown/standin"
)

func before(db *sql.DB, srv *http.Server, grpcServer *grpc.Server, grpcListener net.Listener) {
	gs := standin.New()
	gs.AddShutdownManager(standin.NewPosixSignalManager())
	gs.AddShutdownCallback(standin.ShutdownFunc(func(string) error {
		_ = db.Close() // requests in flight fail from here on
		//gracevet:ignore gracefulstop this is the code to be replaced
		grpcServer.GracefulStop()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return srv.Shutdown(ctx)
	}))
	go func() { _ = grpcServer.Serve(grpcListener) }()
	if err := gs.Start(); err != nil {
		log.Fatal(err)
	}
	_ = srv.ListenAndServe() // returns when Shutdown begins; main ends in the middle of the drain
}
