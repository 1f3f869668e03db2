package iamshutdown

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

func after(ctx context.Context, db *sql.DB, srv *http.Server, grpcServer *grpc.Server, grpcListener net.Listener) error {
	gs := shutdown.New(shutdown.Grace(25*time.Second), shutdown.Delay(5*time.Second))
	err := errors.Join(
		gs.AddManager(posixsignal.New()),
		gs.AddHTTPServer("http", srv),
		gs.AddGRPCServer("grpc", grpcServer),
		gs.AddCallback(shutdown.Closer("mysql", db)),
		gs.Go("grpc", func(context.Context) error { return grpcServer.Serve(grpcListener) }),
		gs.Go("http", func(context.Context) error { return srv.ListenAndServe() }),
	)
	if err != nil {
		return err
	}
	return gs.Run(ctx) // until everything above is done
}
