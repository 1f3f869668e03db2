package listenandserve

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

func after(addr string, handler http.Handler, db io.Closer) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	gs := shutdown.New(shutdown.Grace(5*time.Second), shutdown.Logger(slog.Default()))
	gs.AddManager(posixsignal.New())
	gs.GoHTTP("api", &http.Server{Handler: handler}, l)
	gs.AddCallback(shutdown.Closer("db", db))
	return gs.Run(context.Background())
}

// afterMetrics has a second server, which answers until the end.
func afterMetrics(gs *shutdown.GracefulShutdown, metrics *http.Server, l net.Listener) error {
	return gs.GoHTTP("metrics", metrics, l, shutdown.InPhase(shutdown.PhaseFlush))
}
