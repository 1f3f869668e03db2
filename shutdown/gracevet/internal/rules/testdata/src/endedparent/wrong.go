package endedparent

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func child(ctx context.Context, srv *http.Server) {
	<-ctx.Done()
	drain, cancel := context.WithTimeout(ctx, 10*time.Second) // want "the parent has ended already"
	defer cancel()
	srv.Shutdown(drain)
}

func same(srv *http.Server) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	select {
	case <-time.After(time.Hour):
	case <-ctx.Done():
		ctx, cancel := context.WithDeadline(ctx, time.Now().Add(time.Second)) // want "the parent has ended already"
		defer cancel()
		srv.Shutdown(ctx)
	}
}

func reused(ctx context.Context, srv *http.Server) {
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(ctx, time.Second) // want "the parent has ended already"
	defer cancel()
	srv.Shutdown(ctx)
}
