package selfshutdown

import (
	"context"
	"net/http"
)

func background(mux *http.ServeMux, srv *http.Server) {
	mux.HandleFunc("/quit", func(w http.ResponseWriter, r *http.Request) {
		go srv.Shutdown(context.Background())
	})
	mux.HandleFunc("/bye", func(w http.ResponseWriter, r *http.Request) {
		go func() {
			srv.Shutdown(context.Background())
		}()
	})
}

func elsewhere(srv *http.Server) error { return srv.Shutdown(context.Background()) }
