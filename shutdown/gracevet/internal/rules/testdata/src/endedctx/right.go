package endedctx

import (
	"context"
	"net/http"
	"time"
)

func fresh(ctx context.Context, srv *http.Server) {
	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	srv.Shutdown(drain)
}

func shadowed(ctx context.Context, srv *http.Server) {
	<-ctx.Done()
	{
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		srv.Shutdown(ctx)
	}
	ctx = context.Background()
	srv.Shutdown(ctx)
}

func deferred(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	srv.Shutdown(ctx)
}

func other(ctx context.Context, quit chan int, srv *http.Server) {
	select {
	case <-ctx.Done():
	case <-quit:
	}
	srv.Shutdown(ctx)
}

// The second cancel belongs to another context.
func twice(srv *http.Server) {
	ctx, cancel := context.WithCancel(context.Background())
	next, cancel := context.WithCancel(context.Background())
	cancel()
	srv.Shutdown(ctx)
	_ = next
}

func alive(ctx context.Context, srv *http.Server) {
	if err := ctx.Err(); err == nil {
		srv.Shutdown(ctx)
	}
}

// It is not to wait, and says so.
func onPurpose(srv *http.Server) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	srv.Shutdown(ctx)
}
