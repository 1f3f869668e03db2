package endedparent

import (
	"context"
	"net/http"
	"time"
)

func without(ctx context.Context, srv *http.Server) {
	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	srv.Shutdown(drain)
}

func before(ctx context.Context, work func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	work(ctx)
	<-ctx.Done()
}
