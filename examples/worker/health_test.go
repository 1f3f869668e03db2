package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAnnouncedWhenTheEndpointsAreUp(t *testing.T) {
	for _, late := range []string{"/livez", "/readyz"} {
		t.Run(late, func(t *testing.T) {
			asked := make(chan struct{}, 100)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == late {
					asked <- struct{}{}
					if len(asked) < 3 {
						w.WriteHeader(http.StatusServiceUnavailable)
					}
				}
			}))
			defer srv.Close()
			var out strings.Builder
			announce(t.Context(), slog.New(slog.NewTextHandler(&out, nil)), srv.Listener)
			assert.Contains(t, out.String(), "msg=started")
			assert.Len(t, asked, 3, "it asks until the answer is 200")
		})
	}
}

func TestNotAnnouncedWhenStoppedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		cancel()
	}))
	defer srv.Close()
	var out strings.Builder
	announce(ctx, slog.New(slog.NewTextHandler(&out, nil)), srv.Listener)
	assert.Empty(t, out.String())
}
