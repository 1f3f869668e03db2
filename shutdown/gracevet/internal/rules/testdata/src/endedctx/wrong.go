package endedctx

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func waited(ctx context.Context, srv *http.Server) {
	go func() {
		<-ctx.Done()
		srv.Shutdown(ctx) // want "this context has ended already"
	}()
}

func cancelled(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	cancel()
	return srv.Shutdown(ctx) // want "this context has ended already"
}

func stopped(srv *http.Server) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	<-ctx.Done()
	stop()
	defer func() {
		if err := srv.Shutdown(ctx); err != nil { // want "this context has ended already"
			println(err)
		}
	}()
}

type service struct {
	ctx context.Context
	srv *http.Server
}

func (s *service) run(errs chan error) error {
	select {
	case err := <-errs:
		return err
	case <-s.ctx.Done():
		return s.srv.Shutdown(s.ctx) // want "this context has ended already"
	}
}

func (s *service) alone() {
	select {
	case <-s.ctx.Done():
	}
	s.srv.Shutdown(s.ctx) // want "this context has ended already"
}

func seen(ctx context.Context, srv *http.Server) {
	if ctx.Err() != nil {
		srv.Shutdown(ctx) // want "this context has ended already"
	}
}
