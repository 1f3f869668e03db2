// Package peers_test measures gracekit's packages beside their well-known alternatives:
//
//	go test -run=- -bench=. ./internal/peers
package peers_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/gracekit/gracekit/reqid"
)

// headerWriter is a ResponseWriter whose header map can be emptied and used again.
type headerWriter struct{ header http.Header }

func (w *headerWriter) Header() http.Header         { return w.header }
func (w *headerWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *headerWriter) WriteHeader(int)             {}

// BenchmarkRequestID: chi's RequestID counts up after a random prefix, takes over
// whatever the client sends, and sets no response header; reqid draws 128 random bits,
// validates, and answers with the ID.
func BenchmarkRequestID(b *testing.B) {
	var id string
	peers := []struct {
		name    string
		handler http.Handler
	}{
		{"reqid", reqid.Middleware()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			id = reqid.FromContext(r.Context())
		}))},
		{"chi", middleware.RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			id = middleware.GetReqID(r.Context())
		}))},
	}
	requests := []struct {
		name   string
		header http.Header
	}{
		{"missing", http.Header{}},
		{"inbound", http.Header{"X-Request-Id": {"123e4567-e89b-12d3-a456-426614174000"}}},
	}
	for _, request := range requests {
		for _, peer := range peers {
			b.Run(request.name+"/"+peer.name, func(b *testing.B) {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header = request.header
				w := &headerWriter{http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					peer.handler.ServeHTTP(w, r)
				}
				if id == "" {
					b.Fatal("got no ID")
				}
			})
		}
	}
}
