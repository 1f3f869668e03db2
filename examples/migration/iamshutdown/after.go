package iamshutdown

import (
	"context"
	"database/sql"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

func after(
	ctx context.Context, db *sql.DB, srv *http.Server, listener net.Listener,
	grpcServer *grpc.Server, grpcListener net.Listener,
) error {
	gs := shutdown.New(shutdown.Grace(25*time.Second), shutdown.Delay(5*time.Second))
	gs.AddManager(posixsignal.New())
	gs.AddCallback(shutdown.Closer("mysql", db))
	gs.GoHTTP("http", srv, listener)
	gs.GoGRPC("grpc", grpcServer, grpcListener)
	return gs.Run(ctx) // until everything above is done; what was refused comes out here, too
}
