package iamshutdown

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

var _ = before // the stand-in does nothing

type connector struct{}

func (connector) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("no server") }
func (connector) Driver() driver.Driver                        { return nil }

// The whole of it starts, and ends without an error when its context does, after the Delay.
func TestAfter(t *testing.T) {
	db := sql.OpenDB(connector{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	srv := &http.Server{Addr: "127.0.0.1:0", ReadHeaderTimeout: time.Second}
	err := after(ctx, db, srv, grpc.NewServer())
	require.NoError(t, err, "a clean stop")
	require.ErrorContains(t, db.PingContext(t.Context()), "database is closed")
}
