package selfshutdown

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

func literal(mux *http.ServeMux, srv *http.Server) {
	mux.HandleFunc("/quit", func(w http.ResponseWriter, r *http.Request) {
		srv.Shutdown(context.Background()) // want "waits for the request of this handler"
	})
}

type admin struct{ srv *http.Server }

func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := a.srv.Shutdown(r.Context()); err != nil { // want "waits for the request of this handler"
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (a *admin) gin(c *gin.Context) {
	_ = a.srv.Shutdown(context.Background()) // want "waits for the request of this handler"
}
