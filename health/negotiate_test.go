package health_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gracekit/gracekit/health"
)

func TestNegotiation(t *testing.T) {
	const text, json, html = "text/plain; charset=utf-8", "application/json",
		"text/html; charset=utf-8"
	tests := []struct{ accept, want string }{
		{"", text},
		{"*/*", text},
		{"image/png", text},
		{"text/*", text},
		{"application/*", json},
		{"application/json", json},
		{"application/health+json", json},
		{"application/health+json, application/json;q=0.5", json},
		{"text/*;q=0.5, application/json;q=0.4", text},
		{"text/*;q=0.4, application/json;q=0.5", json},
		{"text/*, text/plain;q=0.1", html},
		{"text/*;q=0.3, text/html;q=0.7, */*;q=0.5", html},
		{"application/json, text/plain, */*", json},
		{"text/html, application/json", html},
		{"application/json, text/html", json},
		{"*/*, application/json", json},
		{"*/*;q=0.1, text/html;q=0", text},
		{"text/plain;q=0, */*", json},
		{"text/html;q=0", text},
		{"*/*;q=0", text},
		{"text/html;q=NaN", text},
		{"text/html;q=x, application/json;q=0.1", json},
		{browserAccept, html},
	}
	h := newRegistry(t).Handler(health.Ready)
	for _, tt := range tests {
		got := get(h, "/readyz", tt.accept).Header().Get("Content-Type")
		assert.Equal(t, tt.want, got, "Accept: %s", tt.accept)
	}
	got := get(h, "/readyz", "text/html;q=0.1", "application/json").Header().Get("Content-Type")
	assert.Equal(t, json, got, "two headers")
}
