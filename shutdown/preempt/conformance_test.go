package preempt_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/preempt"
	"github.com/gracekit/gracekit/shutdown/shutdowntest"
)

func TestConformance(t *testing.T) {
	for _, p := range providers {
		for name, h := range map[string]http.Handler{
			"without notices":    p.service(),
			"that hangs":         hang,
			"of another machine": http.NotFoundHandler(),
		} {
			t.Run(p.name+", a metadata service "+name, func(t *testing.T) {
				srv := httptest.NewServer(h)
				defer srv.Close()
				shutdowntest.Manager(t, func() shutdown.Manager {
					return p.manager(preempt.Endpoint(srv.URL), preempt.Every(10*time.Millisecond))
				})
			})
		}
	}
}
